# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the supervisor, and a start in the same moment: it waits for what the dead one left, and all is well."""
import os
import signal
import socket
import subprocess
import threading
import time
import uuid

from lib.apic import RELEASE, V2, app, group, ok
from lib.appiad import BUILD, wait_for
from lib.platform import processes

APPS = '/v2/{project_id}/instances/{instance_id}/apps'


def kill(platform, *more):
    """Ends the supervisor (and other processes) at once, and returns the ids of all that it had."""
    old = set(processes(platform.home))
    platform.process.kill()
    for pid in more:
        os.kill(pid, signal.SIGKILL)
    platform.process.wait()
    return old


def works(platform, name):
    assert platform.call('POST', APPS, {'name': name}).status == 201
    assert platform.gateway('GET', '/sample/cities?country=IT').status == 200
    assert set(platform.children()) == {'appiad', 'appia-worker', 'nginx'}


def backend_that_waits(platform):
    """A call that nginx has to see to its end before it ends: its back end is silent until it is told to answer."""
    server = socket.create_server(('127.0.0.1', 0))
    owner = app(platform)
    g = group(platform, version='V2', roma_app_id=owner)
    path = '/' + uuid.uuid4().hex
    api = ok(platform.call('POST', V2 + '/apis', {
        'name': 'Api_waits', 'type': 1, 'req_protocol': 'BOTH', 'req_method': 'GET', 'req_uri': path, 'match_mode': 'NORMAL',
        'auth_type': 'NONE', 'backend_type': 'HTTP', 'group_id': g, 'roma_app_id': owner,
        'backend_api': {'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/x', 'timeout': 60000,
                        'url_domain': f'127.0.0.1:{server.getsockname()[1]}'}}), 201)['id']
    ok(platform.call('POST', V2 + '/apis/action', {'action': 'online', 'api_id': api, 'env_id': RELEASE}), 201)
    host = ok(platform.call('GET', f'{V2}/api-groups/{g}'))['sl_domain']
    client = threading.Thread(target=lambda: call(platform, path, host), daemon=True)
    client.start()
    connection = server.accept()[0]
    return server, connection


def call(platform, path, host):
    try:
        platform.gateway('GET', path, host=host)
    except OSError:
        pass  # it is cut off in the end


def test_start_in_the_moment_of_the_kill(make_platform):
    p = make_platform()
    for n in range(3):
        waiting = backend_that_waits(p) if n else None
        old = kill(p)
        p.log.close()
        p.start()
        assert not old & set(processes(p.home)), 'old processes beside new ones'
        works(p, f'after kill {n}')
        for s in waiting or ():
            s.close()
    assert ok(p.call('GET', APPS, query={'limit': 1}))['total'] >= 3


def test_workers_without_master(make_platform):
    """Killed with the master of nginx, too, its workers would keep the ports for ever."""
    p = make_platform()
    old = kill(p, p.children()['nginx'])
    p.log.close()
    p.start()
    assert not old & set(processes(p.home))
    works(p, 'without master')


def test_of_two_starts_one_wins(make_platform):
    p = make_platform()
    backend_that_waits(p)
    kill(p)
    p.log.close()
    p.spawn()
    wait_for(lambda: str(p.process.pid) in open(p.home + '/run/appia.pid', encoding='ascii').read(), 10, 'the lock')
    began = time.monotonic()
    second = subprocess.run([os.path.join(BUILD, 'src/bin/appia'), 'up'], env=p.env, capture_output=True, text=True, timeout=60,
                            check=False)
    assert second.returncode == 1 and 'another appia runs' in second.stderr and time.monotonic() - began < 5, second
    wait_for(p.said_ready, 60, 'the first')
    works(p, 'of two')
