# SPDX-License-Identifier: Apache-2.0
"""Applications: section 4.1 of the reference, members and what their roles allow."""
import pytest

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
VALIDATE = '/v2/{project_id}/instances/{instance_id}/validate-apps'
PASSWORD = 'Example_Pa55'
EXAMPLE = {'name': 'AppName', 'remark': 'example', 'key': 'j2OK5z5uigNU9PgR3Grl',
           'secret': 'VxPdBEhIxoPyxrGg3g3UnuVef6jfOCHddeiWYjJi', 'favorite': False}


def make(appiad, name, **fields):
    r = appiad.call('POST', APPS, {'name': name, **fields})
    assert r.status == 201, r
    return r.json


def user(appiad, name, group='developer'):
    r = appiad.call('POST', '/v3/users', {'user': {'name': name, 'password': PASSWORD}})
    assert r.status == 201, r
    g = appiad.call('GET', f'/v3/groups?name={group}').json['groups'][0]['id']
    assert appiad.call('PUT', f'/v3/groups/{g}/users/{r.json["user"]["id"]}').status == 204
    return r.json['user']['id'], appiad.login(name, PASSWORD)


def test_documented_example(appiad):
    r = appiad.call('POST', APPS, EXAMPLE)
    assert r.status == 201, r
    app = r.json
    assert app['roles'] == ['read', 'access', 'delete', 'modify', 'admin'] and app['owner'] and not app['favorite']
    assert app['key'] == EXAMPLE['key'] and 'secret' not in app
    assert app['created_user']['user_name'] == app['last_updated_user']['user_name'] == 'admin'
    path = f'{APPS}/{app["id"]}'
    assert appiad.call('GET', path).json == app
    assert appiad.call('GET', path + '/secret').json == {'id': app['id'], 'secret': EXAMPLE['secret']}
    updated = appiad.call('PUT', path, {'name': 'AppName', 'remark': 'changed', 'favorite': True}).json
    assert updated['remark'] == 'changed' and updated['favorite'] and updated['update_time'] >= app['update_time']
    r = appiad.call('PUT', path + '/secret', {'secret': 'RNid55KqFL5PtKIBhY2eIvuE6sowtKx0nLmA3T4Q'})
    assert r.status == 200 and appiad.call('GET', path + '/secret').json == r.json
    drawn = [appiad.call('PUT', path + '/secret', body).json['secret'] for body in ({}, {'secret': None}, None)]
    assert len(set(drawn)) == 3 and all(len(s) == 40 for s in drawn)
    assert appiad.call('DELETE', path).status == 200
    for method in ('GET', 'PUT', 'DELETE'):
        r = appiad.call(method, path, {} if method == 'PUT' else None)
        assert r.status == 404 and r.json['error_code'] == 'ROMA.14001' and r.json['request_id']


def test_drawn_key_and_secret(appiad):
    one, two = make(appiad, 'drawn 1'), make(appiad, 'drawn 2', secret=None)
    assert len(one['key']) == 20 and one['key'] != two['key']
    assert appiad.call('GET', f'{APPS}/{two["id"]}/secret').json['secret']


def test_unique(appiad):
    a = make(appiad, 'unique', key='unique-key')
    r = appiad.call('POST', APPS, {'name': 'unique'})
    assert r.status == 400 and r.json['error_code'] == 'ROMA.14011'
    r = appiad.call('POST', APPS, {'name': 'unique 2', 'key': 'unique-key'})
    assert r.status == 400 and r.json['error_code'] == 'ROMA.14012'
    b = make(appiad, 'unique 2')
    assert appiad.call('PUT', f'{APPS}/{b["id"]}', {'name': 'unique'}).json['error_code'] == 'ROMA.14011'
    assert appiad.call('PUT', f'{APPS}/{a["id"]}', {'name': 'unique'}).status == 200


@pytest.mark.parametrize('name', ['集成应用', 'a-b_c.d (e)', '（全角）', '9'])
def test_names(appiad, name):
    assert make(appiad, name)['name'] == name


@pytest.mark.parametrize('body', [
    {}, {'name': ''}, {'name': '   '}, {'name': 'a/b'}, {'name': 'x' * 129}, {'name': 7}, {'name': None},
    {'name': 'ok', 'key': '-a'}, {'name': 'ok', 'key': 'a b'}, {'name': 'ok', 'key': 'x' * 129},
    {'name': 'ok', 'secret': 'a b'}, {'name': 'ok', 'secret': 'x' * 129}, {'name': 'ok', 'remark': 'x' * 1025},
    {'name': 'ok', 'favorite': 'yes'}, {'name': 'a\u0000b'}])
def test_constraints(appiad, body):
    r = appiad.call('POST', APPS, body)
    assert r.status == 400 and r.json['error_code'].startswith('ROMA.1300'), r
    assert appiad.call('GET', APPS, query={'name': 'ok'}).json['total'] == 0


def test_no_body(appiad):
    assert appiad.call('POST', APPS).status == 400
    assert appiad.call('POST', APPS, b'[]').status == 400
    assert appiad.call('POST', APPS, b'{"name":"a","name":"b"}').status == 400


def test_validate(appiad):
    a = make(appiad, 'validate me', key='validate-key', remark='r')
    for query in ({'name': 'validate me'}, {'id': a['id']}, {'key': 'validate-key'},
                  {'name': 'validate me', 'key': 'validate-key'}):
        assert appiad.call('GET', VALIDATE, query=query).json == {'id': a['id'], 'name': 'validate me', 'remark': 'r'}
    for query in ({'name': 'validate'}, {'id': 'x'}, {'name': 'validate me', 'key': 'other'}):
        r = appiad.call('GET', VALIDATE, query=query)
        assert r.status == 404 and r.json['error_code'] == 'ROMA.14001'
    assert appiad.call('GET', VALIDATE).status == 400


def test_list(appiad):
    ids = [make(appiad, f'list_{i}', favorite=i == 1, key=f'LISTKEY{i}')['id'] for i in range(3)]

    def names(**query):
        return [a['name'] for a in appiad.call('GET', APPS, query=query).json['apps'] if a['id'] in ids]

    assert names(name='LIST_') == ['list_1', 'list_2', 'list_0'], 'favourites first, then the newest'
    assert names(key='key2') == ['list_2']
    assert names(favorite='true') == ['list_1'] and names(name='list', favorite='false') == ['list_2', 'list_0']
    assert names(name='list%') == [] and names(name='l_st_') == [], 'no wildcards'
    assert len(names(owner='true', name='list')) == 3 and names(owner='false') == []
    assert len(names(auth_role='admin', name='list')) == 3
    assert len(names(user_name='admin', name='list')) == 3 and names(user_name='nobody') == []
    page = appiad.call('GET', APPS, query={'name': 'list_', 'offset': 1, 'limit': 1}).json
    assert page['total'] == 3 and page['size'] == 1 and page['apps'][0]['name'] == 'list_2'
    assert appiad.call('GET', APPS, query={'offset': 99, 'name': 'list_'}).json['apps'] == []
    for query in ({'offset': -1}, {'limit': 'x'}, {'limit': 0}, {'auth_role': 'king'}, {'owner': 'perhaps'}):
        assert appiad.call('GET', APPS, query=query).status == 400, query


def test_members(appiad):
    app = make(appiad, 'shared')
    path = f'{APPS}/{app["id"]}'
    ann, ann_token = user(appiad, 'ann')
    bob, bob_token = user(appiad, 'bob')
    assert appiad.call('GET', path + '/users').json == {'total': 0, 'id': app['id'], 'users': []}
    candidates = appiad.call('GET', path + '/candidates').json['users']
    assert {'name': 'ann', 'id': ann} in candidates and {'name': 'bob', 'id': bob} in candidates
    members = [{'id': ann, 'roles': ['modify']}, {'id': bob, 'roles': ['admin']}]
    r = appiad.call('PUT', path + '/users', {'users': members})
    assert r.status == 200 and r.json['total'] == 2
    roles = {u['name']: u['roles'] for u in r.json['users']}
    assert roles == {'ann': ['read', 'modify'], 'bob': ['read', 'access', 'delete', 'modify', 'admin']}
    assert appiad.call('GET', path + '/users', query={'user_name': 'ann'}).json['total'] == 1
    left = {u['id'] for u in appiad.call('GET', path + '/candidates', query={'filter': 'members'}).json['users']}
    assert ann not in left and bob not in left and left
    assert appiad.call('GET', path + '/candidates', query={'filter': 'x'}).status == 400
    # what a member may do
    shown = appiad.call('GET', path, token=ann_token).json
    assert shown['roles'] == ['read', 'modify'] and not shown['owner']
    for method, tail, body in (('PUT', '', {'name': 'mine'}), ('DELETE', '', None), ('GET', '/secret', None),
                               ('PUT', '/secret', {}), ('PUT', '/users', {'users': []})):
        r = appiad.call(method, path + tail, body, token=ann_token)
        assert r.status == 403 and r.json['error_code'] == 'ROMA.12001', (method, tail)
    assert appiad.call('PUT', path, {'favorite': True}, token=ann_token).json['favorite'], 'reading is enough'
    assert not appiad.call('GET', path).json['favorite'], 'favourites are personal'
    assert appiad.call('GET', path + '/secret', token=bob_token).status == 200
    # replaced as a whole
    assert appiad.call('PUT', path + '/users', {'users': []}, token=bob_token).json['total'] == 0
    assert appiad.call('GET', path, token=bob_token).status == 403
    assert appiad.call('GET', path, token=ann_token).status == 403


def test_visibility(appiad):
    hidden = make(appiad, 'hidden', key='hidden-key')
    cid, token = user(appiad, 'carl')
    own = appiad.call('POST', APPS, {'name': 'of carl'}, token=token).json
    assert [a['id'] for a in appiad.call('GET', APPS, token=token).json['apps']] == [own['id']]
    assert appiad.call('GET', VALIDATE, query={'name': 'hidden'}, token=token).status == 404
    assert appiad.call('GET', APPS, query={'owner': 'false', 'name': 'of carl'}).json['total'] == 1
    assert appiad.call('PUT', f'{APPS}/{hidden["id"]}/users', {'users': [{'id': cid, 'roles': []}]}).status == 200
    assert appiad.call('GET', APPS, token=token, query={'owner': 'false'}).json['apps'][0]['id'] == hidden['id']
    assert appiad.call('GET', APPS, token=token, query={'auth_role': 'delete'}).json['total'] == 1
    assert appiad.call('GET', APPS, query={'user_name': 'carl'}).json['total'] == 2
    assert appiad.call('DELETE', f'{APPS}/{own["id"]}', token=token).status == 200


@pytest.mark.parametrize('users', [[{'id': 'unknown', 'roles': ['read']}], [{'roles': ['read']}], [{'id': ''}],
                                   [{'id': 'x', 'roles': ['king']}], 'x'])
def test_members_refused(appiad, users):
    app = make(appiad, f'refused {abs(hash(str(users)))}')
    r = appiad.call('PUT', f'{APPS}/{app["id"]}/users', {'users': users})
    assert r.status == 400, r
    assert appiad.call('GET', f'{APPS}/{app["id"]}/users').json['total'] == 0


def test_delete_with_resources(appiad):
    app = make(appiad, 'owner of a group')
    groups = '/v2/{project_id}/apic/instances/{instance_id}/api-groups'
    r = appiad.call('POST', groups, {'name': 'group_of_app', 'roma_app_id': app['id'], 'version': 'V2'})
    assert r.status == 201, r
    refused = appiad.call('DELETE', f'{APPS}/{app["id"]}')
    assert refused.status == 400 and refused.json['error_code'] == 'ROMA.14014'
    assert appiad.call('GET', f'{APPS}/{app["id"]}').status == 200
    assert appiad.call('DELETE', f'{groups}/{r.json["id"]}').status == 204
    assert appiad.call('DELETE', f'{APPS}/{app["id"]}').status == 200


def test_nothing_lost_by_kill(appiad):
    app = make(appiad, 'durable', secret='Durable.Secret/1')
    appiad.kill()
    appiad.start()
    assert appiad.call('GET', f'{APPS}/{app["id"]}/secret').json['secret'] == 'Durable.Secret/1'
