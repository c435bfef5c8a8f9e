# SPDX-License-Identifier: Apache-2.0
"""Users in both forms, groups and what their roles allow."""
import pytest

PASSWORD = 'Example_Pa55'


def domain(appiad):
    return appiad.call('GET', '/v3/auth/domains').json['domains'][0]['id']


def make(appiad, name, group=None, **fields):
    r = appiad.call('POST', '/v3.0/OS-USER/users', {'user': {'name': name, 'domain_id': domain(appiad), **fields}})
    assert r.status == 201, r
    user = r.json['user']['id']
    if group:
        g = appiad.call('GET', f'/v3/groups?name={group}').json['groups'][0]['id']
        assert appiad.call('PUT', f'/v3/groups/{g}/users/{user}').status == 204
    return user


def test_v3_form(appiad):
    r = appiad.call('POST', '/v3/users', {'user': {'name': 'jane', 'password': PASSWORD, 'description': 'd'}})
    assert r.status == 201, r
    user = r.json['user']
    assert user['enabled'] and user['domain_id'] == domain(appiad) and 'password' not in user
    path = '/v3/users/' + user['id']
    assert appiad.call('GET', path).json['user']['name'] == 'jane'
    changed = appiad.call('PATCH', path, {'user': {'name': 'jane.doe', 'description': ''}}).json['user']
    assert changed['name'] == 'jane.doe' and changed['description'] == '' and changed['enabled']
    assert [u['id'] for u in appiad.call('GET', '/v3/users?name=jane.doe').json['users']] == [user['id']]
    assert appiad.call('GET', '/v3/users?name=nobody').json['users'] == []
    assert appiad.call('GET', '/v3/users?enabled=false').json['users'] == []
    assert appiad.call('GET', f'/v3/users/{user["id"]}/groups').json['groups'] == []
    assert appiad.call('GET', f'/v3/users/{user["id"]}/projects').json['projects'][0]['name'] == 'local'
    assert appiad.call('DELETE', path).status == 204
    for method, body in (('GET', None), ('DELETE', None), ('PATCH', {'user': {}})):
        r = appiad.call(method, path, body)
        assert r.status == 404 and r.json['error']['code'] == 404


def test_update_changes_only_what_is_given(appiad):
    user = make(appiad, 'sleeper', enabled=False, description='d')
    for path, method in (('/v3/users/', 'PATCH'), ('/v3.0/OS-USER/users/', 'PUT')):
        shown = appiad.call(method, path + user, {'user': {'password': PASSWORD}}).json['user']
        assert shown['enabled'] is False and shown['description'] == 'd'


def test_os_user_form(appiad):
    user = make(appiad, 'joe', password=PASSWORD, email='joe@example.com', areacode='0086', phone='13800000000',
                access_mode='programmatic', xuser_type='TenantIdp', xuser_id='j0', description='both')
    path = '/v3.0/OS-USER/users/' + user
    shown = appiad.call('GET', path).json['user']
    assert shown['email'] == 'joe@example.com' and shown['phone'] == '13800000000' and shown['pwd_strength'] == 'high'
    assert shown['access_mode'] == 'programmatic' and not shown['is_domain_owner']
    assert appiad.call('PUT', path, {'user': {'email': 'j@example.com'}}).json['user']['email'] == 'j@example.com'
    assert appiad.call('GET', path).json['user']['phone'] == '13800000000'


@pytest.mark.parametrize('fields, code', [
    ({'name': '1joe'}, '1101'), ({'name': 'a/b'}, '1101'), ({'name': ''}, None), ({'name': 'x' * 65}, None),
    ({'name': 'ok', 'password': 'short'}, None), ({'name': 'ok', 'password': 'lowercaseonly'}, None),
    ({'name': 'ok', 'password': 'A1' * 17}, None), ({'name': 'Mirror12', 'password': '21rorriM'}, '1118'),
    ({'name': 'ok', 'email': 'nope'}, '1102'), ({'name': 'ok', 'email': 'x' * 256}, None),
    ({'name': 'ok', 'phone': '138'}, '1106'), ({'name': 'ok', 'areacode': '0086', 'phone': 'abc'}, '1104'),
    ({'name': 'ok', 'xuser_id': 'x'}, '1105'), ({'name': 'ok', 'description': '<b>'}, '1117'),
    ({'name': 'ok', 'access_mode': 'magic'}, 'IAM.0007'), ({'name': 'ok', 'enabled': 'yes'}, None),
])
def test_constraints(appiad, fields, code):
    r = appiad.call('POST', '/v3.0/OS-USER/users', {'user': {'domain_id': domain(appiad), **fields}})
    assert r.status == 400, r
    assert code is None or r.json['error_code'] == code
    assert appiad.call('GET', '/v3/users?name=ok').json['users'] == []


def test_unique(appiad):
    make(appiad, 'first', email='f@example.com', areacode='1', phone='555', xuser_type='T', xuser_id='7')
    for fields, code in (({'name': 'first'}, '1109'), ({'email': 'f@example.com'}, '1110'),
                         ({'areacode': '1', 'phone': '555'}, '1111'), ({'xuser_type': 'T', 'xuser_id': '7'}, '1113')):
        user = {'name': 'second', 'domain_id': domain(appiad), **fields}
        r = appiad.call('POST', '/v3.0/OS-USER/users', {'user': user})
        assert r.status == 400 and r.json['error_code'] == code, r
    assert appiad.call('POST', '/v3/users', {'user': {'name': 'first'}}).status == 409
    assert appiad.call('POST', '/v3.0/OS-USER/users', {'user': {'name': 'z', 'domain_id': '0' * 32}}).status == 403


def test_owner_stays(appiad):
    admin = appiad.call('GET', '/v3/users?name=admin').json['users'][0]['id']
    assert appiad.call('DELETE', '/v3/users/' + admin).status == 400
    assert appiad.call('PATCH', '/v3/users/' + admin, {'user': {'enabled': False}}).status == 403
    group = appiad.call('GET', '/v3/groups?name=admin').json['groups'][0]['id']
    assert appiad.call('DELETE', f'/v3/groups/{group}/users/{admin}').status == 403


def test_own_information(appiad):
    user = make(appiad, 'self', password=PASSWORD)
    token = appiad.login('self', PASSWORD)
    path = f'/v3.0/OS-USER/users/{user}'
    assert appiad.call('PUT', path + '/info', {'user': {'email': 's@example.com', 'mobile': '0086-123456'}},
                       token=token).status == 204
    shown = appiad.call('GET', path, token=token).json['user']
    assert (shown['email'], shown['areacode'], shown['phone']) == ('s@example.com', '0086', '123456')
    assert appiad.call('PUT', path + '/info', {'user': {'email': 'bad'}}, token=token).status == 400
    assert appiad.call('PUT', path + '/info', {'user': {'email': 'a@example.com'}}).status == 403
    # an ordinary user manages nobody
    assert appiad.call('GET', '/v3/users', token=token).status == 403
    assert appiad.call('POST', '/v3/users', {'user': {'name': 'q'}}, token=token).status == 403
    assert appiad.call('DELETE', '/v3/users/' + user, token=token).status == 403
    assert appiad.call('PUT', path, {'user': {'email': 'x@example.com'}}, token=token).status == 403
    other = make(appiad, 'other')
    assert appiad.call('GET', '/v3/users/' + other, token=token).status == 403


APPS = '/v2/{project_id}/instances/{instance_id}/apps'


@pytest.mark.parametrize('group, reads, creates, instances', [
    (None, 403, 403, 403), ('reader', 200, 403, 403), ('operator', 200, 403, 403), ('developer', 200, 201, 403),
    ('admin', 200, 201, 201)])
def test_roles(appiad, group, reads, creates, instances):
    name = f'role-{group}'
    make(appiad, name, group, password=PASSWORD)
    token = appiad.login(name, PASSWORD)
    assert appiad.call('GET', APPS, token=token).status == reads
    r = appiad.call('POST', APPS, {'name': name}, token=token)
    assert r.status == creates, r
    if creates == 403:
        assert r.json['error_code'] == 'ROMA.1006'
    assert appiad.call('POST', '/v2/{project_id}/instances', {'name': name}, token=token).status == instances


def test_groups(appiad):
    groups = {g['name']: g['id'] for g in appiad.call('GET', '/v3/groups').json['groups']}
    assert set(groups) == {'admin', 'developer', 'operator', 'reader'}
    user = make(appiad, 'member', 'reader', password=PASSWORD)
    token = appiad.login('member', PASSWORD)
    assert [g['name'] for g in appiad.call('GET', f'/v3/users/{user}/groups', token=token).json['groups']] == ['reader']
    assert appiad.call('GET', APPS, token=token).status == 200
    path = f'/v3/groups/{groups["reader"]}/users/{user}'
    assert appiad.call('PUT', path, token=token).status == 403
    assert appiad.call('DELETE', path).status == 204
    assert appiad.call('GET', APPS, token=token).status == 403, 'a role that is gone is gone at once'
    assert appiad.call('DELETE', path).status == 404
    assert appiad.call('PUT', f'/v3/groups/{"0" * 32}/users/{user}').status == 404
    assert appiad.call('PUT', f'/v3/groups/{groups["reader"]}/users/{"0" * 32}').status == 404
