# SPDX-License-Identifier: Apache-2.0
"""Access keys: permanent and temporary ones, and the signatures made with them."""
import datetime
import json

import pytest

from lib import signer

PASSWORD = 'Example_Pa55'


def signed(appiad, method, path, access=None, secret=None, body=None, when=None, tamper=None, **extra):
    c = appiad.credentials
    path = path.replace('{project_id}', c['project_id']).replace('{instance_id}', c['instance_id'])
    data = json.dumps(body).encode() if body is not None else b''
    headers = {'Host': '127.0.0.1', 'X-Sdk-Date': signer.date(when)}
    headers.update({k.replace('_', '-'): v for k, v in extra.items()})
    if body is not None:
        headers['Content-Type'] = 'application/json'
    headers = signer.sign(method, path, data, headers, access or c['access_key'], secret or c['secret_key'])
    if tamper:
        tamper(headers)
    return appiad.raw(method, path, data or None, headers)


def test_signed_calls(appiad):
    assert signed(appiad, 'GET', '/v2/{project_id}/instances').status == 200
    r = signed(appiad, 'GET', '/v3/projects?name=' + appiad.credentials['project_name'])
    assert [p['id'] for p in r.json['projects']] == [appiad.credentials['project_id']]
    r = signed(appiad, 'POST', '/v2/{project_id}/instances/{instance_id}/apps', body={'name': 'signed app'},
               X_Project_Id=appiad.credentials['project_id'])
    assert r.status == 201, r
    assert signed(appiad, 'GET', '/v3/auth/domains').json['domains'][0]['name'] == appiad.credentials['domain']


def test_last_use(appiad):
    signed(appiad, 'GET', '/v3/auth/domains')
    k = signed(appiad, 'GET', '/v3.0/OS-CREDENTIAL/credentials/' + appiad.credentials['access_key']).json['credential']
    assert k['last_use_time'] > k['create_time'] and 'secret' not in k


@pytest.mark.parametrize('minutes', [-16, 16, -60 * 24 * 365])
def test_window(appiad, minutes):
    when = datetime.datetime.utcnow() + datetime.timedelta(minutes=minutes)
    r = signed(appiad, 'GET', '/v2/{project_id}/instances', when=when)
    assert r.status == 401 and r.json['error_code'] == 'ROMA.1002'
    assert signed(appiad, 'GET', '/v3/projects', when=when).status == 401


@pytest.mark.parametrize('tamper', [
    lambda h: h.update({'X-Sdk-Date': '20191115T033655Z'}),
    lambda h: h.update({'X-Sdk-Date': 'yesterday'}),
    lambda h: h.pop('X-Sdk-Date'),
    lambda h: h.update(Authorization=h['Authorization'][:-4] + '0000'),
    lambda h: h.update(Authorization='SDK-HMAC-SHA256 Access=x'),
    lambda h: h.update(Authorization='SDK-HMAC-SHA256'),
    lambda h: h.update({'X-Project-Id': 'other'}),
])
def test_tampered(appiad, tamper):
    r = signed(appiad, 'GET', '/v3/projects', tamper=tamper, X_Project_Id=appiad.credentials['project_id'])
    assert r.status == 401, r
    signed(appiad, 'GET', '/v3/projects')  # ends the row of failures


def test_unknown_key(appiad):
    r = signed(appiad, 'GET', '/v3/projects', access='NOSUCHKEY', secret='x')
    assert r.status == 401
    wrong = signed(appiad, 'GET', '/v3/projects', secret='x')
    assert wrong.json == r.json, 'whether a key exists stays unknown'
    signed(appiad, 'GET', '/v3/projects')


def test_scope_headers(appiad):
    assert signed(appiad, 'GET', '/v3/projects', X_Project_Id='0' * 32).status == 401
    assert signed(appiad, 'GET', '/v3/projects', X_Domain_Id='0' * 32).status == 401
    domain = signed(appiad, 'GET', '/v3/auth/domains').json['domains'][0]['id']
    assert signed(appiad, 'GET', '/v3/projects', X_Domain_Id=domain).status == 200


def new_user(appiad, name, **fields):
    r = appiad.call('POST', '/v3/users', {'user': {'name': name, 'password': PASSWORD, **fields}})
    assert r.status == 201, r
    return r.json['user']['id']


def new_key(appiad, user, **kw):
    return appiad.call('POST', '/v3.0/OS-CREDENTIAL/credentials', {'credential': {'user_id': user}}, **kw)


def test_key_lock(appiad):
    key = new_key(appiad, new_user(appiad, 'locksmith')).json['credential']
    for _ in range(4):
        assert signed(appiad, 'GET', '/v3/auth/domains', access=key['access'], secret='wrong').status == 401
    assert signed(appiad, 'GET', '/v3/auth/domains', access=key['access'], secret=key['secret']).status == 200
    for _ in range(5):
        assert signed(appiad, 'GET', '/v3/auth/domains', access=key['access'], secret='wrong').status == 401
    r = signed(appiad, 'GET', '/v3/auth/domains', access=key['access'], secret=key['secret'])
    assert r.status == 401 and 'reach the limit' in r.json['error']['message']


def test_permanent_keys(appiad):
    user = new_user(appiad, 'keeper')
    first = new_key(appiad, user)
    assert first.status == 201, first
    k = first.json['credential']
    assert len(k['access']) == 20 and len(k['secret']) == 40 and k['status'] == 'active' and k['user_id'] == user
    assert new_key(appiad, user).status == 201
    assert new_key(appiad, user).status == 400, 'two at most'
    listed = appiad.call('GET', '/v3.0/OS-CREDENTIAL/credentials?user_id=' + user).json['credentials']
    assert len(listed) == 2 and all('secret' not in x for x in listed)
    path = '/v3.0/OS-CREDENTIAL/credentials/' + k['access']
    assert appiad.call('PUT', path, {'credential': {'status': 'inactive', 'description': 'd'}}).json['credential'][
        'status'] == 'inactive'
    assert signed(appiad, 'GET', '/v3/auth/domains', access=k['access'], secret=k['secret']).status == 401
    assert appiad.call('PUT', path, {'credential': {'status': 'active'}}).json['credential']['description'] == 'd'
    assert signed(appiad, 'GET', '/v3/auth/domains', access=k['access'], secret=k['secret']).status == 200
    assert appiad.call('PUT', path, {'credential': {'status': 'sleepy'}}).status == 400
    assert appiad.call('PUT', path, {}).status == 400
    assert appiad.call('DELETE', path).status == 204
    for method, body in (('GET', None), ('DELETE', None), ('PUT', {'credential': {}})):
        assert appiad.call(method, path, body).status == 404
    assert appiad.call('POST', '/v3.0/OS-CREDENTIAL/credentials', {'credential': {}}).status == 400


def test_keys_of_others(appiad):
    user = new_user(appiad, 'nosy')
    token = appiad.login('nosy', PASSWORD)
    admin_key = '/v3.0/OS-CREDENTIAL/credentials/' + appiad.credentials['access_key']
    assert appiad.call('GET', admin_key, token=token).status == 404
    assert appiad.call('DELETE', admin_key, token=token).status == 404
    admin = appiad.call('GET', '/v3/users?name=admin').json['users'][0]['id']
    assert appiad.call('GET', '/v3.0/OS-CREDENTIAL/credentials?user_id=' + admin, token=token).status == 403
    assert new_key(appiad, admin, token=token).status == 403
    assert new_key(appiad, user, token=token).status == 201
    assert len(appiad.call('GET', '/v3.0/OS-CREDENTIAL/credentials', token=token).json['credentials']) == 1


def test_console_only(appiad):
    user = new_user(appiad, 'clicker')
    key = new_key(appiad, user).json['credential']
    assert appiad.call('PUT', f'/v3.0/OS-USER/users/{user}', {'user': {'access_mode': 'console'}}).status == 200
    assert signed(appiad, 'GET', '/v3/auth/domains', access=key['access'], secret=key['secret']).status == 401


def lend(appiad, identity, **kw):
    return appiad.raw('POST', '/v3.0/OS-CREDENTIAL/securitytokens', {'auth': {'identity': identity}}, **kw)


def test_temporary_keys(appiad):
    token = appiad.login()
    r = lend(appiad, {'methods': ['token'], 'token': {'id': token, 'duration_seconds': 900}})
    assert r.status == 201, r
    k = r.json['credential']
    call = dict(access=k['access'], secret=k['secret'])
    r = signed(appiad, 'GET', '/v2/{project_id}/instances', X_Security_Token=k['securitytoken'], **call)
    assert r.status == 200, r
    assert signed(appiad, 'GET', '/v2/{project_id}/instances', **call).status == 401, 'without its token'
    bad = k['securitytoken'][:-8] + 'AAAAAAAA'
    assert signed(appiad, 'GET', '/v3/projects', X_Security_Token=bad, **call).status == 401
    other = lend(appiad, {'methods': ['token']}, headers={'X-Auth-Token': token}).json['credential']
    assert signed(appiad, 'GET', '/v3/projects', X_Security_Token=other['securitytoken'], **call).status == 401
    assert signed(appiad, 'POST', '/v3.0/OS-CREDENTIAL/securitytokens', X_Security_Token=k['securitytoken'],
                  body={'auth': {'identity': {'methods': ['token']}}}, **call).status == 403, 'no keys from keys'


@pytest.mark.parametrize('identity, status', [
    ({'methods': ['token']}, 401),
    ({'methods': []}, 400),
    ({'methods': ['password']}, 400),
    ({}, 400),
    ({'methods': ['token'], 'token': {'id': 'x', 'duration_seconds': 900}}, 401),
    ({'methods': ['token'], 'token': {'id': 'x', 'duration_seconds': 899}}, 400),
    ({'methods': ['token'], 'token': {'id': 'x', 'duration_seconds': 86401}}, 400),
    ({'methods': ['assume_role'], 'assume_role': {'agency_name': 'a'}}, 403),
    ({'methods': ['assume_role'], 'assume_role': {}}, 400),
])
def test_temporary_refused(appiad, identity, status):
    r = lend(appiad, identity)
    assert r.status == status, r
