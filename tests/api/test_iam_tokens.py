# SPDX-License-Identifier: Apache-2.0
"""Tokens: POST and GET /v3/auth/tokens, lock-out, password change."""
import base64
import json
import os
import re
import subprocess
import time

import pytest

from lib.appiad import Appiad

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
PASSWORD = 'Example_Pa55'


def login_body(c, **over):
    user = {'name': c['user'], 'password': c['password'], 'domain': {'name': c['domain']}}
    user.update(over)
    return {'auth': {'identity': {'methods': ['password'], 'password': {'user': user}},
                     'scope': {'project': {'name': c['project_name']}}}}


def create(appiad, name, groups=(), password=PASSWORD):
    r = appiad.call('POST', '/v3/users', {'user': {'name': name, 'password': password}})
    assert r.status == 201, r
    user = r.json['user']['id']
    for g in groups:
        group = appiad.call('GET', f'/v3/groups?name={g}').json['groups'][0]['id']
        assert appiad.call('PUT', f'/v3/groups/{group}/users/{user}').status == 204
    return user


def attempt(appiad, name, password):
    return appiad.raw('POST', '/v3/auth/tokens', login_body(appiad.credentials, name=name, password=password))


def test_project_scope(appiad):
    c = appiad.credentials
    r = appiad.raw('POST', '/v3/auth/tokens', login_body(c))
    assert r.status == 201, r
    token = r.json['token']
    assert r.headers['x-subject-token']
    assert token['methods'] == ['password']
    assert token['project'] == {'id': c['project_id'], 'name': c['project_name'], 'domain': token['user']['domain']}
    assert token['user']['name'] == c['user'] and token['user']['domain']['name'] == c['domain']
    assert {'id': 'administrator', 'name': 'administrator'} in token['roles']
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z', token['expires_at'])
    roma = [s for s in token['catalog'] if s['name'] == 'roma'][0]
    assert roma['endpoints'][0]['url'].endswith('/v2/' + c['project_id'])


def test_other_scopes(appiad):
    c = appiad.credentials
    body = login_body(c)
    body['auth']['scope'] = {'project': {'id': c['project_id']}}
    assert appiad.raw('POST', '/v3/auth/tokens?nocatalog=true', body).json['token'].get('catalog') is None
    body['auth']['scope'] = {'domain': {'name': c['domain']}}
    token = appiad.raw('POST', '/v3/auth/tokens', body).json['token']
    assert token['domain']['name'] == c['domain'] and 'project' not in token
    del body['auth']['scope']
    r = appiad.raw('POST', '/v3/auth/tokens', body)
    assert r.status == 201 and 'project' not in r.json['token']
    # account-wide tokens work on every project of the account
    assert appiad.call('GET', '/v2/{project_id}/instances', token=r.headers['x-subject-token']).status == 200


@pytest.mark.parametrize('change, status', [
    (lambda a: a['identity'].pop('methods'), 400),
    (lambda a: a.pop('identity'), 400),
    (lambda a: a['identity'].update(methods=['sms']), 400),
    (lambda a: a['identity'].update(methods=[]), 400),
    (lambda a: a['identity'].pop('password'), 400),
    (lambda a: a['identity']['password']['user'].pop('password'), 400),
    (lambda a: a['identity']['password']['user'].pop('name'), 400),
    (lambda a: a['identity']['password']['user'].pop('domain'), 400),
    (lambda a: a['identity']['password']['user'].update(name=7), 400),
    (lambda a: a['identity']['password']['user'].update(password='wrong'), 401),
    (lambda a: a['identity']['password']['user'].update(name='nobody'), 401),
    (lambda a: a['identity']['password']['user'].update(domain={'name': 'nowhere'}), 401),
    (lambda a: a.update(scope={'project': {'name': 'nowhere'}}), 404),
    (lambda a: a.update(scope={'project': {}}), 400),
    (lambda a: a.update(scope={'domain': {'id': 'nowhere'}}), 404),
    (lambda a: a['identity'].update(methods=['assume_role'], assume_role={'agency_name': 'x'}), 404),
    (lambda a: a['identity'].update(methods=['token']), 400),
    (lambda a: a['identity'].update(methods=['token'], token={'id': 'forged'}), 401),
])
def test_refused(appiad, change, status):
    body = login_body(appiad.credentials)
    change(body['auth'])
    r = appiad.raw('POST', '/v3/auth/tokens', body)
    assert r.status == status, r
    error = r.json['error']
    assert error['code'] == status and error['message'] and error['title']
    assert 'x-subject-token' not in r.headers


def test_not_json(appiad):
    r = appiad.raw('POST', '/v3/auth/tokens', b'{"auth":')
    assert r.status == 400 and r.json['error']['code'] == 400


def test_by_token(appiad):
    first = appiad.login()
    body = {'auth': {'identity': {'methods': ['token'], 'token': {'id': first}},
                     'scope': {'domain': {'name': appiad.credentials['domain']}}}}
    r = appiad.raw('POST', '/v3/auth/tokens', body)
    assert r.status == 201, r
    old = appiad.call('GET', '/v3/auth/tokens', headers={'X-Subject-Token': first}).json['token']
    assert r.json['token']['expires_at'] == old['expires_at'], 'a token must not prolong itself'
    assert 'project' not in r.json['token']


def test_validate(appiad):
    token = appiad.login()
    r = appiad.call('GET', '/v3/auth/tokens', headers={'X-Subject-Token': token})
    assert r.status == 200 and r.headers['x-subject-token'] == token
    assert r.json['token']['project']['id'] == appiad.credentials['project_id']
    assert appiad.call('GET', '/v3/auth/tokens?nocatalog=1', headers={'X-Subject-Token': token}).json['token'].get(
        'catalog') is None
    assert appiad.call('GET', '/v3/auth/tokens', headers={'X-Subject-Token': token[:-6] + 'AAAAAA'}).status == 404
    assert appiad.call('GET', '/v3/auth/tokens').status == 400
    assert appiad.raw('GET', '/v3/auth/tokens', headers={'X-Subject-Token': token}).status == 401


def test_validate_of_others(appiad):
    create(appiad, 'curious')
    admin, other = appiad.login(), appiad.login('curious', PASSWORD)
    assert appiad.call('GET', '/v3/auth/tokens', token=other, headers={'X-Subject-Token': admin}).status == 403
    assert appiad.call('GET', '/v3/auth/tokens', token=other, headers={'X-Subject-Token': other}).status == 200
    assert appiad.call('GET', '/v3/auth/tokens', headers={'X-Subject-Token': other}).status == 200


@pytest.mark.parametrize('token', ['x', '', 'A' * 200, 'A' * 20000])
def test_forged_token(appiad, token):
    r = appiad.raw('GET', '/v3/auth/projects', headers={'X-Auth-Token': token})
    assert r.status in (401, 431), r
    r = appiad.raw('GET', '/v2/' + appiad.credentials['project_id'] + '/instances', headers={'X-Auth-Token': token})
    assert r.status in (401, 431), r
    if r.status == 401:
        assert r.json['error_code'] in ('ROMA.1002', 'ROMA.1000')


def test_lock_out(appiad):
    create(appiad, 'clumsy')
    for _ in range(4):
        assert attempt(appiad, 'clumsy', 'wrong').status == 401
    assert attempt(appiad, 'clumsy', PASSWORD).status == 201, 'four are allowed, and success starts anew'
    for _ in range(5):
        r = attempt(appiad, 'clumsy', 'wrong')
        assert r.status == 401 and 'locked' not in r.json['error']['message']
    r = attempt(appiad, 'clumsy', PASSWORD)
    assert r.status == 401 and r.json['error']['message'] == 'Account locked.'
    # the administrator gives a new password, which ends the lock
    user = appiad.call('GET', '/v3/users?name=clumsy').json['users'][0]['id']
    assert appiad.call('PATCH', f'/v3/users/{user}', {'user': {'password': 'Other_Pa55'}}).status == 200
    assert attempt(appiad, 'clumsy', 'Other_Pa55').status == 201


def test_password_change(appiad):
    user = create(appiad, 'careful')
    token = appiad.login('careful', PASSWORD)
    path = f'/v3/users/{user}/password'

    def change(original, password, t=token):
        return appiad.call('POST', path, {'user': {'original_password': original, 'password': password}}, token=t)

    assert change('wrong', 'Newer_Pa55').status == 401
    assert change(PASSWORD, PASSWORD).status == 400
    assert change(PASSWORD, 'short').status == 400
    assert change(PASSWORD, 'alllowercase').status == 400
    assert change(PASSWORD, 'careful').status == 400
    assert change(PASSWORD, 'x' * 33 + 'A1').status == 400
    assert change(PASSWORD, 'Newer_Pa55', t=appiad.login()).status == 403, 'only the own one'
    assert change(PASSWORD, 'Newer_Pa55').status == 204
    r = appiad.call('GET', '/v3/auth/projects', token=token)
    assert r.status == 401, 'earlier tokens are void'
    assert attempt(appiad, 'careful', PASSWORD).status == 401
    assert attempt(appiad, 'careful', 'Newer_Pa55').status == 201


def test_token_of_a_user_that_goes(appiad):
    user = create(appiad, 'leaver')
    token = appiad.login('leaver', PASSWORD)
    assert appiad.call('GET', '/v3/auth/projects', token=token).status == 200
    assert appiad.call('PATCH', f'/v3/users/{user}', {'user': {'enabled': False}}).status == 200
    assert appiad.call('GET', '/v3/auth/projects', token=token).status == 401
    assert attempt(appiad, 'leaver', PASSWORD).status == 403
    assert appiad.call('PATCH', f'/v3/users/{user}', {'user': {'enabled': True}}).status == 200
    assert appiad.call('GET', '/v3/auth/projects', token=token).status == 401, 'does not come back'
    assert appiad.call('DELETE', f'/v3/users/{user}').status == 204
    assert attempt(appiad, 'leaver', PASSWORD).status == 401


ID_TOKENS = '/v3.0/OS-AUTH/id-token/tokens'


def test_id_token_without_provider(appiad):
    body = {'auth': {'id_token': {'id': 'eyJ'}}}
    r = appiad.raw('POST', ID_TOKENS, body, {'X-Idp-Id': 'google'})
    assert r.status == 401 and r.json['error_code'] == 'IAM.0001'
    assert appiad.raw('POST', ID_TOKENS, body).status == 400


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def openssl(*args, data=None):
    return subprocess.run(['openssl', *args], input=data, capture_output=True, check=True).stdout


class Provider:
    """An OpenID Connect provider: two keys, and the entry of the file that names it."""

    def __init__(self, folder):
        self.folder = str(folder)
        openssl('genrsa', '-out', self.folder + '/rsa', '2048')
        openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', self.folder + '/ec')
        modulus = openssl('rsa', '-in', self.folder + '/rsa', '-noout', '-modulus').decode().strip().split('=')[1]
        point = openssl('ec', '-in', self.folder + '/ec', '-pubout', '-outform', 'DER')[-64:]
        self.entry = {'id': 'corp', 'issuer': 'https://id.example.com', 'audience': 'appia', 'user_claim': 'preferred_username',
                      'keys': {'keys': [
                          {'kty': 'RSA', 'kid': 'r', 'n': url64(bytes.fromhex(modulus)), 'e': 'AQAB'},
                          {'kty': 'EC', 'kid': 'e', 'crv': 'P-256', 'x': url64(point[:32]), 'y': url64(point[32:])}]}}
        self.write([self.entry])

    def write(self, providers):
        with open(self.folder + '/providers.json', 'w', encoding='utf-8') as f:
            f.write(providers if isinstance(providers, str) else json.dumps(providers))

    def sign(self, algorithm, data):
        signature = openssl('dgst', '-sha256', '-sign', self.folder + ('/ec' if algorithm == 'ES256' else '/rsa'), data=data)
        if algorithm != 'ES256':
            return signature
        numbers, at = b'', 2  # two numbers in DER
        for _ in range(2):
            n = signature[at + 1]
            numbers += signature[at + 2:at + 2 + n].lstrip(b'\0').rjust(32, b'\0')
            at += 2 + n
        return numbers

    def token(self, algorithm='RS256', header=None, **claims):
        now = time.time()
        claims = {'iss': self.entry['issuer'], 'aud': 'appia', 'sub': '1', 'preferred_username': 'admin', 'iat': now,
                  'exp': now + 300, **claims}
        head = {'alg': algorithm, 'kid': 'e' if algorithm == 'ES256' else 'r', **(header or {})}
        text = url64(json.dumps(head).encode()) + '.' + url64(json.dumps(claims).encode())
        return text + '.' + url64(self.sign(algorithm, text.encode()))


@pytest.fixture(scope='module')
def federated(tmp_path_factory):
    provider = Provider(tmp_path_factory.mktemp('idp'))
    a = Appiad(tmp_path_factory.mktemp('federated'), {'APPIA_IAM_IDENTITY_PROVIDERS': provider.folder + '/providers.json'})
    a.provider = provider
    yield a
    assert a.stop() == 0


def by_id_token(appiad, token, provider='corp', **auth):
    return appiad.raw('POST', ID_TOKENS, {'auth': {'id_token': {'id': token}, **auth}}, {'X-Idp-Id': provider})


def test_id_token(federated):
    project = {'project': {'name': federated.credentials['project_name']}}
    for algorithm in ('RS256', 'ES256'):
        r = by_id_token(federated, federated.provider.token(algorithm), scope=project)
        assert r.status == 201, r
        token = r.json['token']
        assert token['user']['name'] == 'admin' and token['methods'] == ['mapped'] and token['catalog']
        assert token['user']['OS-FEDERATION']['identity_provider'] == {'id': 'corp'}
        assert token['project']['id'] == federated.credentials['project_id']
        assert federated.call('GET', APPS, token=r.headers['x-subject-token']).status == 200
    r = by_id_token(federated, federated.provider.token(aud=['other', 'appia']))
    assert r.status == 201 and 'project' not in r.json['token'] and r.json['token']['domain']['name'] == 'appia'
    r = by_id_token(federated, federated.provider.token(), scope={'project': {'name': 'nowhere'}})
    assert r.status == 404, r


def test_id_token_refused(federated):
    p, now = federated.provider, time.time()
    good = p.token()
    head, claims, signature = good.split('.')
    none = url64(b'{"alg":"none"}') + '.' + claims + '.'
    hmac = url64(b'{"alg":"HS256","kid":"r"}') + '.' + claims
    ec = p.token('ES256')
    bad = {
        'malformed': ['', 'x', 'a.b', '..', 'a.b.c.d', head + '..' + signature, good + '=', '!' + good, 'x' * 70000,
                      url64(b'[]') + '.' + claims + '.' + signature],
        'no signature of': [none, hmac + '.' + url64(b'x' * 32), head + '.' + url64(b'{}') + '.' + signature,
                            good[:-8] + 'AAAAAAAA', p.token('RS256', {'kid': 'e'}), p.token('RS256', {'kid': 'x'}),
                            p.token('RS256', {'alg': 'ES256'}), p.token(header={'crit': ['exp']}),
                            ec.rpartition('.')[0] + '.' + url64(b'\0' * 64), ec.rpartition('.')[0] + '.' + url64(b'\1' * 63)],
        'another issuer': [p.token(iss='https://evil.example.com'), p.token(iss=None)],
        'another audience': [p.token(aud='other'), p.token(aud=['x', 1]), p.token(aud=None), p.token(aud={'appia': 1})],
        'expired': [p.token(exp=now - 120), p.token(exp=None), p.token(exp='9999999999'), p.token(exp=1e300), p.token(exp=-1)],
        'future': [p.token(nbf=now + 300), p.token(iat=now + 300)],
        'names no user': [p.token(preferred_username=None), p.token(preferred_username=''), p.token(preferred_username=['admin'])],
        'unknown here': [p.token(preferred_username='nobody')]}
    for why, tokens in bad.items():
        for token in tokens:
            r = by_id_token(federated, token)
            assert r.status in (400, 401) and (r.status == 400 or why in r.json['error_msg']), (why, token, r)
            assert len(token) < 20 or token not in r.body.decode()
    assert by_id_token(federated, good, 'other').status == 401
    assert federated.call('POST', '/v3/users', {'user': {'name': 'leaving', 'password': PASSWORD, 'enabled': False}}).status == 201
    assert by_id_token(federated, p.token(preferred_username='leaving')).status == 401


def test_id_token_file(federated):
    """Read at each call; a broken one lets nobody in."""
    p, token = federated.provider, federated.provider.token()
    for text in ('', '[', '{}', '[{"id":"corp"}]', '[1, {"id":"corp","issuer":1,"audience":"appia","keys":[]}]',
                 json.dumps([{**p.entry, 'keys': {}}]),
                 json.dumps([{**p.entry, 'keys': {'keys': [{'kty': 'RSA', 'n': 'AQAB', 'e': 'AQAB'}]}}])):
        p.write(text)
        assert by_id_token(federated, token).status == 401, text
    os.unlink(p.folder + '/providers.json')
    assert by_id_token(federated, token).status == 401
    p.write([{**p.entry, 'id': 'first', 'audience': 'x'}, {k: v for k, v in p.entry.items() if k != 'user_claim'}])
    assert by_id_token(federated, p.token(sub='admin', preferred_username='nobody')).status == 201
    p.write([p.entry])
    assert by_id_token(federated, token).status == 201
