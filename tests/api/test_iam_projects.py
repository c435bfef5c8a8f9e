# SPDX-License-Identifier: Apache-2.0
"""Projects, domains, regions, the service catalogue, and what belongs to which project."""
import pytest


def test_lists(appiad):
    c = appiad.credentials
    assert [p['id'] for p in appiad.call('GET', '/v3/auth/projects').json['projects']] == [c['project_id']]
    for query, n in (('', 1), ('?name=local', 1), ('?name=x', 0), ('?enabled=false', 0), ('?is_domain=true', 0),
                     ('?page=2&per_page=1', 0), ('?domain_id=x', 0)):
        assert len(appiad.call('GET', '/v3/projects' + query).json['projects']) == n, query
    assert appiad.call('GET', '/v3/projects?per_page=0').status == 400
    assert appiad.call('GET', '/v3/projects?per_page=5001').status == 400
    assert appiad.call('GET', '/v3/projects?enabled=maybe').status == 400


def test_life(appiad):
    parent = appiad.credentials['project_id']
    r = appiad.call('POST', '/v3/projects', {'project': {'name': 'local_two', 'parent_id': parent, 'description': 'd'}})
    assert r.status == 201, r
    p = r.json['project']
    path = '/v3/projects/' + p['id']
    assert appiad.call('GET', path).json['project']['name'] == 'local_two'
    assert appiad.call('POST', '/v3/projects', {'project': {'name': 'local_two', 'parent_id': parent}}).status == 409
    assert appiad.call('PATCH', path, {'project': {'name': 'local'}}).status == 409
    assert appiad.call('PATCH', path, {'project': {'name': 'local_2'}}).json['project']['name'] == 'local_2'
    token = appiad.login(project='local_2')
    url = f'/v2/{p["id"]}/instances'
    assert appiad.call('GET', url, token=token).json['instances'] == []
    assert appiad.call('PUT', '/v3-ext/projects/' + p['id'], {'project': {'status': 'suspended'}}).status == 204
    assert appiad.call('GET', '/v3-ext/projects/' + p['id']).json['project']['status'] == 'suspended'
    assert appiad.call('GET', url, token=token).status == 403
    assert appiad.call('PUT', '/v3-ext/projects/' + p['id'], {'project': {'status': 'normal'}}).status == 204
    assert appiad.call('GET', url, token=token).status == 200
    assert appiad.call('PUT', '/v3-ext/projects/' + p['id'], {'project': {'status': 'gone'}}).status == 400


@pytest.mark.parametrize('project', [{}, {'name': 'x'}, {'parent_id': 'x'}, {'name': 'x', 'parent_id': 'unknown'},
                                     {'name': 'x' * 65, 'parent_id': 'x'}, {'name': 7, 'parent_id': 'x'}])
def test_refused(appiad, project):
    assert appiad.call('POST', '/v3/projects', {'project': project}).status == 400


def test_unknown(appiad):
    for method, path, body in (('GET', '/v3/projects/', None), ('PATCH', '/v3/projects/', {'project': {}}),
                               ('GET', '/v3-ext/projects/', None),
                               ('PUT', '/v3-ext/projects/', {'project': {'status': 'normal'}})):
        assert appiad.call(method, path + '0' * 32, body).status == 404, method


def test_paths_of_other_projects(appiad):
    """A project of somebody else, one that does not exist, an instance of another project: all the same."""
    parent = appiad.credentials['project_id']
    r = appiad.call('POST', '/v3/projects', {'project': {'name': 'other', 'parent_id': parent}})
    other = r.json['project']['id']
    instance = appiad.credentials['instance_id']
    unknown = appiad.call('GET', f'/v2/{"0" * 32}/instances')
    assert unknown.status == 403 and unknown.json['error_code'] == 'ROMA.4011000'
    foreign = appiad.call('GET', f'/v2/{other}/instances')
    strip = lambda r: {k: v for k, v in r.json.items() if k != 'request_id'}  # noqa: E731
    assert strip(foreign) == strip(unknown)
    token = appiad.login(project='other')
    r = appiad.call('GET', f'/v2/{other}/instances/{instance}/apps', token=token)
    assert r.status == 404 and r.json['error_msg'] == f'The instance does not exist;id:{instance}'
    r = appiad.call('GET', f'/v2/{other}/apic/instances/{instance}', token=token)
    assert r.status == 404 and r.json['error_code'] == 'APIG.3030'
    r = appiad.call('GET', f'/v2/{parent}/apic/instances/{instance}', token=token)
    assert r.status == 403 and r.json['error_code'] == 'APIG.1300'


def test_catalogue(appiad):
    services = appiad.call('GET', '/v3/services').json['services']
    assert {'iam', 'roma', 'apig'} <= {s['name'] for s in services}
    assert appiad.call('GET', '/v3/services/' + services[0]['id']).json['service'] == services[0]
    assert [s['name'] for s in appiad.call('GET', '/v3/services?type=roma').json['services']] == ['roma']
    endpoints = appiad.call('GET', '/v3/endpoints').json['endpoints']
    assert len(endpoints) == len(services)
    assert appiad.call('GET', '/v3/endpoints/' + endpoints[0]['id']).json['endpoint'] == endpoints[0]
    assert len(appiad.call('GET', '/v3/endpoints?service_id=' + services[0]['id']).json['endpoints']) == 1
    assert appiad.call('GET', '/v3/endpoints?interface=admin').json['endpoints'] == []
    assert appiad.call('GET', '/v3/endpoints?interface=secret').status == 400
    catalog = appiad.call('GET', '/v3/auth/catalog').json['catalog']
    assert {c['name'] for c in catalog} == {s['name'] for s in services}
    regions = appiad.call('GET', '/v3/regions').json['regions']
    assert [r['id'] for r in regions] == ['local']
    assert appiad.call('GET', '/v3/regions/local').json['region'] == regions[0]
    for path in ('regions', 'services', 'endpoints'):
        assert appiad.call('GET', f'/v3/{path}/unknown').status == 404


def test_version(appiad):
    assert appiad.raw('GET', '/v3').json['version']['id'].startswith('v3')


@pytest.mark.parametrize('path', ['/v3/auth/projects', '/v3/projects', '/v3/users', '/v3/regions', '/v3/auth/catalog',
                                  '/v3/auth/domains', '/v3/groups', '/v3.0/OS-CREDENTIAL/credentials'])
def test_credentials_needed(appiad, path):
    r = appiad.raw('GET', path)
    assert r.status == 401 and r.json['error']['code'] == 401
