# SPDX-License-Identifier: Apache-2.0
"""Tokens: POST and GET /v3/auth/tokens, lock-out, password change."""
import re

import pytest

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


def test_id_token(appiad):
    body = {'auth': {'id_token': {'id': 'eyJ'}}}
    r = appiad.raw('POST', '/v3.0/OS-AUTH/id-token/tokens', body, {'X-Idp-Id': 'google'})
    assert r.status == 401 and r.json['error_code'] == 'IAM.0001'
    assert appiad.raw('POST', '/v3.0/OS-AUTH/id-token/tokens', body).status == 400
