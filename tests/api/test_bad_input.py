# SPDX-License-Identifier: Apache-2.0
"""Bytes that are not what HTTP and JSON say they should be, to the front door (nginx) and straight to the socket of the
control plane. Whatever comes: an answer or a closed connection in time, the documented error, and a daemon that goes on."""
import json
import re
import socket
import time

import pytest

from lib.platform import Platform

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
SECONDS = 20


@pytest.fixture(scope='module')
def platform():
    p = Platform()
    yield p
    p.stop()


@pytest.fixture(params=['front door', 'socket'])
def talk(platform, request):
    """talk(bytes) -> all bytes of the answer, until the other end closes or has answered everything."""
    def connect():
        if request.param == 'socket':
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(SECONDS)
            s.connect(platform.socket)
            return s
        return socket.create_connection(('127.0.0.1', platform.ports['MANAGEMENT_HTTP']), SECONDS)

    def exchange(data, half_close=True):
        with connect() as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            got = b''
            try:
                while chunk := s.recv(65536):
                    got += chunk
            except ConnectionError:
                pass
            return got
    exchange.connect, exchange.direct = connect, request.param == 'socket'
    return exchange


@pytest.fixture(autouse=True)
def still_there(platform):
    before = platform.children()
    yield
    assert platform.raw('GET', '/').status in (200, 300)
    assert platform.children() == before, 'no process died'


def status(got):
    found = re.match(rb'HTTP/1\.[01] (\d{3})', got)
    return int(found.group(1)) if found else None


HOST = b'Host: x\r\n'
MALFORMED = {
    'no request': b'\r\n\r\n', 'binary': bytes(range(256)) * 4, 'tls on a plain port': b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc' * 20,
    'no version': b'GET /\r\n\r\n', 'version 9': b'GET / HTTP/9.9\r\n' + HOST + b'\r\n', 'no path': b'GET  HTTP/1.1\r\n' + HOST + b'\r\n',
    'no host': b'GET / HTTP/1.1\r\n\r\n', 'two hosts': b'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'bad host': b'GET / HTTP/1.1\r\nHost: a b/<>\r\n\r\n', 'no colon': b'GET / HTTP/1.1\r\n' + HOST + b'Nonsense\r\n\r\n',
    'space before colon': b'GET / HTTP/1.1\r\n' + HOST + b'A : b\r\n\r\n',
    'nul in header': b'GET / HTTP/1.1\r\n' + HOST + b'A: b\0c\r\n\r\n',
    'nul in path': b'GET /\0 HTTP/1.1\r\n' + HOST + b'\r\n', 'bad percent': b'GET /%zz HTTP/1.1\r\n' + HOST + b'\r\n',
    'encoded nul': b'GET /%00 HTTP/1.1\r\n' + HOST + b'\r\n', 'dots': b'GET /../../etc/passwd HTTP/1.1\r\n' + HOST + b'\r\n',
    'encoded dots': b'GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n' + HOST + b'\r\n',
    'long path': b'GET /' + b'a' * 70000 + b' HTTP/1.1\r\n' + HOST + b'\r\n',
    'long header': b'GET / HTTP/1.1\r\n' + HOST + b'A: ' + b'b' * 300000 + b'\r\n\r\n',
    'many headers': b'GET / HTTP/1.1\r\n' + HOST + b''.join(b'A%d: b\r\n' % i for i in range(20000)) + b'\r\n',
    'length is text': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Content-Length: abc\r\n\r\n',
    'length negative': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Content-Length: -5\r\n\r\n',
    'length huge': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Content-Length: 99999999999999999999999\r\n\r\n',
    'two lengths': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    'length and chunks': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'bad chunk': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Transfer-Encoding: chunked\r\n\r\nzz\r\n',
    'huge chunk': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx',
    'unknown coding': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Transfer-Encoding: gzip\r\n\r\nx',
    'bad method': b'G\x01T / HTTP/1.1\r\n' + HOST + b'\r\n', 'unknown method': b'BREW / HTTP/1.1\r\n' + HOST + b'\r\n',
    'connect': b'CONNECT 127.0.0.1:22 HTTP/1.1\r\n' + HOST + b'\r\n', 'trace': b'TRACE / HTTP/1.1\r\n' + HOST + b'\r\n',
    'body missing': b'POST /v3/auth/tokens HTTP/1.1\r\n' + HOST + b'Content-Length: 100\r\n\r\n{}', 'header cut': b'GET / HTTP/1.1\r\nHos',
    'folded': b'GET / HTTP/1.1\r\n' + HOST + b'A: b\r\n c\r\n\r\n', 'bare lf': b'GET / HTTP/1.1\nHost: x\n\n',
}


@pytest.mark.parametrize('name', MALFORMED)
def test_malformed_http(talk, name):
    got = talk(MALFORMED[name])
    code = status(got)
    assert code is None or code < 500 or code in (501, 505), got[:300]
    assert b'root:' not in got and b'Sanitizer' not in got
    if code and code not in (200, 300) and not talk.direct and b'application/json' in got:
        body = json.loads(got.split(b'\r\n\r\n', 1)[1])
        assert body.get('error_code') or body.get('error')


@pytest.mark.parametrize(
    'data',
    [
        b'POST /v3/auth/tokens HTTP/1.1\r\n' +
        HOST +
        b'Content-Length: 30\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n',
        b'POST /v3/auth/tokens HTTP/1.1\r\n' +
        HOST +
        b'Content-Length: 5\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n',
        b'POST /v3/auth/tokens HTTP/1.1\r\n' +
        HOST +
         b'Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'])
def test_no_request_inside_another(talk, data):
    """Two lengths that disagree end the connection: what follows is not answered as a request of its own."""
    if talk.direct:
        pytest.skip('only nginx connects to the socket, with requests it has normalised')
    assert talk(data).count(b'HTTP/1.1 ') <= 1


def test_pipelined(talk):
    one = b'GET / HTTP/1.1\r\n' + HOST
    got = talk((one + b'\r\n') * 19 + one + b'Connection: close\r\n\r\n', half_close=False)
    assert got.count(b'HTTP/1.1 ') == 20


def test_slow_and_silent_clients(platform, talk):
    """A hundred connections that say little or nothing do not keep others from being answered."""
    silent = [talk.connect() for _ in range(100)]
    for n, s in enumerate(silent):
        s.sendall(b'POST /v3/auth/tokens HTTP/1.1\r\n'[:n % 30])
    began = time.monotonic()
    for _ in range(20):
        assert platform.raw('GET', '/').status in (200, 300)
        assert platform.call('GET', APPS).status == 200
    assert time.monotonic() - began < 10
    for s in silent:
        s.close()


# --- JSON

def auth(user):
    return {'auth': {'identity': {'methods': ['password'], 'password': {'user': user}}}}


BAD_JSON = { 'empty': b'',
    'space': b'   ',
    'nul': b'\0',
    'text': b'hello',
    'number': b'17',
    'string': b'"x"',
    'null': b'null',
    'list': b'[]',
    'half': b'{"name":',
    'open': b'{' * 1000,
    'lists': b'[' * 100000,
    'deep': b'{"name":' * 5000 + b'1' + b'}' * 5000,
    'deep list': b'{"name":' + b'[' * 50000 + b']' * 50000 + b'}',
    'trailing': b'{"name":"a"} x',
    'two': b'{"name":"a"}{"name":"b"}',
    'comma': b'{"name":"a",}',
    'no comma': b'{"name":"a" "remark":"b"}',
    'single quotes': b"{'name':'a'}",
    'comment': b'{"name":"a"/*x*/}',
    'duplicate': b'{"name":"a","name":"b"}',
    'duplicate deep': b'{"name":"a","x":{"y":1,"y":2}}',
    'duplicate escaped': b'{"name":"a","n\\u0061me":"b"}',
    'invalid utf-8': b'{"name":"\xff"}',
    'overlong': b'{"name":"\xc0\xaf"}',
    'surrogate bytes': b'{"name":"\xed\xa0\x80"}',
    'cut utf-8': b'{"name":"\xe9\x9b"}',
    'beyond unicode': b'{"name":"\xf5\x80\x80\x80"}',
    'lone surrogate': b'{"name":"\\ud800"}',
    'wrong surrogates': b'{"name":"\\ud800\\u0041"}',
    'raw control': b'{"name":"a\nb"}',
    'bad escape': b'{"name":"\\x41"}',
    'bad unicode escape': b'{"name":"\\u00g0"}',
    'escaped nul': b'{"name":"a\\u0000b"}',
    'nul in key': b'{"na\\u0000me":"a"}',
    'utf-16': '{"name":"a"}'.encode('utf-16'),
    'leading zero': b'{"name":"a","favorite":01}',
    'nan': b'{"name":NaN}',
    'infinity': b'{"name":-Infinity}',
    'hex': b'{"name":0x10}',
    'plus': b'{"name":+1}',
    'huge number': b'{"name":"a","remark":1e999}',
    'long number': b'{"name":' + b'9' * 100000 + b'}',
    'fraction': b'{"name":1.}',
    'exponent': b'{"name":1e}',
    'megabytes': b'{"name":"' + b'a' * (3 << 20) + b'"}',
    'many members': b'{' + b','.join(b'"k%d":1' % i for i in range(200000)) + b'}',
     }


@pytest.mark.parametrize('name', BAD_JSON)
def test_bad_json(platform, name):
    before = platform.call('GET', APPS).json['total']
    r = platform.call('POST', APPS, BAD_JSON[name], headers={'Content-Type': 'application/json'})
    assert r.status in (400, 413), (name, r)
    assert r.json['error_code'] and r.json['error_msg'] and len(r.body) < 4096, 'the error does not repeat the input'
    assert r.headers['x-request-id'] == r.json['request_id']
    assert platform.call('GET', APPS).json['total'] == before
    # The same bytes where no credentials are needed.
    r = platform.raw('POST', '/v3/auth/tokens', BAD_JSON[name] or b'', {'Content-Type': 'application/json'})
    assert r.status in (400, 413), (name, r)


@pytest.mark.parametrize('value', [10 ** 18, -1, 0, 2 ** 31, 2 ** 63 - 1, 2 **
                         63, -2 ** 63 - 1, 1e300, 1.5, '1e2', '01', '١', 'NaN'])
def test_numbers_out_of_range(platform, value):
    for name in ('limit', 'offset'):
        r = platform.call('GET', APPS, query={name: value})
        natural = str(value).isascii() and str(value).isdigit() and int(value) < 2 ** 63
        assert r.status == 400 or r.status == 200 and natural, (name, value, r)
        assert r.status == 400 or r.json['size'] <= 1000


def test_body_too_large(platform):
    r = platform.call('POST', APPS, b'{"name":"' + b'a' * (70 << 20) + b'"}',
                      headers={'Content-Type': 'application/json'})
    assert r.status == 413 and r.json['error_code'], r


def test_other_content_types(platform):
    for kind in (
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'x',
     ''):
        r = platform.call('POST', APPS, b'name=a', headers={'Content-Type': kind})
        assert r.status in (400, 415), (kind, r)


@pytest.mark.parametrize('headers', [
    {'X-Auth-Token': 'x' * 30000}, {'X-Auth-Token': '\xff\xfe'}, {'Authorization': 'SDK-HMAC-SHA256 ' + 'A=' * 5000},
    {'Authorization': 'SDK-HMAC-SHA256 Access=a, SignedHeaders=' + ';'.join('h%d' % i for i in range(3000)) + ', Signature=' + 'f' * 64},
    {'Authorization': 'SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=zz', 'X-Sdk-Date': '99999999T999999Z'},
    {'Authorization': 'SDK-HMAC-SHA256 Access=a, SignedHeaders=host, Signature=zz', 'X-Sdk-Date': 'yesterday'},
    {'X-Project-Id': "' OR 1=1 --"}, {'X-Request-Id': 'a\tb<script>' * 20}])
def test_hostile_headers(platform, headers):
    r = platform.raw('GET', '/v3/projects', None, headers)
    assert r.status in (400, 401), r
    assert re.fullmatch(r'[0-9a-f]{32}', r.headers['x-request-id'])


def test_hostile_logins(platform):
    for user in ({'name': 'admin' * 1000,
    'password': 'x',
    'domain': {'name': 'appia'}},
    {'name': "admin' --",
    'password': 'x',
    'domain': {'name': 'appia'}},
    {'name': 'admin\u202e',
    'password': 'x' * 100000,
    'domain': {'name': 'appia'}},
    {'name': ['admin'],
    'password': {},
    'domain': 1},
    {'id': 0,
     'password': None}):
        r = platform.raw('POST', '/v3/auth/tokens', auth(user))
        assert r.status in (400, 401), (user, r)
