# SPDX-License-Identifier: Apache-2.0
"""Logs are put aside by size while they are written to, and no line is lost."""
import concurrent.futures
import glob
import json
import os
import re

from lib.appiad import wait_for

APPS = '/v2/{project_id}/instances/{instance_id}/apps'


def files(platform, name):
    return glob.glob(f'{platform.home}/log/{name}') + glob.glob(f'{platform.home}/log/{name}.*')


def text(platform, name):
    parts = []
    for path in files(platform, name):
        with open(path, encoding='utf-8') as f:
            parts.append(f.read())
    return ''.join(parts)


def test_no_line_is_lost(make_platform):
    p = make_platform(env={'APPIA_LOG_MAX_SIZE': '16K', 'APPIA_LOG_KEEP': '1000'})
    p.login()

    def write(number):
        replies = [p.call('POST', APPS, {'name': f'audited {number} {n}'}) for n in range(60)]
        assert all(r.status == 201 for r in replies), replies
        return [r.headers['x-request-id'] for r in replies]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        rounds, ids = 0, []
        while len(files(p, 'audit.log')) < 5:
            for made in pool.map(write, range(rounds * 4, rounds * 4 + 4)):
                ids += made
            rounds += 1
            assert rounds < 50
    lines = [json.loads(line) for line in text(p, 'audit.log').splitlines()]
    logged = [line['request_id'] for line in lines]
    assert len(logged) == len(set(logged)) and set(ids) <= set(logged)


def test_every_process_opens_its_log_anew(make_platform):
    """Also the front door's workers. What is kept is bounded."""
    p = make_platform(env={'APPIA_LOG_MAX_SIZE': '4K', 'APPIA_LOG_KEEP': '2', 'APPIA_MQS_ENABLED': 'false'})
    p.login()

    def noise():
        with open(os.path.join(p.home, 'log', name), 'ab') as f:
            f.write(b'padding\n' * 1024)
    for name in ('appiad.log', 'appia-worker.log', 'nginx.log', 'audit.log'):
        path = os.path.join(p.home, 'log', name)
        for _ in range(4):
            inode = os.stat(path).st_ino
            noise()
            wait_for(lambda: os.path.exists(path) and os.stat(path).st_ino != inode, 10, f'{name} is begun anew')
        assert sorted(os.path.basename(f) for f in files(p, name)) == [name, name + '.1', name + '.2']
        assert all(os.stat(f).st_mode & 0o777 == 0o600 for f in files(p, name))

    # Each now writes to the new file, and is the same process as before.
    pids = p.children()
    made = p.call('POST', APPS, {'name': 'afterwards'})
    with open(p.home + '/log/audit.log', encoding='utf-8') as f:
        assert made.status == 201 and made.headers['x-request-id'] in f.read()
    for pid in pids.values():
        out = os.readlink(f'/proc/{pid}/fd/2')
        assert re.fullmatch(re.escape(p.home) + r'/log/[a-z-]+\.log', out), out
    master = pids['nginx']
    with open(f'/proc/{master}/task/{master}/children', encoding='ascii') as f:
        for worker in f.read().split():
            fds = [os.readlink(path) for path in glob.glob(f'/proc/{worker}/fd/*') if os.path.exists(path)]
            assert p.home + '/log/nginx.log' in fds
    assert 'padding' in p.cli('logs', 'nginx').stdout  # of the one before, for the new one is short
