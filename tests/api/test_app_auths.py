# SPDX-License-Identifier: Apache-2.0
"""Rights of applications to call APIs, and tags: sections 6.18 and 6.23 of the reference."""
import pytest

from lib import apic
from lib.apic import RELEASE, V2, ok, refused

AUTHS = V2 + '/app-auths'
NOBODY = 'dd29b33ae4394e3b924b582c6b40880b'


@pytest.fixture(scope='module')
def owner(appiad):
    return apic.app(appiad, 'owner')


@pytest.fixture(scope='module')
def group(appiad, owner):
    return apic.group(appiad, 'group_of_auths', version='V2', roma_app_id=owner)


def give(appiad, apps, apis, env=RELEASE, **fields):
    return ok(appiad.call('POST', AUTHS, {'env_id': env, 'app_ids': apps, 'api_ids': apis, **fields}), 201)['auths']


def test_documented_example(appiad, owner, group):
    app, api = apic.app(appiad, 'app_demo', remark='remark'), apic.api(appiad, group, owner, remark='Web backend Api')
    a = give(appiad, [app], [api])[0]
    assert a == {'api_id': api, 'app_id': app, 'id': a['id'], 'auth_time': a['auth_time'], 'auth_role': 'PROVIDER',
                 'auth_tunnel': 'NORMAL', 'auth_whitelist': [], 'auth_blacklist': [],
                 'auth_result': {'status': 'SUCCESS'}}
    again = give(appiad, [app], [api])[0]
    assert again['auth_result'] == {'status': 'SKIPPED'} and again['id'] == a['id']
    assert again['auth_time'] == a['auth_time']
    found = ok(appiad.call('GET', AUTHS + '/binded-apis', query={'app_id': app}))
    assert found['total'] == found['size'] == 1
    b = found['auths'][0]
    assert b == {'id': a['id'], 'api_id': api, 'api_name': b['api_name'], 'group_name': 'group_of_auths', 'api_type': 1,
                 'api_remark': 'Web backend Api', 'env_id': RELEASE, 'auth_role': 'PROVIDER',
                 'auth_time': a['auth_time'], 'app_name': 'app_demo', 'app_remark': 'remark', 'app_type': 'roma',
                 'app_creator': 'USER',
                 'publish_id': '', 'group_id': group, 'auth_tunnel': 'NORMAL', 'auth_whitelist': [],
                 'auth_blacklist': [], 'roma_app_type': 'integration', 'env_name': 'RELEASE', 'app_id': app}
    published = apic.publish(appiad, api)
    r = ok(appiad.call('GET', AUTHS + '/binded-apps', query={'api_id': api}))
    assert r['auths'] == [{**b, 'publish_id': published['publish_id']}]
    assert appiad.call('DELETE', f'{AUTHS}/{a["id"]}').status == 204
    refused(appiad.call('DELETE', f'{AUTHS}/{a["id"]}'), 404, 'APIG.3009',
            f'The app authorization record does not exist,id:{a["id"]}')
    assert ok(appiad.call('GET', AUTHS + '/binded-apis', query={'app_id': app}))['total'] == 0


def test_many(appiad, owner, group):
    apps = [apic.app(appiad) for _ in range(3)]
    apis = [apic.api(appiad, group, owner) for _ in range(2)]
    give(appiad, [apps[1]], [apis[1]])
    params = [{'api_id': apis[0], 'visit_param': 'all'}, {'api_id': apis[0], 'app_id': apps[2], 'visit_param': 'a,b_1'}]
    made = give(appiad, apps + apps, apis + apis, visit_params=params, auth_whitelist=['10.0.0.1'])
    assert len(made) == 6 and [m['auth_result']['status'] for m in made].count('SKIPPED') == 1
    by = {(m['api_id'], m['app_id']): m for m in made}
    assert by[apis[0], apps[2]]['visit_params'] == 'a,b_1' and by[apis[0], apps[0]]['visit_params'] == 'all'
    assert 'visit_params' not in by[apis[1], apps[0]]
    stored = ok(appiad.call('GET', AUTHS + '/binded-apis', query={'app_id': apps[2], 'api_id': apis[0]}))['auths'][0]
    assert stored['visit_param'] == 'a,b_1' and stored['auth_whitelist'] == ['10.0.0.1']


def test_refused_pairs(appiad, owner, group):
    app = apic.app(appiad, 'refused app')
    free, good = apic.api(appiad, group, owner, auth_type='NONE', name='free_one'), apic.api(appiad, group, owner)
    result = {a['api_id']: a for a in give(appiad, [app], [free, good])}
    assert result[good]['auth_result'] == {'status': 'SUCCESS'}
    failed = result[free]['auth_result']
    assert (failed['status'], failed['error_code']) == ('FAILED', 'APIG.2012') and 'id' not in result[free]
    assert (failed['api_name'], failed['app_name']) == ('free_one', 'refused app') and 'apps' in failed['error_msg']


@pytest.mark.parametrize('fields, status, code', [
    ({'env_id': None}, 400, 'APIG.2001'), ({'app_ids': None}, 400, 'APIG.2001'), ({'api_ids': None}, 400, 'APIG.2001'),
    ({'env_id': ''}, 400, 'APIG.2005'), ({'env_id': 'x' * 66}, 400, 'APIG.2006'), ({'api_ids': []}, 400, 'APIG.2011'),
    ({'app_ids': []}, 400, 'APIG.2011'), ({'app_ids': 'x'}, 400, 'APIG.2012'),
    ({'auth_tunnel': 'BLUE'}, 400, 'APIG.2012'), ({'auth_tunnel': 'GREEN'}, 412, 'APIG.3458'),
    ({'api_ids': ['x'] * 1001}, 400, 'APIG.2011'), ({'auth_whitelist': ['x'] * 101}, 400, 'APIG.2011'),
    ({'visit_params': [{'api_id': 'x', 'visit_param': 'a b'}]}, 400, 'APIG.2011'),
    ({'visit_params': [{'visit_param': 'a'}]}, 400, 'APIG.2001'),
    ({'env_id': NOBODY}, 404, 'APIG.3003'), ({'app_ids': [NOBODY]}, 404, 'APIG.3004'),
    ({'api_ids': [NOBODY]}, 404, 'APIG.3002')])
def test_constraints(appiad, owner, group, fields, status, code):
    app, api = apic.app(appiad), apic.api(appiad, group, owner)
    body = {'env_id': RELEASE, 'app_ids': [app], 'api_ids': [api], **fields}
    refused(appiad.call('POST', AUTHS, body), status, code)
    assert ok(appiad.call('GET', AUTHS + '/binded-apis', query={'app_id': app}))['total'] == 0


def test_unknown_one_changes_nothing(appiad, owner, group):
    app, api = apic.app(appiad), apic.api(appiad, group, owner)
    r = appiad.call('POST', AUTHS, {'env_id': RELEASE, 'app_ids': [app], 'api_ids': [api, NOBODY]})
    refused(r, 404, 'APIG.3002', f'API {NOBODY} does not exist')
    assert ok(appiad.call('GET', AUTHS + '/binded-apis', query={'app_id': app}))['total'] == 0


def test_lists(appiad, owner):
    g = apic.group(appiad, 'list_group', version='V2', roma_app_id=owner)
    app, other, e = apic.app(appiad, 'lister'), apic.app(appiad, 'Lister 2'), apic.env(appiad)
    one, two = apic.api(appiad, g, owner, name='first_api'), apic.api(appiad, g, owner, name='second_api')
    apic.api(appiad, g, owner, auth_type='IAM', name='iam_api')
    give(appiad, [app], [one])
    give(appiad, [app, other], [one, two], e)

    def count(what, key='total', **query):
        return ok(appiad.call('GET', f'{AUTHS}/{what}', query=query))[key]
    assert count('binded-apis', app_id=app) == 3 and count('binded-apis', app_id=app, env_id=e) == 2
    assert count('binded-apis', app_id=app, api_id=one) == 2 and count('binded-apis', app_id=app, api_name='FIRST') == 2
    assert count('binded-apis', app_id=app, group_id=g) == 3 and count('binded-apis', app_id=app, group_id=NOBODY) == 0
    assert count('binded-apis', app_id=app, group_name='ist_gr') == 3
    assert count('binded-apis', key='size', app_id=app, limit=2, offset=2) == 1
    assert count('binded-apps', api_id=one) == 3 and count('binded-apps', api_id=one, env_id=e) == 2
    assert count('binded-apps', api_id=one, app_name='lister 2') == 1 and count('binded-apps', app_id=other) == 2
    unbound = ok(appiad.call('GET', AUTHS + '/unbinded-apis', query={'app_id': app, 'env_id': RELEASE, 'group_id': g}))
    assert [a['name'] for a in unbound['apis']] == ['second_api']
    assert [unbound['apis'][0][k] for k in ('publish_id', 'run_env_id', 'run_env_name')] == ['', '', '']
    apic.publish(appiad, two)
    query = {'app_id': app, 'env_id': RELEASE, 'api_id': two}
    a = ok(appiad.call('GET', AUTHS + '/unbinded-apis', query=query))['apis'][0]
    assert (a['run_env_id'], a['run_env_name'], a['auth_type']) == (RELEASE, 'RELEASE', 'APP') and a['publish_id']
    assert count('unbinded-apis', app_id=app, env_id=e, group_id=g) == 0
    assert count('unbinded-apis', app_id=other, env_id=RELEASE, group_id=g, api_name='second') == 1
    for what, query, code in (('binded-apis', {'app_id': NOBODY}, 'APIG.3004'),
                              ('binded-apps', {'api_id': NOBODY}, 'APIG.3002'),
                              ('unbinded-apis', {'app_id': NOBODY, 'env_id': RELEASE}, 'APIG.3004'),
                              ('unbinded-apis', {'app_id': app, 'env_id': NOBODY}, 'APIG.3003'),
                              ('duplicate-apis', {'app_id': NOBODY}, 'APIG.3004')):
        refused(appiad.call('GET', f'{AUTHS}/{what}', query=query), 404, code)
    for what, query in (('binded-apis', {}), ('unbinded-apis', {'app_id': app}), ('unbinded-apis', {'env_id': RELEASE}),
                        ('duplicate-apis', {})):
        refused(appiad.call('GET', f'{AUTHS}/{what}', query=query), 400, 'APIG.2001')


def test_duplicates(appiad):
    owner, caller = apic.app(appiad, 'dup owner'), apic.app(appiad, 'dup caller')
    groups = [apic.group(appiad, f'dup_{i}') for i in range(2)]
    same = [apic.api(appiad, g, owner, name=f'dup_api_{i}', req_uri='/test/function') for i, g in enumerate(groups)]
    mine = apic.api(appiad, groups[0], caller, name='dup_mine', req_uri='/test/mine')
    none = ok(appiad.call('GET', AUTHS + '/duplicate-apis', query={'app_id': caller}))
    assert none == {'total': 0, 'size': 0, 'apis': []}
    found = ok(appiad.call('GET', AUTHS + '/duplicate-apis', query={'app_id': owner}))
    assert found['total'] == found['size'] == 1
    d = found['apis'][0]
    assert (d['req_method'], d['req_uri'], d['match_mode']) == ('GET', '/test/function', 'NORMAL')
    assert sorted(x['api_id'] for x in d['duplicated_apis']) == sorted(same)
    assert {x['api_type'] for x in d['duplicated_apis']} == {'self-owned'}
    give(appiad, [caller], same)
    d = ok(appiad.call('GET', AUTHS + '/duplicate-apis', query={'app_id': caller}))['apis']
    assert len(d) == 1 and {x['api_type'] for x in d[0]['duplicated_apis']} == {'authorized'} and mine not in str(d)


def test_roles(appiad, owner, group):
    app, api = apic.app(appiad), apic.api(appiad, group, owner)
    uid, token = apic.user(appiad, 'auth-user')
    body = {'env_id': RELEASE, 'app_ids': [app], 'api_ids': [api]}
    refused(appiad.call('GET', AUTHS + '/binded-apis', query={'app_id': app}, token=token), 403, 'APIG.1104')
    refused(appiad.call('GET', AUTHS + '/binded-apps', query={'api_id': api}, token=token), 403, 'APIG.1102')
    result = ok(appiad.call('POST', AUTHS, body, token=token), 201)['auths'][0]['auth_result']
    assert (result['status'], result['error_code']) == ('FAILED', 'APIG.1102')
    apic.member(appiad, owner, uid, 'access')
    auth = ok(appiad.call('POST', AUTHS, body, token=token), 201)['auths'][0]
    assert auth['auth_result'] == {'status': 'SUCCESS'}
    apic.member(appiad, owner, uid, 'read')
    assert ok(appiad.call('GET', AUTHS + '/binded-apps', query={'app_id': app}, token=token))['total'] == 1
    refused(appiad.call('DELETE', f'{AUTHS}/{auth["id"]}', token=token), 403, 'APIG.1109')
    apic.member(appiad, app, uid, 'admin')  # who may call may also give it up
    assert appiad.call('DELETE', f'{AUTHS}/{auth["id"]}', token=token).status == 204


def test_tags(appiad, owner, group):
    apic.api(appiad, group, owner, tags=['webApi', 'functionApi'])
    apic.api(appiad, group, owner, tags=['webApi'])
    assert ok(appiad.call('GET', V2 + '/tags')) == {'total': 2, 'size': 2, 'tags': ['functionApi', 'webApi']}
    assert ok(appiad.call('GET', V2 + '/tags', query={'limit': 1, 'offset': 1}))['tags'] == ['webApi']
    _, token = apic.user(appiad, 'tag-user')
    assert ok(appiad.call('GET', V2 + '/tags', token=token)) == {'total': 0, 'size': 0, 'tags': []}
