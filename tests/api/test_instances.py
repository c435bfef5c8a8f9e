# SPDX-License-Identifier: Apache-2.0
"""Instances (4.5, 6.1 and our extension) and API versions (4.4)."""
import pytest

INSTANCES = '/v2/{project_id}/instances'
EXAMPLE = {'name': 'roma-test', 'description': 'second instance', 'flavor_type': 'professional'}


def test_list(appiad):
    r = appiad.call('GET', INSTANCES, query={'status': 'RUNNING'}).json
    assert r['total'] == r['size'] == 1
    i = r['instances'][0]
    assert i['id'] == appiad.credentials['instance_id'] and i['project_id'] == appiad.credentials['project_id']
    assert i['status'] == 'RUNNING' and i['cpu_arch'] in ('x86_64', 'aarch64') and not i['publicip_enable']
    assert appiad.call('GET', INSTANCES, query={'status': 'ERROR'}).json == {'total': 0, 'size': 0, 'instances': []}
    for query in ({'status': 'FINE'}, {'offset': -1}, {'limit': 'x'}):
        r = appiad.call('GET', INSTANCES, query=query)
        assert r.status == 400 and r.json['error_code'] == 'ROMA.13000'


def test_details(appiad):
    i = appiad.call('GET', '/v2/{project_id}/apic/instances/{instance_id}').json
    assert i['id'] == appiad.credentials['instance_id'] and i['status'] == 'Running'
    assert i['spec'] == 'ROMA_BASIC' and i['create_time'] > 1500000000000
    r = appiad.call('GET', '/v2/{project_id}/apic/instances/{instance_id}/restriction').json
    assert r == {'restrict_cidrs': [], 'resource_subnet_cidr': ''}
    r = appiad.call('GET', '/v2/{project_id}/apic/instances/nowhere')
    assert r.status == 404 and r.json['error_msg'] == 'The instance does not exist;id:nowhere'


def test_life(appiad):
    r = appiad.call('POST', INSTANCES, EXAMPLE)
    assert r.status == 201, r
    i = r.json
    assert i['name'] == 'roma-test' and i['flavor_type'] == 'professional'
    path = f'{INSTANCES}/{i["id"]}'
    assert appiad.call('GET', path).json == i
    assert appiad.call('GET', INSTANCES, query={'limit': 1, 'offset': 1}).json['instances'][0]['id'] == i['id']
    assert appiad.call('POST', INSTANCES, EXAMPLE).status == 409
    # applications of one are not found in another
    app = appiad.call('POST', path + '/apps', {'name': 'inside'}).json['id']
    assert appiad.call('GET', f'{INSTANCES}/{appiad.credentials["instance_id"]}/apps/{app}').status == 404
    r = appiad.call('DELETE', path)
    assert r.status == 409 and 'resources' in r.json['error_msg']
    assert appiad.call('DELETE', f'{path}/apps/{app}').status == 200
    assert appiad.call('DELETE', path).status == 204
    r = appiad.call('GET', path)
    assert r.status == 404 and r.json['error_code'] == 'ROMA.14002'


@pytest.mark.parametrize('body', [{}, {'name': ''}, {'name': 'x' * 65}, {'name': '1'}, {'name': 'a b'},
                                  {'name': 'ok', 'flavor_type': 'huge'}, {'name': 'ok', 'description': 'x' * 256},
                                  {'name': 'ok', 'maintain_begin': '03:00:00'}])
def test_constraints(appiad, body):
    r = appiad.call('POST', INSTANCES, body)
    assert r.status == 400 and r.json['error_code'] == 'ROMA.13000', r


def test_versions(appiad):
    versions = appiad.raw('GET', '/').json['versions']
    assert [(v['id'], v['status']) for v in versions] == [('v1', 'SUPPORTED'), ('v2', 'CURRENT')]
    assert appiad.raw('GET', '/v2').json == versions[1]
    assert appiad.raw('GET', '/v9').status == 404


def test_credentials_needed(appiad):
    r = appiad.raw('GET', INSTANCES.replace('{project_id}', appiad.credentials['project_id']))
    assert r.status == 401 and r.json['error_code'] == 'ROMA.1000'
