# SPDX-License-Identifier: Apache-2.0
"""API groups: section 6.2 of the reference."""
import pytest

from lib import apic
from lib.apic import V2, ok, refused

GROUPS = V2 + '/api-groups'
EXAMPLE = {'name': 'api_group_001', 'remark': 'group1'}
NOBODY = 'c77f5e81d9cb4424bf704ef2b0ac7600'


def test_documented_example(appiad):
    g = ok(appiad.call('POST', GROUPS, EXAMPLE), 201)
    assert len(g['id']) == 32 and g['name'] == 'api_group_001' and g['remark'] == 'group1'
    assert g['sl_domain'] == f'{g["id"]}.apic.local' and g['sl_domains'] == [g['sl_domain']]
    assert (g['status'], g['on_sell_status'], g['is_default'], g['version']) == (1, 2, 2, 'V1')
    assert g['url_domains'] == [] and g['register_time'] == g['update_time']
    path = f'{GROUPS}/{g["id"]}'
    assert ok(appiad.call('GET', path)) == g
    changed = ok(appiad.call('PUT', path, {'name': 'api_group_001', 'remark': 'changed'}))
    assert changed['remark'] == 'changed' and changed['register_time'] == g['register_time']
    assert ok(appiad.call('PUT', path, {'name': 'api_group_009'}))['remark'] == 'changed'
    assert appiad.call('DELETE', path).status == 204
    for method in ('GET', 'PUT', 'DELETE'):
        refused(appiad.call(method, path, EXAMPLE if method == 'PUT' else None), 404, 'APIG.3001',
                f'API group {g["id"]} does not exist')


def test_twin_path(appiad):
    path = '/v2/{project_id}/apigw/instances/{instance_id}/api-groups'
    g = ok(appiad.call('POST', path, {'name': 'by its twin'.replace(' ', '_')}), 201)
    assert ok(appiad.call('GET', f'{path}/{g["id"]}'))['name'] == 'by_its_twin'


def test_of_an_application(appiad):
    app = apic.app(appiad, 'owner of groups')
    g = ok(appiad.call('POST', GROUPS, {'name': 'group_of_app', 'version': 'V2', 'roma_app_id': app}), 201)
    assert (g['version'], g['roma_app_id'], g['roma_app_name']) == ('V2', app, 'owner of groups')
    assert [x['id'] for x in ok(appiad.call('GET', GROUPS, query={'roma_app_id': app}))['groups']] == [g['id']]
    refused(appiad.call('POST', GROUPS, {'name': 'group_lost', 'version': 'V2'}), 400, 'APIG.2001', 'roma_app_id')
    refused(appiad.call('POST', GROUPS, {'name': 'group_lost', 'roma_app_id': NOBODY}), 404, 'APIG.3004',
            f'App {NOBODY} does not exist')
    refused(appiad.call('POST', GROUPS, {'name': 'group_lost', 'version': 'V1', 'roma_app_id': app}), 400, 'APIG.2011')


@pytest.mark.parametrize('body, code', [
    ({}, 'APIG.2001'), ({'name': 'ab'}, 'APIG.2005'), ({'name': 'x' * 256}, 'APIG.2006'),
    ({'name': '_abc'}, 'APIG.2011'), ({'name': 'a b c'}, 'APIG.2011'), ({'name': 'abc\n'}, 'APIG.2011'),
    ({'name': 5}, 'APIG.2012'), ({'name': 'fine', 'remark': 'x' * 1001}, 'APIG.2006'),
    ({'name': 'fine', 'version': 'V3'}, 'APIG.2012')])
def test_constraints(appiad, body, code):
    refused(appiad.call('POST', GROUPS, body), 400, code)
    g = apic.group(appiad)
    if 'version' not in body:
        refused(appiad.call('PUT', f'{GROUPS}/{g}', body), 400, code)


def test_names(appiad):
    for name in ('分组一', 'a-b_c./()（）:：、', '1st', 'x' * 255):
        ok(appiad.call('POST', GROUPS, {'name': name}), 201)
        refused(appiad.call('POST', GROUPS, {'name': name}), 400, 'APIG.3201')
        refused(appiad.call('POST', GROUPS + '/check', {'group_name': name}), 400, 'APIG.3201')
    g = apic.group(appiad, 'Case')
    apic.group(appiad, 'case')
    refused(appiad.call('PUT', f'{GROUPS}/{g}', {'name': 'case'}), 400, 'APIG.3201')
    assert appiad.call('POST', GROUPS + '/check', {'group_name': 'ApiGroup_demo'}).status == 204
    refused(appiad.call('POST', GROUPS + '/check', {}), 400, 'APIG.2001')
    refused(appiad.call('POST', GROUPS + '/check', {'group_name': 'x', 'roma_app_id': NOBODY}), 404, 'APIG.3004')


def test_default(appiad):
    found = ok(appiad.call('GET', GROUPS, query={'name': 'DEFAULT', 'precise_search': 'name'}))
    assert found['total'] == found['size'] == 1
    g = found['groups'][0]
    assert g['is_default'] == 1 and 'roma_app_id' not in g
    refused(appiad.call('DELETE', f'{GROUPS}/{g["id"]}'), 409, 'APIG.3482')
    refused(appiad.call('PUT', f'{GROUPS}/{g["id"]}', {'name': 'mine'}), 400, 'APIG.2011')
    assert ok(appiad.call('PUT', f'{GROUPS}/{g["id"]}', {'name': 'DEFAULT', 'remark': 'r'}))['remark'] == 'r'


def test_list(appiad):
    ids = [apic.group(appiad, f'list_{i}_.') for i in range(3)]
    ok(appiad.call('POST', f'{GROUPS}/{ids[1]}/domains', {'url_domain': 'www.list.example'}), 201)

    def listed(**query):
        return [g['id'] for g in ok(appiad.call('GET', GROUPS, query=query))['groups']]
    assert sorted(listed(name='LIST_')) == sorted(ids) and listed(name='list_1_.', precise_search='name') == [ids[1]]
    assert listed(name='list_1', precise_search='name') == []
    assert listed(name='list%') == [] and listed(name='listx') == []
    assert listed(name='T_0_.') == [ids[0]] and listed(id=ids[2]) == [ids[2]] and listed(id=ids[2], name='list_0') == []
    assert listed(domain_name='LIST.exam') == [ids[1]]
    assert listed(domain_name='www.list.example', precise_search='domain_name') == [ids[1]]
    assert listed(domain_name='list.exam', precise_search='name,domain_name') == []
    assert listed(domain_name=ids[0]) == [ids[0]]
    pages = [ok(appiad.call('GET', GROUPS, query={'name': 'list_', 'limit': 1, 'offset': i})) for i in range(4)]
    assert [p['total'] for p in pages] == [3] * 4 and [p['size'] for p in pages] == [1, 1, 1, 0]
    assert sorted(p['groups'][0]['id'] for p in pages[:3]) == sorted(ids)
    shown = {g['id']: g for p in pages for g in p['groups']}[ids[1]]
    assert shown['url_domains'][0]['domain'] == 'www.list.example'
    assert len(listed(name='list_', offset=-5)) == 3
    for query in ({'limit': 0}, {'limit': 501}):
        refused(appiad.call('GET', GROUPS, query=query), 400, 'APIG.2004')
    refused(appiad.call('GET', GROUPS, query={'limit': 'x'}), 400, 'APIG.2012')


def test_delete_with_apis(appiad):
    app = apic.app(appiad)
    g = apic.group(appiad, version='V2', roma_app_id=app)
    api = apic.api(appiad, g, app)
    refused(appiad.call('DELETE', f'{GROUPS}/{g}'), 409, 'APIG.3415')
    assert appiad.call('DELETE', f'{V2}/apis/{api}').status in (200, 204)
    body = {'group_id': g, 'env_id': apic.RELEASE, 'variable_name': 'abc', 'variable_value': 'x'}
    variable = ok(appiad.call('POST', V2 + '/env-variables', body), 201)['id']
    ok(appiad.call('POST', f'{GROUPS}/{g}/domains', {'url_domain': 'gone.example.com'}), 201)
    assert appiad.call('DELETE', f'{GROUPS}/{g}').status == 204
    refused(appiad.call('GET', f'{V2}/env-variables/{variable}'), 404, 'APIG.3011')
    other = apic.group(appiad)
    ok(appiad.call('POST', f'{GROUPS}/{other}/domains', {'url_domain': 'gone.example.com'}), 201)


def test_roles(appiad):
    app = apic.app(appiad)
    mine = apic.group(appiad, version='V2', roma_app_id=app)
    free = apic.group(appiad)
    uid, token = apic.user(appiad, 'group-user')
    refused(appiad.call('GET', f'{GROUPS}/{mine}', token=token), 403, 'APIG.1101')
    assert ok(appiad.call('GET', f'{GROUPS}/{free}', token=token))['id'] == free
    seen = [g['id'] for g in ok(appiad.call('GET', GROUPS, token=token, query={'limit': 500}))['groups']]
    assert free in seen and mine not in seen
    refused(appiad.call('POST', GROUPS, {'name': 'stolen', 'roma_app_id': app}, token=token), 403, 'APIG.1141')
    apic.member(appiad, app, uid, 'read')
    ok(appiad.call('GET', f'{GROUPS}/{mine}', token=token))
    refused(appiad.call('PUT', f'{GROUPS}/{mine}', EXAMPLE, token=token), 403, 'APIG.1101')
    refused(appiad.call('DELETE', f'{GROUPS}/{mine}', token=token), 403, 'APIG.1101')
    apic.member(appiad, app, uid, 'modify')
    ok(appiad.call('PUT', f'{GROUPS}/{mine}', {'name': 'by_member'}, token=token))
    refused(appiad.call('DELETE', f'{GROUPS}/{mine}', token=token), 403, 'APIG.1101')


def test_other_instances(appiad):
    other = ok(appiad.call('POST', '/v2/{project_id}/instances', {'name': 'groups-2'}), 201)['id']
    path = f'/v2/{{project_id}}/apic/instances/{other}/api-groups'
    mine = apic.group(appiad, 'same_name')
    theirs = ok(appiad.call('POST', path, {'name': 'same_name'}), 201)['id']
    refused(appiad.call('GET', f'{path}/{mine}'), 404, 'APIG.3001')
    refused(appiad.call('GET', f'{GROUPS}/{theirs}'), 404, 'APIG.3001')
    assert ok(appiad.call('GET', path))['total'] == 2  # DEFAULT is the other one
    instance = f'/v2/{{project_id}}/instances/{other}'
    assert appiad.call('DELETE', instance).status == 409
    assert appiad.call('DELETE', f'{path}/{theirs}').status == 204
    assert appiad.call('DELETE', instance).status == 204
    refused(appiad.call('GET', path), 404, 'APIG.3030')
