# SPDX-License-Identifier: Apache-2.0
"""Many long bodies at once: they share a bound, what is beyond it is refused and told when to come again, and short
requests are answered all the time."""
import socket

import pytest

from lib import livedata
from lib.appiad import wait_for
from lib.platform import Platform

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
MEBIBYTE = 1 << 20


@pytest.fixture(scope='module')
def platform():
    p = Platform(env={'APPIA_MANAGEMENT_MEMORY': '4M', 'APPIA_WORKER_MEMORY': '4M'})
    yield p
    p.stop()


def hold(path, n):
    """A request that announces n bytes to a process itself and keeps it waiting for the last one."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(30)
    s.connect(path)
    s.sendall(b'POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n' % n + b'x' * (n - 1))
    return s


def is_full(r):
    if r.status != 503:
        return False
    assert r.json['error_code'] == 'APPIA.0503' and 'large requests' in r.json['error_msg'] and r.headers['retry-after'] == '1', r
    return True


def test_control_plane(platform):
    def post(n):
        return platform.raw('POST', '/v3/auth/tokens', b'x' * n, {'Content-Type': 'application/json'})
    held = [hold(platform.socket, MEBIBYTE + 100) for _ in range(3)]
    wait_for(lambda: is_full(post(2 * MEBIBYTE)), 20, 'the bound is reached')
    assert post(300 << 10).status == 400 and post(1000).status == 400, 'what fits, and what is short'
    assert platform.call('POST', APPS, {'name': 'short'}).status == 201
    held[0].sendall(b'x')
    assert held[0].recv(12) == b'HTTP/1.1 400'
    held[1].close()
    wait_for(lambda: post(2 * MEBIBYTE).status == 400, 20, 'room again')
    for s in held:
        s.close()


def test_worker(platform):
    owner = livedata.app(platform, 'memory')[0]
    api = livedata.backend(platform, owner, 'function execute(data) { return "" + JSON.parse(data).body.length; }',
                           front={'method': 'POST'})

    def call(n):
        return platform.gateway('POST', api.path, b'x' * n, host=api.host)
    assert call(2 * MEBIBYTE).status == 200
    held = [hold(platform.home + '/run/worker.sock', MEBIBYTE + 100) for _ in range(3)]
    wait_for(lambda: call(2 * MEBIBYTE).status == 503, 20, 'the bound is reached')
    r = call(2 * MEBIBYTE)
    assert r.json['error_code'] and r.json['request_id'], r
    assert call(1000).status == 200
    for s in held:
        s.close()
    wait_for(lambda: call(2 * MEBIBYTE).status == 200, 20, 'room again')
