# SPDX-License-Identifier: Apache-2.0
import socket
import ssl
import threading
import time

import pytest
from backend import Backend
from harness import free_port


def test_down(shared):
    shared.api('/down', address=f'127.0.0.1:{free_port()}')
    answer = shared.call('/down')
    assert (answer.status, answer.code) == (502, 'APIG.0201')
    assert answer.json['error_msg'] == 'Backend unavailable.'
    assert answer.get['content-type'] == 'application/json' and len(answer.get['x-request-id']) == 32
    assert answer.json['request_id'] == answer.get['x-request-id']
    answer = shared.call('/down', method='HEAD')
    assert answer.status == 404  # method


def test_timeout(shared):
    shared.api('/slow', backend_path='/slow/2', timeout_ms=200, retries=0)
    started = time.time()
    answer = shared.call('/slow')
    assert (answer.status, answer.code) == (504, 'APIG.0201')
    assert answer.json['error_msg'] == 'Backend timeout.'
    assert 0.15 < time.time() - started < 1


def count(world, path):
    return sum(r['target'].split('?')[0] == path for r in world.backend.requests)


@pytest.mark.parametrize('method,retries,calls', [('GET', -1, 2), ('POST', -1, 1), ('GET', 0, 1), ('GET', 3, 4),
                                                  ('POST', 2, 3), ('PUT', -1, 2), ('PATCH', -1, 1)])
def test_retries(shared, method, retries, calls):
    path = f'/slow/1/{method}{retries}'
    shared.api(path, method=method, timeout_ms=100, retries=retries)
    assert shared.call(path, method=method, body=b'x' if method != 'GET' else None).status == 504
    assert count(shared, path) == calls


def test_keep_alive_reuse(shared):
    shared.api('/again', backend_path='/echo')
    shared.call('/again')
    before = shared.backend.connections
    for _ in range(20):
        assert shared.call('/again').status == 200
    assert shared.backend.connections == before


def test_closed_idle_connection_is_noticed(shared):
    shared.api('/idle', method='ANY', backend_path='/echo')
    for _ in range(10):
        assert shared.call('/idle', method='POST', body=b'x').status == 200
        shared.backend.drop_connections()
        time.sleep(0.02)


def test_connection_close_is_obeyed(shared):
    shared.api('/closing', backend_path='/close')
    for _ in range(5):
        assert shared.call('/closing').status == 200


def test_bodies_both_ways(shared):
    shared.api('/b/{n}', method='ANY', backend_path='/bytes/{n}')
    for n in (0, 1, 1000, 16384, 70000, 5000000):
        answer = shared.call(f'/b/{n}', method='POST', body=b'y' * n)
        assert answer.status == 200 and answer.body == b'x' * n
        assert len(shared.backend.last['body']) == n
        assert shared.backend.last['get'].get('content-length', '0') == str(n)


def test_request_body_limit(shared):
    answer = shared.gateway.raw(b'POST /b/1 HTTP/1.1\r\nHost: test.example\r\nContent-Length: 12582913\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 413') and b'Request entity too large.' in answer
    assert answer.count(b'HTTP/1.1') == 1
    with socket.create_connection(('127.0.0.1', shared.gateway.port), 10) as s:
        s.sendall(b'POST /b/1 HTTP/1.1\r\nHost: test.example\r\nTransfer-Encoding: chunked\r\n\r\n')
        chunk = b'10000\r\n' + b'z' * 65536 + b'\r\n'
        got = b''
        try:
            for _ in range(250):
                s.sendall(chunk)
            s.sendall(b'0\r\n\r\n')
        except OSError:
            pass
        try:
            got = s.recv(65536)
        except OSError:
            pass
    assert not got or got.startswith(b'HTTP/1.1 413')
    assert shared.call('/b/5').status == 200


def test_head_and_no_content(shared):
    shared.api('/any', method='ANY', backend_path='/echo')
    for _ in range(3):
        answer = shared.call('/any', method='HEAD')
        assert answer.status == 200 and answer.body == b''
    assert shared.call('/any', method='DELETE').status == 200
    shared.api('/304', backend_path='/status/304')
    for _ in range(3):
        assert shared.call('/304').status == 304


def test_front_and_back_method_differ(shared):
    shared.api('/as-post', method='GET', backend_method='POST', backend_path='/echo')
    assert shared.call('/as-post').status == 200
    assert shared.backend.last['method'] == 'POST'
    shared.api('/as-head', method='GET', backend_method='HEAD', backend_path='/echo')
    for _ in range(3):
        answer = shared.call('/as-head')
        assert answer.status == 200 and answer.body == b''


def test_chunked_until_close_and_interim_answers(shared):
    for path, body in (('/chunked', b'hello world'), ('/until-close', b'until the end'), ('/interim', b'ok')):
        shared.api(path)
        for _ in range(3):
            answer = shared.call(path)
            assert (answer.status, answer.body) == (200, body), path


@pytest.mark.parametrize('kind', ['garbage', 'two-lengths', 'odd-coding', 'uninvited'])
def test_broken_answers_are_bad_gateways(shared, kind):
    shared.api(f'/raw/{kind}')
    answer = shared.call(f'/raw/{kind}')
    assert (answer.status, answer.code) == (502, 'APIG.0201')


@pytest.mark.parametrize('kind', ['too-long', 'after-chunks', 'both'])
def test_unclean_exchanges_are_not_pooled(shared, kind):
    shared.api(f'/raw/{kind}')
    shared.api(f'/clean-{kind}', backend_path='/echo')
    for _ in range(5):
        answer = shared.call(f'/raw/{kind}')
        assert (answer.status, answer.body) == (200, b'ok')
        assert b'forged' not in shared.call(f'/clean-{kind}').body


def test_truncated_answers_are_visible(shared):
    for kind in ('short', 'bad-chunk'):
        shared.api(f'/raw/{kind}')
        got = shared.gateway.raw(f'GET /raw/{kind} HTTP/1.1\r\nHost: test.example\r\n\r\n'.encode())
        assert not got or (got.startswith(b'HTTP/1.1 200') and not got.endswith(b'0\r\n\r\n'))
    shared.api('/raw/short-then-fine', backend_path='/echo')
    assert shared.call('/raw/short-then-fine').status == 200


def test_early_answer_with_unread_body(shared):
    shared.api('/early', method='POST')
    shared.api('/after-early', backend_path='/echo')
    for _ in range(3):
        answer = shared.call('/early', method='POST', body=b'e' * 3000000)
        assert answer.status in (200, 502)
        assert shared.call('/after-early').status == 200


def test_reset_by_back_end(shared):
    shared.api('/reset', method='ANY')
    before = count(shared, '/reset')
    assert shared.call('/reset').status == 502
    assert count(shared, '/reset') - before == 2  # repeated once
    before = count(shared, '/reset')
    assert shared.call('/reset', method='POST', body=b'x').status == 502
    assert count(shared, '/reset') - before == 1


def test_name_resolution(shared):
    shared.api('/by-name', address=f'localhost:{shared.backend.port}', backend_path='/echo')
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(shared.call('/by-name').status)) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert answers == [200] * 20
    assert shared.backend.last['get']['host'] == f'localhost:{shared.backend.port}'
    shared.api('/no-name', address='does-not-exist.invalid:80')
    for _ in range(3):
        answer = shared.call('/no-name')
        assert (answer.status, answer.code) == (500, 'APIG.0605')
    shared.api('/bad-address', address='a b:x')
    assert shared.call('/bad-address').code == 'APIG.0105'


def test_signed_call_to_a_name(shared):
    from harness import APP
    from signer import sign
    api = shared.api('/named-signed', method='POST', auth=APP, address=f'ip6-localhost.localhost:{shared.backend.port}',
                     backend_path='/echo')
    shared.authorise(api)
    headers = sign('POST', '/named-signed', {'Host': 'test.example'}, b'abc', 'key1', 'secret1')
    headers.pop('Host')
    answer = shared.call('/named-signed', method='POST', headers=headers, body=b'abc')
    assert answer.status in (200, 500)  # whether such names resolve depends on the machine


def test_host_header(shared):
    shared.api('/host', host_header='other.example', backend_path='/echo')
    shared.call('/host')
    assert shared.backend.last['get']['host'] == 'other.example'


def tls_backend(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)

    def note(sock, name, _):
        sock.sni = name

    context.sni_callback = note
    return Backend(ssl_context=context)


def test_tls_back_end(make_world, certificate):
    world = make_world(main=f'appia_trusted_certificate {certificate[0]};')
    back = tls_backend(certificate)
    port = back.port
    world.api('/tls', tls=True, address=f'127.0.0.1:{port}', backend_path='/echo')
    world.api('/named', tls=True, tls_verify=True, address=f'localhost:{port}', backend_path='/echo')
    world.api('/other-name', tls=True, tls_verify=True, address=f'127.0.0.1:{port}', host_header='evil.example')
    world.api('/right-name', tls=True, tls_verify=True, address=f'127.0.0.1:{port}', host_header='back.example',
              backend_path='/echo')
    for _ in range(3):
        assert world.call('/tls').status == 200
        assert world.call('/named').status == 200
        assert back.last['server_name'] == 'localhost'
        assert world.call('/right-name').status == 200
        assert back.last['server_name'] == 'back.example'
        answer = world.call('/other-name')
        assert (answer.status, answer.code) == (502, 'APIG.0201')
    # one connection per identity, each used again
    used = {}
    for r in back.requests:
        used.setdefault(r['connection'], set()).add((r['server_name'], r['get']['host']))
    assert all(len(v) == 1 for v in used.values()) and len(used) == 3
    back.close()


def test_untrusted_back_end(make_world, certificate):
    world = make_world()
    back = tls_backend(certificate)
    world.api('/verify', tls=True, tls_verify=True, address=f'localhost:{back.port}')
    assert world.call('/verify').status == 502
    assert not back.requests
    back.close()


def test_websocket(shared):
    shared.api('/websocket')
    with socket.create_connection(('127.0.0.1', shared.gateway.port), 5) as s:
        s.sendall(b'GET /websocket HTTP/1.1\r\nHost: test.example\r\nConnection: keep-alive, Upgrade\r\n'
                  b'Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n')
        got = s.recv(4096)
        assert got.startswith(b'HTTP/1.1 101')
        s.sendall(b'frames')
        while b'hello:frames' not in got:
            part = s.recv(4096)
            assert part
            got += part


def test_upgrade_to_anything_else_is_ignored(shared):
    shared.api('/h2c', backend_path='/echo')
    shared.gateway.raw(b'GET /h2c HTTP/1.1\r\nHost: test.example\r\nConnection: Upgrade, HTTP2-Settings\r\n'
                       b'Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n')
    get = shared.backend.last['get']
    assert shared.backend.last['target'] == '/echo'
    assert 'upgrade' not in get and 'http2-settings' not in get and 'connection' not in get


def test_client_goes_away(shared):
    shared.api('/gone', backend_path='/slow/0.3')
    for _ in range(5):
        s = socket.create_connection(('127.0.0.1', shared.gateway.port), 5)
        s.sendall(b'GET /gone HTTP/1.1\r\nHost: test.example\r\n\r\n')
        time.sleep(0.02)
        s.close()
    assert shared.call('/again' if count(shared, '/echo') else '/gone').status == 200


def test_worker_of_livedata_is_down(make_world):
    from harness import LIVEDATA
    world = make_world()
    world.worker.close()
    world.api('/ld', backend=LIVEDATA, livedata_id='x')
    answer = world.call('/ld')
    assert (answer.status, answer.code) == (502, 'APIG.0201')
