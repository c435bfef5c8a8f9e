# SPDX-License-Identifier: Apache-2.0
"""A full disk: writes are refused with the documented error, reads and the gateway go on, and room is enough to recover."""
import os
import shutil
import subprocess
import tempfile

import pytest

from lib.apic import RELEASE, V2, ok
from lib.appiad import wait_for
from lib.platform import Platform

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
SIZE = 40 << 20


@pytest.fixture
def small_disk():
    """A home on a file system of its own; only root can make one."""
    folder = tempfile.mkdtemp(prefix='apd', dir='/tmp')
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={SIZE},mode=700', 'tmpfs', folder], capture_output=True,
                          check=False)
    if done.returncode:
        os.rmdir(folder)
        pytest.skip('a small file system cannot be mounted here')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)
    shutil.rmtree(folder, ignore_errors=True)


def fill(folder, leave=0):
    """Takes all room but `leave` bytes."""
    with open(folder + '/ballast', 'ab') as f:
        v = os.statvfs(folder)
        room = v.f_bavail * v.f_frsize - leave
        chunk = b'\0' * 4096
        try:
            for _ in range(max(0, room) // 4096 + (0 if leave else 100)):
                f.write(chunk)
                f.flush()
        except OSError:
            pass
        try:
            f.close()
        except OSError:
            pass


def create(p, name):
    return p.call('POST', APPS, {'name': name, 'remark': 'x' * 1000})


def mock_api(p, name):
    group = ok(p.call('POST', V2 + '/api-groups', {'name': f'group_{name}'}), 201)
    app = ok(p.call('POST', APPS, {'name': f'owner of {name}'}), 201)['id']
    api = ok(p.call('POST',
    V2 + '/apis',
    { 'name': f'Api_{name}',
    'type': 1,
    'req_protocol': 'BOTH',
    'req_method': 'GET',
    'req_uri': f'/{name}',
    'match_mode': 'NORMAL',
    'auth_type': 'NONE',
    'backend_type': 'MOCK',
    'group_id': group['id'],
    'roma_app_id': app,
    'mock_info': {'result_content': name}}),
     201)['id']
    return api, group['sl_domain']


def online(p, api):
    return p.call('POST', V2 + '/apis/action', {'action': 'online', 'api_id': api, 'env_id': RELEASE})


def test_full_disk(small_disk):
    p = Platform(home=small_disk)
    first, host = mock_api(p, 'first')
    ok(online(p, first), 201)
    second, host2 = mock_api(p, 'second')
    before = ok(p.call('GET', APPS))['total']

    fill(small_disk)
    acknowledged, refused = [], None
    for n in range(20000):
        r = create(p, f'full {n}')
        if r.status != 201:
            refused = r
            break
        acknowledged.append(r.json['id'])
    assert refused is not None and refused.status == 507 and refused.json['error_code'] == 'APPIA.0507', refused
    for n in range(20):
        r = create(p, f'still full {n}')
        assert r.status in (201, 507), r
        if r.status == 201:
            acknowledged.append(r.json['id'])
    assert online(p, second).status in (201, 507)
    # Reading goes on, and so does what is published.
    assert ok(p.call('GET', APPS, query={'limit': 1}))['total'] == before + len(acknowledged)
    assert p.gateway('GET', '/first', host=host).body == b'first'
    assert p.raw('GET', '/').status in (200, 300)

    os.unlink(small_disk + '/ballast')
    wait_for(lambda: create(p, 'room again').status in (201, 400), 20, 'a write after room was made')
    # A projection that failed is caught up by itself.
    assert online(p, second).status in (201, 400)
    wait_for(lambda: p.gateway('GET', '/second', host=host2).status == 200, 20, 'what was published on the full disk')
    for i in acknowledged:
        assert p.call('GET', f'{APPS}/{i}').status == 200
    assert p.cli('published', 'verify').stdout.strip() == '0 differences'
    p.stop(keep=True)
    p.start()
    assert ok(p.call('GET', APPS, query={'limit': 1}))['total'] == before + len(acknowledged) + 1
    assert p.gateway('GET', '/second', host=host2).status == 200
    p.stop(keep=True)


def test_start_on_a_full_disk(small_disk):
    """Refused with a sentence; once there is room the same home starts."""
    p = Platform(home=small_disk, start=False)
    with open(small_disk + '/up.log', 'wb'):
        pass
    fill(small_disk)
    p.extra['APPIA_LOG_LEVEL'] = 'info'
    done = p.cli('up', check=False)
    assert done.returncode == 1 and 'space' in (done.stderr +
    p.logs()).lower() or 'full' in (done.stderr +
    p.logs()).lower(), ( done.stderr +
     p.logs())
    os.unlink(small_disk + '/ballast')
    p.start()
    assert create(p, 'afterwards').status == 201
    p.stop(keep=True)
