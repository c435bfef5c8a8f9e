# SPDX-License-Identifier: Apache-2.0
import hashlib
import time

import pytest
from harness import APP, IAM, NONE, MOCK
from signer import sign

HOST = {'Host': 'test.example'}


@pytest.fixture(scope='module')
def world(shared):
    shared.signed = shared.api('/signed', method='ANY', auth=APP, app_code=True, backend_path='/echo')
    shared.authorise(shared.signed, 'app1')
    shared.authorise(shared.signed, 'app3')
    shared.iam = shared.api('/iam', method='ANY', auth=IAM, backend_path='/echo')
    return shared


def signed(
    world,
    target='/signed',
    method='GET',
    body=b'',
    key='key1',
    secret='secret1',
    at=None,
    change=None,
    extra=None,
     **options):
    headers = sign(method, target, {**HOST, **(extra or {})}, body, key, secret, at)
    if change:
        change(headers)
    headers.pop('Host')
    return world.call(target, method=method, headers=headers, body=body or None, **options)


def test_signature(world):
    answer = signed(world)
    assert answer.status == 200
    assert 'authorization' not in world.backend.last['get']


@pytest.mark.parametrize('target', ['/signed?b=2&a=1&a=0', '/signed?x=%20%2F+y&empty=', '/signed?novalue', '/%73igned',
                                    '/signed?%C3%A9=%E4%B8%AD'])
def test_signature_of_odd_targets(world, target):
    assert signed(world, target).status == 200


@pytest.mark.parametrize('size', [1, 1024, 40000, 1000000])
def test_signature_covers_the_body(world, size):
    body = b'b' * size
    assert signed(world, method='POST', body=body).status == 200
    assert world.backend.last['body'] == body
    headers = sign('POST', '/signed', HOST, body, 'key1', 'secret1')
    headers.pop('Host')
    before = len(world.backend.requests)
    answer = world.call('/signed', method='POST', headers=headers, body=body[:-1] + b'X')
    assert (answer.status, answer.code) == (401, 'APIG.0303')
    assert len(world.backend.requests) == before


def test_signature_of_chunked_body(world):
    body = b'chunked body' * 5000
    headers = sign('POST', '/signed', HOST, body, 'key1', 'secret1')
    headers.pop('Host')
    headers['Transfer-Encoding'] = 'chunked'

    def pieces():
        yield body[:10]
        yield body[10:30000]
        yield body[30000:]

    answer = world.call('/signed', method='POST', headers=headers, body=pieces())
    assert answer.status == 200 and world.backend.last['body'] == body
    assert world.backend.last['get']['content-length'] == str(len(body))


def test_declared_payload_hash(world):
    body = b'{"a":1}'
    right = hashlib.sha256(body).hexdigest()
    assert signed(world, method='POST', body=body, extra={'X-Sdk-Content-Sha256': right}).status == 200
    wrong = hashlib.sha256(b'other').hexdigest()
    assert signed(world, method='POST', body=body, extra={'X-Sdk-Content-Sha256': wrong}).status == 401
    assert signed(world, method='POST', body=body, extra={'X-Sdk-Content-Sha256': 'UNSIGNED-PAYLOAD'}).status == 200


def test_wrong_secret(world):
    answer = signed(world, secret='wrong')
    assert (answer.status, answer.code) == (401, 'APIG.0303')
    assert answer.json['error_msg'].startswith('Incorrect app authentication information: verify signature fail, '
                                               'canonicalRequest:GET|/signed/||host:test.example|x-sdk-date:')


def test_unknown_key(world):
    answer = signed(world, key='nokey')
    assert (answer.status, answer.code) == (401, 'APIG.0303')
    assert answer.json['error_msg'] == 'Incorrect app authentication information: app not found, appkey nokey'


def test_expired_signature(world):
    for at in (time.time() - 1000, time.time() + 1000):
        answer = signed(world, at=at)
        assert (answer.status, answer.code) == (401, 'APIG.0303')
        assert 'signature expired, signature time:' in answer.json['error_msg']
        server = answer.json['error_msg'].rsplit('server time:', 1)[1]
        assert abs(time.mktime(time.strptime(server, '%Y%m%dT%H%M%SZ')) - time.mktime(time.gmtime())) < 5


def test_expired_signature_is_refused_before_the_body(world):
    headers = sign('POST', '/signed', HOST, b'x', 'key1', 'secret1', time.time() - 1000)
    head = 'POST /signed HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in headers.items())
    got = world.gateway.raw((head + 'Content-Length: 5000\r\nExpect: 100-continue\r\n\r\n').encode())
    assert got.startswith(b'HTTP/1.1 401') and b'100 Continue' not in got


def test_missing_and_malformed_credentials(world):
    for headers in ({}, {'Authorization': 'Basic eDp5'}, {'Authorization': 'SDK-HMAC-SHA256 Access=key1'},
                    {'Authorization': 'SDK-HMAC-SHA256 Access=key1, SignedHeaders=host, Signature=00'}):
        answer = world.call('/signed', headers=headers)
        assert (answer.status, answer.code) == (401, 'APIG.0303'), headers


def test_signed_headers_must_include_host_and_date(world):
    def unsign(headers):
        headers['Authorization'] = headers['Authorization'].replace('host;', '')
    assert signed(world, change=unsign).status == 401


def test_changed_header_breaks_the_signature(world):
    assert signed(world, extra={'X-Amount': '1'}).status == 200
    assert signed(world, extra={'X-Amount': '1'}, change=lambda h: h.update({'X-Amount': '2'})).status == 401


def test_not_authorised(world):
    answer = signed(world, key='key2', secret='secret2')
    assert (answer.status, answer.code) == (403, 'APIG.0304')
    # who only claims to be the app does not learn that
    assert signed(world, key='key2', secret='wrong').code == 'APIG.0303'
    world.authorise(world.signed, 'app2')
    assert signed(world, key='key2', secret='secret2').status == 200
    world.published.write({'del': f'auth/env-release/{world.signed}/app2'})
    assert signed(world, key='key2', secret='secret2').status == 403


def test_frozen_app(world):
    answer = signed(world, key='key3', secret='secret3')
    assert (answer.status, answer.code) == (405, 'APIG.0502')


def test_signature_too_large(world):
    headers = sign('POST', '/signed', HOST, b'', 'key1', 'secret1')
    head = 'POST /signed HTTP/1.1\r\n' + ''.join(f'{k}: {v}\r\n' for k, v in headers.items())
    got = world.gateway.raw((head + f'Content-Length: {12 * 1024 * 1024 + 1}\r\n\r\n').encode())
    assert got.startswith(b'HTTP/1.1 413') and b'APIG.0201' in got and b'Request entity too large.' in got


def test_app_code(world):
    code = {'X-Apig-AppCode': 'the-code-of-app-1'}
    assert world.call('/signed', headers=code, tls=True).status == 200
    assert 'x-apig-appcode' not in world.backend.last['get']
    answer = world.call('/signed', headers=code)
    assert (answer.status, answer.code) == (401, 'APIG.0303')  # plain HTTP
    assert world.call('/signed', headers={'X-Apig-AppCode': 'wrong'}, tls=True).status == 401
    assert world.call('/signed', headers={'X-Apig-AppCode': ''}, tls=True).status == 401
    assert world.call('/signed', headers={'X-Apig-AppCode': 'the-code-of-app-2'}, tls=True).status == 403
    other = world.api('/no-code', auth=APP, backend_path='/echo')
    world.authorise(other)
    assert world.call('/no-code', headers=code, tls=True).status == 401


def test_app_code_on_plain_http_when_configured(make_world):
    world = make_world(server='appia_appcode_plain on;')
    api = world.api('/c', auth=APP, app_code=True, backend_path='/echo')
    world.authorise(api)
    assert world.call('/c', headers={'X-Apig-AppCode': 'the-code-of-app-1'}).status == 200


def token(world, user='user1', issued=0, expires=3600):
    now = time.time()
    return world.published.write({'put': 'token', 'user_id': user, 'issued_ms': int((now + issued) * 1000),
                                  'expires_ms': int((now + expires) * 1000)})[0]


def test_iam_token(world):
    assert world.call('/iam', headers={'X-Auth-Token': token(world)}).status == 200
    assert 'x-auth-token' not in world.backend.last['get']
    answer = world.call('/iam')
    assert (answer.status, answer.code) == (401, 'APIG.0301') and 'x-auth-token not found' in answer.json['error_msg']
    good = token(world)
    for bad in ('x', good[:-6] + 'AAAAA=', token(world, 'nobody'), token(world, 'user2'), 'A' * 5000):
        answer = world.call('/iam', headers={'X-Auth-Token': bad})
        assert (answer.status, answer.code) == (401, 'APIG.0301'), bad
        assert answer.json['error_msg'].endswith('decrypt token fail')
    answer = world.call('/iam', headers={'X-Auth-Token': token(world, issued=-100, expires=-1)})
    assert answer.status == 401 and 'token expires, expires_at: 20' in answer.json['error_msg']


def test_iam_token_is_void_after_password_change(world):
    old = token(world, issued=-10)
    world.published.write({'put': 'user', 'id': 'user1', 'tokens_after_ms': int(time.time() * 1000) - 5000})
    assert world.call('/iam', headers={'X-Auth-Token': old}).status == 401
    assert world.call('/iam', headers={'X-Auth-Token': token(world)}).status == 200


def test_iam_signature(world):
    assert signed(world, '/iam', key='ak1', secret='aksecret1', method='POST', body=b'abc').status == 200
    answer = signed(world, '/iam', key='nobody', secret='x')
    assert answer.json['error_msg'] == ('Incorrect IAM authentication information: Get secretKey failed,ak:nobody,'
                                        'err:ak not exist')
    assert signed(world, '/iam', key='ak2', secret='aksecret2').status == 401  # disabled user
    assert signed(world, '/iam', key='key1', secret='secret1').status == 401   # an app is no user


def test_access_key_is_locked_after_failures(make_world):
    world = make_world()
    world.api('/iam', auth=IAM, backend_path='/echo')
    for _ in range(4):
        assert 'verify aksk signature fail' in signed(world, '/iam', key='ak1', secret='bad').json['error_msg']
    assert signed(world, '/iam', key='ak1', secret='aksecret1').status == 200  # clears the count
    for _ in range(5):
        signed(world, '/iam', key='ak1', secret='bad')
    answer = signed(world, '/iam', key='ak1', secret='aksecret1')
    assert (answer.status, answer.code) == (401, 'APIG.0301')
    assert 'AK access failed to reach the limit,forbidden.' in answer.json['error_msg']


def test_repeated_credentials_are_refused(world):
    for name in ('Authorization', 'X-Auth-Token', 'X-Stage', 'X-Apig-AppCode', 'X-Sdk-Date'):
        got = world.gateway.raw(
    f'GET /signed HTTP/1.1\r\nHost: test.example\r\n{name}: a\r\n{name}: b\r\n\r\n'.encode())
        assert got.startswith(b'HTTP/1.1 400'), name


def test_credentials_of_open_apis_belong_to_the_back_end(world):
    world.api('/open', auth=NONE, backend_path='/echo')
    world.call('/open', headers={'Authorization': 'Bearer x', 'X-Auth-Token': 't', 'X-Apig-AppCode': 'c'})
    get = world.backend.last['get']
    assert get['authorization'] == 'Bearer x' and get['x-auth-token'] == 't' and 'x-apig-appcode' not in get


def test_wrong_key_file(make_world):
    world = make_world()
    api = world.api('/signed', auth=APP, backend=MOCK, mock_body='x')
    world.authorise(api)
    world.published.write({'put': 'raw', 'key': 'app/app1', 'value': ''})
    assert signed(world).code == 'APIG.0606'
