# SPDX-License-Identifier: Apache-2.0
"""Raw requests that nginx alone answers wrongly or not in our form, and those it must keep refusing."""
import json
import socket

import pytest

H = b'Host: test.example\r\n'


@pytest.fixture(scope='module')
def world(shared):
    shared.api('/h', method='ANY', prefix=True)
    return shared


def refused(world, data, statuses=(400,)):
    before = len(world.backend.requests)
    got = world.gateway.raw(data)
    head, _, body = got.partition(b'\r\n\r\n')
    status = int(head.split(b' ')[1])
    assert status in statuses, got
    assert len(world.backend.requests) == before, world.backend.last['head']
    answer = json.loads(body.split(b'HTTP/1.1')[0])
    assert list(answer) == ['error_msg', 'error_code', 'request_id']
    assert b'Content-Type: application/json' in head
    assert b'X-Request-Id: ' + answer['request_id'].encode() in head
    return answer


@pytest.mark.parametrize('data', [
    b'POST /h HTTP/1.1\r\n' + H + b'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    b'POST /h HTTP/1.1\r\n' + H + b'Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
    b'POST /h HTTP/1.1\r\n' + H + b'Content-Length: 5, 5\r\n\r\nhello',
    b'POST /h HTTP/1.1\r\n' + H + b'Content-Length: +2\r\n\r\nok',
    b'POST /h HTTP/1.0\r\n' + H + b'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    b'GET /h HTTP/1.1\r\n' + H + b'X-Space : 1\r\n\r\n',
    b'GET /h HTTP/1.1\r\n' + H + b'X-Fold: 1\r\n folded\r\n\r\n',
    b'GET /h HTTP/1.1\r\n' + H + b'X-Nul: a\0b\r\n\r\n',
    b'GET /h HTTP/1.1\r\n\r\n',
    b'GET /h HTTP/1.1\r\n' + H + b'Host: other.example\r\n\r\n',
    b'GET /h%00 HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h\t HTTP/1.1\r\n' + H + b'\r\n',
    b'POST /h HTTP/1.1\r\n' + H + b'Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n',
    b'POST /h HTTP/1.1\r\n' + H + b'Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n',
    # what nginx alone lets through
    b'GET /h/..;/adm HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h/.%3b/adm HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h/x#/../adm HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h?a#b HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h/%0d%0aX:1 HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h/a%5c..%5cadm HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h/%zz HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h HTTP/1.9\r\n' + H + b'\r\n',
    b'GET http://other.example/h HTTP/1.1\r\n' + H + b'\r\n',
    b'TRACE /h HTTP/1.1\r\n' + H + b'\r\n',
    b'GET /h/../.. HTTP/1.1\r\n' + H + b'\r\n',
    b'nonsense\r\n\r\n',
    b'GET /h HTTP/1.1\r\n' + H + b'bad header\x01: 1\r\nHost: x\r\n\r\n',
], ids=lambda d: repr(d[:40]))
def test_refused(world, data):
    refused(world, data, (400, 405, 501, 505))


def test_unknown_transfer_codings(world):
    for value in (b'gzip', b'chunked, chunked', b'xchunked', b'chunked\r\nTransfer-Encoding: identity'):
        refused(world, b'POST /h HTTP/1.1\r\n' + H + b'Transfer-Encoding: ' + value + b'\r\n\r\n0\r\n\r\n', (400, 501))


def test_http_0_9_gets_nothing(world):
    before = len(world.backend.requests)
    assert world.gateway.raw(b'GET /h\r\n') == b''
    assert len(world.backend.requests) == before


def test_connect_is_refused(world):
    got = world.gateway.raw(b'CONNECT test.example:443 HTTP/1.1\r\n' + H + b'\r\n')
    assert got.startswith((b'HTTP/1.1 400', b'HTTP/1.1 405'))


def test_too_long(world):
    answer = refused(world, b'GET /h/' + b'a' * 40000 + b' HTTP/1.1\r\n' + H + b'\r\n', (414,))
    assert answer['error_msg'] == 'Request URI too large.'
    answer = refused(world, b'GET /h HTTP/1.1\r\n' + H + b'X-Long: ' + b'a' * 40000 + b'\r\n\r\n', (494,))
    assert answer['error_msg'] == 'Request headers too large.'
    many = b''.join(b'X-%d: %s\r\n' % (i, b'v' * 1000) for i in range(200))
    refused(world, b'GET /h HTTP/1.1\r\n' + H + many + b'\r\n', (494,))
    small = b''.join(b'X-%d: v\r\n' % i for i in range(1100))
    refused(world, b'GET /h HTTP/1.1\r\n' + H + small + b'\r\n', (494,))


def test_reframed_safely(world):
    """Accepted by nginx, but what the back end gets is clean."""
    for data in (
    b'GET /h/lf HTTP/1.1\nHost: test.example\nX-A: 1\n\n',
    b'POST /h/lf HTTP/1.1\r\n' +
    H +
    b'Transfer-Encoding: chunked\r\n\r\n2\nok\n0\n\n',
    b'POST /h/lf HTTP/1.1\r\n' +
    H +
     b'Transfer-Encoding: chunked\r\n\r\n2;ext=1\r\nok\r\n0\r\nX-T: 1\r\n\r\n'):
        assert world.gateway.raw(data).startswith(b'HTTP/1.1 200')
        head = world.backend.last['head']
        assert b'\n' not in head.replace(b'\r\n', b'') and b'Transfer-Encoding' not in head and b'X-T' not in head


def test_absolute_target(world):
    got = world.gateway.raw(b'GET http://test.example/h/abs?x=1 HTTP/1.1\r\n' + H + b'\r\n')
    assert got.startswith(b'HTTP/1.1 200') and world.backend.last['target'] == '/h/abs?x=1'


def test_request_smuggled_in_a_body_stays_a_body(world):
    inner = b'GET /h/smuggled HTTP/1.1\r\nHost: test.example\r\n\r\n'
    got = world.gateway.raw(b'POST /h/outer HTTP/1.1\r\n' + H + b'Content-Length: %d\r\n\r\n' % len(inner) + inner)
    assert got.count(b'HTTP/1.1 200') == 1 and world.backend.last['target'] == '/h/outer'


def test_our_headers_cannot_be_spoofed_or_removed(world):
    world.gateway.raw(
    b'GET /h/s HTTP/1.1\r\n' +
    H +
    b'X-Request-Id: forged\r\nx-real-ip: 6.6.6.6\r\nX_Request_Id: f\r\n'
    b'X-Forwarded-Proto: https\r\nX-Appia-App: f\r\nX-APPIA-New: f\r\nX-Apig-Anything: f\r\n'
    b'X-Forwarded-For: 1.2.3.4\r\n'
    b'Connection: close, X-Request-Id, X-Appia-Layer, X-Forwarded-For, X-Forwarded-Proto, X-Mine, Host\r\n'
    b'X-Mine: 1\r\nX-Other: 1\r\n\r\n')
    head = world.backend.last['head'].lower()
    get = world.backend.last['get']
    assert b'forged' not in head and b'6.6.6.6' not in head and b'x_request' not in head and b'x-appia-app' not in head
    assert b'x-appia-new' not in head and get['x-appia-layer'] == '01'
    assert b'x-apig' not in head
    assert get['x-forwarded-for'] == '1.2.3.4, 127.0.0.1' and get['x-forwarded-proto'] == 'http'
    assert len(get['x-request-id']) == 32 and 'x-mine' not in get and get['x-other'] == '1'
    assert 'connection' not in get and get['host'] == world.backend.address


def test_hop_by_hop_headers_stay(world):
    world.gateway.raw(
    b'GET /h/hop HTTP/1.1\r\n' +
    H +
    b'Keep-Alive: 1\r\nTE: trailers\r\nTrailer: X\r\nExpect: 100-continue\r\n'
    b'Proxy-Authorization: x\r\nProxy-Connection: close\r\nAccept: a\r\n\r\n')
    names = {k.lower() for k, _ in world.backend.last['headers']}
    assert names == {'host', 'accept', 'x-forwarded-for', 'x-forwarded-proto', 'x-request-id', 'x-appia-layer'}


def test_slow_trickle(world):
    data = b'POST /h/trickle HTTP/1.1\r\n' + H + b'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n'
    got = world.gateway.raw(None, pieces=[data[i:i + 1] for i in range(len(data))])
    assert got.startswith(b'HTTP/1.1 200') and world.backend.last['body'] == b'abcd'


def test_pipelined_requests(world):
    one = b'GET /h/pipe%d HTTP/1.1\r\n' + H + b'\r\n'
    got = world.gateway.raw(b''.join(one % i for i in range(5)))
    assert got.count(b'HTTP/1.1 200') == 5
    assert [r['target'] for r in world.backend.requests[-5:]] == [f'/h/pipe{i}' for i in range(5)]


def test_internal_places_are_not_on_the_data_port(world):
    for path in ('/metrics', '/nginx_status', '/'):
        assert world.call(path).status == 404


def test_bytes_of_every_kind(world):
    """No random bytes may take the worker down."""
    import random
    rng = random.Random(7)
    workers = world.gateway.workers()
    base = b'POST /h/%s?%s HTTP/1.1\r\n' + H + b'%s: %s\r\nContent-Length: 0\r\n\r\n'
    for _ in range(300):
        parts = tuple(bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20))) for _ in range(4))
        with socket.create_connection(('127.0.0.1', world.gateway.port), 5) as s:
            s.sendall(base % parts)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(5)
            try:
                while s.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    assert world.gateway.workers() == workers
    assert world.call('/h').status == 200
