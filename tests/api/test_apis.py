# SPDX-License-Identifier: Apache-2.0
"""APIs: section 6.3 of the reference."""
import concurrent.futures
import http.server
import threading

import pytest
from lib.appiad import Appiad

BASE = '/v2/{project_id}/apic/instances/{instance_id}'
APIS = BASE + '/apis'
RELEASE = 'DEFAULT_ENVIRONMENT_RELEASE_ID'
HTTP = {'backend_type': 'HTTP', 'backend_api': {
    'url_domain': '10.10.10.156:12346', 'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/test/benchmark',
    'timeout': 5000}}
MOCK = {'backend_type': 'MOCK', 'mock_info': {'result_content': 'mock success'}}
# The documented example, without the authorizer it names.
EXAMPLE = {
    'match_mode': 'NORMAL', 'name': 'Api_http', 'auth_type': 'APP', **HTTP, 'req_protocol': 'HTTPS',
    'req_uri': '/test/http', 'remark': 'Web backend API', 'type': 1, 'req_method': 'GET',
    'result_normal_sample': 'Normal response example', 'result_failure_sample': 'Failure response example',
    'tags': ['webApi'],
    'req_params': [{'name': 'query_demo', 'location': 'QUERY', 'type': 'STRING', 'required': 1},
                   {'name': 'header-demo', 'location': 'HEADER', 'type': 'STRING', 'required': 2}],
    'backend_params': [
        {'name': 'backHeader', 'value': 'header-demo', 'location': 'HEADER', 'origin': 'REQUEST'},
        {'name': 'backQuery', 'value': 'query_demo', 'location': 'QUERY', 'origin': 'REQUEST'},
        {'name': 'X-CONSTANT-HEADER', 'value': 'demo', 'location': 'HEADER', 'origin': 'CONSTANT', 'remark': 'demo'},
        {'name': 'app-id', 'value': '$context.appId', 'location': 'HEADER', 'origin': 'SYSTEM'}]}
counter = iter(range(1000000))


class Road:
    """A control plane with an application and a group."""

    def __init__(self, appiad):
        self.call = appiad.call
        n = next(counter)
        r = self.call('POST', '/v2/{project_id}/instances/{instance_id}/apps', {'name': f'app-{n}'})
        assert r.status == 201, r
        self.app = r.json['id']
        self.group = self.make_group()

    def make_group(self):
        r = self.call('POST', BASE + '/api-groups', {'name': f'group_{next(counter)}', 'roma_app_id': self.app})
        assert r.status == 201, r
        return r.json['id']

    def definition(self, **fields):
        n = next(counter)
        return {'name': f'Api_{n}', 'group_id': self.group, 'type': 1, 'req_protocol': 'HTTPS', 'req_method': 'GET',
                'req_uri': f'/path/{n}', 'auth_type': 'NONE', **MOCK, **fields}

    def create(self, **fields):
        return self.call('POST', APIS, self.definition(**fields))

    def made(self, **fields):
        r = self.create(**fields)
        assert r.status == 201, r
        return r.json

    def publish(self, api, action='online', env=RELEASE, **more):
        return self.call('POST', APIS + '/action', {'action': action, 'api_id': api, 'env_id': env, **more})

    def env(self):
        r = self.call('POST', BASE + '/envs', {'name': f'env_{next(counter)}'})
        assert r.status == 201, r
        return r.json


@pytest.fixture(scope='module')
def road(appiad):
    return Road(appiad)


def refused(r, status, code):
    assert (r.status, r.json.get('error_code')) == (status, code), r
    assert r.json['error_msg'] and len(r.json['request_id']) == 32


def test_documented_example(road):
    r = road.create(**EXAMPLE)
    assert r.status == 201, r
    api = r.json
    assert len(api['id']) == 32 and api['status'] == 1 and api['arrange_necessary'] == 2
    assert api['auth_opt'] == {'app_code_auth_type': 'DISABLE'} and api['cors'] is False
    assert api['roma_app_id'] == road.app and api['run_env_id'] == '' and api['publish_id'] == ''
    assert api['backend_api']['retry_count'] == '-1' and api['backend_api']['vpc_channel_status'] == 2
    assert api['api_group_info']['id'] == road.group and api['api_group_info']['sl_domain'].startswith(road.group)
    assert [p['pass_through'] for p in api['req_params']] == [1, 1]
    ids = {p['name']: p['id'] for p in api['req_params']}
    assert api['backend_params'][0]['req_param_id'] == ids['header-demo']
    assert road.call('GET', f'{APIS}/{api["id"]}').json == api

    changed = dict(EXAMPLE, group_id=road.group, remark='changed', cors=True)
    r = road.call('PUT', f'{APIS}/{api["id"]}', changed)
    assert r.status == 200 and r.json['remark'] == 'changed' and r.json['cors'] is True, r
    assert {p['name']: p['id'] for p in r.json['req_params']} == ids
    assert r.json['register_time'] == api['register_time'] and r.json['update_time'] >= api['update_time']

    r = road.publish(api['id'])
    assert r.status == 201 and len(r.json['version_id']) == 32, r
    shown = road.call('GET', f'{APIS}/{api["id"]}').json
    assert shown['run_env_name'] == 'RELEASE' and shown['publish_id'] == r.json['publish_id']
    refused(road.call('DELETE', f'{APIS}/{api["id"]}'), 409, 'APIG.3416')
    assert road.publish(api['id'], 'offline').status == 201
    refused(road.publish(api['id'], 'offline'), 404, 'APIG.3015')
    assert road.call('DELETE', f'{APIS}/{api["id"]}').status == 204
    refused(road.call('GET', f'{APIS}/{api["id"]}'), 404, 'APIG.3002')


def test_documented_mock_and_function(road):
    api = road.made(name='Api_mock', match_mode='SWA', auth_type='APP', req_uri='/test/mock', **MOCK)
    assert api['mock_info']['result_content'] == 'mock success' and 'backend_api' not in api
    urn = 'urn:fss:region01:73d69ae0cfcf460190522d06b60f05ad:function:default:auto_testfunc93749'
    func = {'function_urn': urn, 'network_type': 'V1', 'invocation_type': 'sync', 'timeout': 5000, 'version': 'latest'}
    refused(road.create(backend_type='FUNCTION', func_info=func), 404, 'APIG.3019')


@pytest.mark.parametrize('fields, status, code', [
    ({'name': None}, 400, 'APIG.2001'), ({'name': 'ab'}, 400, 'APIG.2005'), ({'name': 'a' * 256}, 400, 'APIG.2006'),
    ({'name': '-abc'}, 400, 'APIG.2011'), ({'type': 3}, 400, 'APIG.2012'), ({'type': '1'}, 400, 'APIG.2012'),
    ({'req_protocol': 'FTP'}, 400, 'APIG.2012'), ({'req_method': 'FETCH'}, 400, 'APIG.2012'),
    ({'req_uri': 'no-slash'}, 400, 'APIG.2011'), ({'req_uri': '/' + 'a' * 512}, 400, 'APIG.2006'),
    ({'req_uri': '/a b'}, 400, 'APIG.2011'), ({'req_uri': '/a/{b}c'}, 400, 'APIG.2011'),
    ({'req_uri': '/apic/health_check'}, 400, 'APIG.2011'), ({'auth_type': 'BASIC'}, 400, 'APIG.2012'),
    ({'auth_type': 'AUTHORIZER'}, 400, 'APIG.2001'),
    ({'auth_type': 'AUTHORIZER', 'authorizer_id': '0d982c1ac3da493dae47627b6439fc5c'}, 404, 'APIG.3081'),
    ({'auth_opt': {'app_code_auth_type': 'HEADER'}}, 400, 'APIG.2011'),
    ({'auth_opt': {'app_code_auth_type': 'QUERY'}}, 400, 'APIG.2012'), ({'match_mode': 'PREFIX'}, 400, 'APIG.2012'),
    ({'backend_type': 'HTTP'}, 400, 'APIG.2001'), ({'backend_type': 'FTP'}, 400, 'APIG.2012'),
    ({'remark': '<script>'}, 400, 'APIG.2011'), ({'remark': 'a' * 1001}, 400, 'APIG.2006'),
    ({'group_id': 'c77f5e81d9cb4424bf704ef2b0ac7600'}, 404, 'APIG.3001'), ({'group_id': None}, 400, 'APIG.2001'),
    ({'tags': ['1a']}, 400, 'APIG.2011'), ({'tags': [f'a{i}' for i in range(11)]}, 403, 'APIG.3133'),
    ({'roma_app_id': '957dcd1e-d8f4-432e-8e71-df55cf772aba'}, 400, 'APIG.3479'),
    ({'body_remark': 'a' * 20481}, 400, 'APIG.2006'), ({'content_type': 'text/html'}, 400, 'APIG.2012'),
    ({'req_params': [{'name': '1x', 'type': 'STRING', 'location': 'QUERY'}]}, 400, 'APIG.2011'),
    ({'req_params': [{'name': 'x' * 33, 'type': 'STRING', 'location': 'QUERY'}]}, 400, 'APIG.2006'),
    ({'req_params': [{'name': 'x', 'type': 'DATE', 'location': 'QUERY'}]}, 400, 'APIG.2012'),
    ({'req_params': [{'name': 'x', 'type': 'STRING', 'location': 'BODY'}]}, 400, 'APIG.2012'),
    ({'req_params': [{'name': 'x', 'type': 'STRING', 'location': 'PATH'}]}, 400, 'APIG.2026'),
    ({'req_params': [{'name': f'p{i}', 'type': 'STRING', 'location': 'QUERY'} for i in range(51)]}, 403, 'APIG.3111'),
    ({'backend_params': [{'name': 'x', 'location': 'QUERY', 'origin': 'REQUEST', 'value': 'y'}]}, 400, 'APIG.2028'),
    ({'backend_params': [{'name': 'x', 'location': 'BODY', 'origin': 'CONSTANT', 'value': 'y'}]}, 400, 'APIG.2012'),
    ({'mock_info': {'result_content': 'x', 'status_code': 299}}, 400, 'APIG.2004'),
])
def test_refused_definitions(road, fields, status, code):
    definition = {k: v for k, v in road.definition(**fields).items() if v is not None}
    refused(road.call('POST', APIS, definition), status, code)
    api = road.made()
    refused(road.call('PUT', f'{APIS}/{api["id"]}', definition), status, code)
    assert road.call('GET', f'{APIS}/{api["id"]}').json == api
    assert road.call('DELETE', f'{APIS}/{api["id"]}').status == 204


@pytest.mark.parametrize('fields, status, code', [
    ({'url_domain': ''}, 400, 'APIG.2001'), ({'url_domain': 'a b'}, 400, 'APIG.2011'),
    ({'url_domain': 'host:0'}, 400, 'APIG.2025'), ({'url_domain': '#ab#'}, 400, 'APIG.2011'),
    ({'req_protocol': 'FTP'}, 400, 'APIG.2012'), ({'req_method': 'X'}, 400, 'APIG.2012'),
    ({'req_uri': 'x'}, 400, 'APIG.2011'), ({'timeout': 0}, 400, 'APIG.2004'), ({'timeout': 60001}, 400, 'APIG.2003'),
    ({'retry_count': '11'}, 400, 'APIG.2011'), ({'retry_count': 'x'}, 400, 'APIG.2011'),
    ({'req_uri': '/{x}'}, 400, 'APIG.2027'), ({'vpc_channel_status': 1}, 400, 'APIG.2001'),
    ({'vpc_channel_status': 1, 'vpc_channel_info': {'vpc_channel_id': '56a7d7358e1b42459c9d730d65b14e59'}}, 404,
     'APIG.3023'),
])
def test_refused_back_ends(road, fields, status, code):
    backend = dict(HTTP['backend_api'], **fields)
    refused(road.create(backend_type='HTTP', mock_info=None, backend_api=backend), status, code)


def test_duplicates(road):
    one = road.made(req_uri='/dup/{id}', req_params=[{'name': 'id', 'type': 'STRING', 'location': 'PATH'}])
    other = [{'name': 'key', 'type': 'STRING', 'location': 'PATH'}]
    refused(road.create(req_uri='/dup/{key}', req_params=other), 400, 'APIG.3301')
    refused(road.create(req_uri='/dup/{key}', req_method='ANY', req_params=other), 400, 'APIG.3301')
    refused(road.create(name=one['name']), 400, 'APIG.3202')
    assert road.create(req_uri='/dup/{key}', req_method='POST', req_params=other).status == 201
    group = road.make_group()
    assert road.create(name=one['name'], group_id=group, req_uri='/dup/{key}', req_params=other).status == 201

    check = {'type': 'path', 'req_method': 'GET', 'req_uri': '/dup/{x}', 'match_mode': 'NORMAL', 'group_id': road.group}
    refused(road.call('POST', APIS + '/check', check), 400, 'APIG.3301')
    assert road.call('POST', APIS + '/check', dict(check, api_id=one['id'])).status == 204
    assert road.call('POST', APIS + '/check', dict(check, match_mode='SWA')).status == 204
    refused(road.call('POST', APIS + '/check', {'type': 'name', 'name': one['name']}), 400, 'APIG.3202')
    assert road.call('POST', APIS + '/check', {'type': 'name', 'name': 'api_demo'}).status == 204
    refused(road.call('POST', APIS + '/check', {'type': 'name'}), 400, 'APIG.2001')
    refused(road.call('POST', APIS + '/check', {'type': 'colour'}), 400, 'APIG.2012')


def test_versions(road):
    api, env = road.made()['id'], road.env()
    versions = []
    for i in range(12):
        r = road.publish(api, remark=f'release {i}')
        assert r.status == 201 and r.json['remark'] == f'release {i}', r
        versions.append(r.json['version_id'])
    assert road.publish(api, env=env['id']).status == 201
    path = f'{APIS}/publish/{api}'
    r = road.call('GET', path, query={'env_id': RELEASE})
    assert r.json['total'] == 10 and r.json['size'] == 10
    assert [v['status'] for v in r.json['api_versions']] == [1] + [2] * 9
    assert [v['version_id'] for v in r.json['api_versions']] == versions[:1:-1]
    assert road.call('GET', path, query={'env_name': env['name']}).json['total'] == 1
    assert road.call('GET', path, query={'limit': 3, 'offset': 9}).json['size'] == 2
    refused(road.call('GET', path, query={'limit': 0}), 400, 'APIG.2004')

    r = road.call('PUT', path, {'version_id': versions[5]})
    assert r.status == 200 and r.json['version_id'] == versions[5] and r.json['env_id'] == RELEASE, r
    refused(road.call('PUT', path, {'version_id': versions[0]}), 404, 'APIG.3022')
    refused(road.call('PUT', path, {}), 400, 'APIG.2001')
    other = road.made()['id']
    refused(road.call('PUT', f'{APIS}/publish/{other}', {'version_id': versions[5]}), 404, 'APIG.3022')

    detail = road.call('GET', f'{APIS}/versions/{versions[5]}').json
    assert detail['version_id'] == versions[5] and detail['run_env_id'] == RELEASE and detail['sl_domain']
    runtime = road.call('GET', f'{APIS}/runtime/{api}').json
    assert runtime['run_env_name'] == 'RELEASE' and runtime['id'] == api and runtime['publish_id']
    assert road.call('GET', f'{APIS}/runtime/{api}', query={'env_id': env['id']}).json['run_env_name'] == env['name']
    refused(road.call('GET', f'{APIS}/runtime/{other}'), 404, 'APIG.3015')

    refused(road.call('DELETE', f'{APIS}/versions/{versions[11]}'), 404, 'APIG.3015')
    assert road.call('DELETE', f'{APIS}/versions/{versions[5]}').status == 204
    refused(road.call('DELETE', f'{APIS}/versions/{versions[0]}'), 404, 'APIG.3022')
    refused(road.call('GET', f'{APIS}/versions/{versions[0]}'), 404, 'APIG.3022')
    refused(road.call('GET', f'{APIS}/runtime/{api}'), 404, 'APIG.3015')


def test_publishing_is_refused(road):
    api = road.made()['id']
    refused(road.publish(api, env='none'), 404, 'APIG.3003')
    refused(road.publish('none'), 404, 'APIG.3002')
    refused(road.publish(api, 'restart'), 400, 'APIG.2012')
    policy = {'name': 'policy1', 'effect_mode': 'ALL', 'result_content': 'x',
              'conditions': [{'condition_origin': 'source', 'condition_value': '10.0.0.0/8'}]}
    with_policy = road.made(policy_mocks=[policy])
    assert with_policy['policy_mocks'][0]['name'] == 'policy1'
    refused(road.publish(with_policy['id']), 412, 'APIG.3458')
    refused(road.create(policy_mocks=[policy, policy]), 400, 'APIG.3210')
    refused(road.create(policy_mocks=[dict(policy, name=f'policy{i}') for i in range(6)]), 403, 'APIG.3113')
    backend = dict(HTTP['backend_api'], url_domain='#host#:80')
    variable = road.made(backend_type='HTTP', mock_info=None, backend_api=backend)['id']
    refused(road.publish(variable), 404, 'APIG.3011')
    r = road.call('POST', BASE + '/env-variables', {'env_id': RELEASE, 'group_id': road.group,
                                                    'variable_name': 'host', 'variable_value': 'back.example'})
    assert r.status == 201, r
    assert road.publish(variable).status == 201


def test_what_may_be_deleted_when(road):
    group, env = road.make_group(), road.env()
    api = road.made(group_id=group)['id']
    refused(road.call('DELETE', f'{BASE}/api-groups/{group}'), 409, 'APIG.3415')
    assert road.publish(api, env=env['id']).status == 201
    refused(road.call('DELETE', f'{BASE}/envs/{env["id"]}'), 409, 'APIG.3418')
    refused(road.call('DELETE', f'{APIS}/{api}'), 409, 'APIG.3416')
    assert road.publish(api, 'offline', env['id']).status == 201
    assert road.call('DELETE', f'{APIS}/{api}').status == 204
    assert road.call('DELETE', f'{BASE}/envs/{env["id"]}').status == 204
    assert road.call('DELETE', f'{BASE}/api-groups/{group}').status == 204


def test_batch(road):
    one, two = road.made()['id'], road.made()['id']
    body = {'apis': [one, 'abd9c4b2ff974888b0ba79be7e6b2762', two], 'env_id': RELEASE,
            'remark': 'Publish to the production environment'}
    r = road.call('POST', APIS + '/publish', body, query={'action': 'online'})
    assert r.status == 200, r
    assert [s['api_id'] for s in r.json['success']] == [one, two] and r.json['success'][0]['version_id']
    assert [(f['api_id'], f['error_code']) for f in r.json['failure']] == [(body['apis'][1], 'APIG.3002')]
    r = road.call('POST', APIS + '/publish', body, query={'action': 'offline'})
    assert len(r.json['success']) == 2 and len(r.json['failure']) == 1
    refused(road.call('POST', APIS + '/publish', body), 400, 'APIG.2001')
    refused(road.call('POST', APIS + '/publish', body, query={'action': 'on'}), 400, 'APIG.2012')
    refused(
    road.call(
        'POST',
        APIS + '/publish',
        dict(
            body,
            env_id='none'),
            query={
                'action': 'online'}),
                404,
                 'APIG.3003')


def test_list(road):
    group = road.make_group()
    made = [road.made(group_id=group, name=f'List_{i}', req_uri=f'/list/{i}', req_method=m, auth_type=a)
            for i, (m, a) in enumerate([('GET', 'NONE'), ('POST', 'APP'), ('GET', 'IAM')])]

    def ids(**query):
        r = road.call('GET', APIS, query=dict(query, group_id=group))
        assert r.status == 200 and r.json['size'] == len(r.json['apis']), r
        return {a['name'] for a in r.json['apis']}

    assert ids() == {'List_0', 'List_1', 'List_2'}
    assert ids(name='list_') == ids() and ids(name='List_', precise_search='name') == set()
    assert ids(req_uri='/list/1') == {'List_1'} and ids(req_method='GET') == {'List_0', 'List_2'}
    assert ids(auth_type='IAM') == {'List_2'} and ids(id=made[0]['id']) == {'List_0'}
    assert ids(roma_app_id=road.app) == ids() and ids(env_id=RELEASE) == set()
    road.publish(made[1]['id'])
    assert ids(env_id=RELEASE) == {'List_1'} and len(ids(limit=2)) == 2 and len(ids(limit=2, offset=2)) == 1
    listed = road.call('GET', APIS, query={'id': made[1]['id']}).json['apis'][0]
    assert listed['run_env_name'] == 'RELEASE' and 'backend_api' not in listed and 'req_params' not in listed
    refused(road.call('GET', APIS, query={'limit': 501}), 400, 'APIG.2004')
    refused(road.call('GET', APIS, query={'precise_search': 'colour'}), 400, 'APIG.2012')
    r = road.call('GET', APIS.replace('{instance_id}', 'f0fa1789-3b76-433b-a787-9892951c620ec'))
    refused(r, 404, 'APIG.3030')


def test_twin_path(road):
    api = road.made()
    path = f'/v2/{{project_id}}/apigw/instances/{{instance_id}}/apis/{api["id"]}'
    assert road.call('GET', path).json['name'] == api['name']


def test_version_1(road):
    v1 = APIS.replace('/v2/', '/v1/')
    group = road.make_group()
    r = road.call('POST', v1, road.definition(**dict(EXAMPLE, group_id=group)))
    assert r.status == 201 and r.json['backend_params'][0]['req_param_id'], r
    api = r.json['id']
    shown = road.call('GET', f'{APIS}/{api}').json
    assert road.call('GET', f'{v1}/{api}').json == r.json and shown['req_params'] == r.json['req_params']
    r = road.call('PUT', f'{v1}/{api}', dict(EXAMPLE, group_id=group, remark='one'))
    assert r.status == 200 and r.json['remark'] == 'one', r
    r = road.call('GET', v1, query={'group_id': group})
    assert r.json['total'] == 1 and r.json['apis'][0]['id'] == api, r
    body = {'apis': [api], 'env_id': RELEASE}
    r = road.call('POST', v1 + '/publish', body, query={'action': 'online'})
    assert r.status == 200 and r.json['success'][0]['version_id'], r
    r = road.call('PUT', v1, {'apis': [api, 'none']}, query={'action': 'delete'})
    assert r.json['success_count'] == 0 and [f['error_code'] for f in r.json['failure']] == ['APIG.3416', 'APIG.3002']
    assert road.call('POST', v1 + '/publish', body, query={'action': 'offline'}).status == 200
    r = road.call('PUT', v1, {'group_id': group}, query={'action': 'delete'})
    assert r.json == {'success_count': 1, 'failure': []}, r
    refused(road.call('PUT', v1, {}, query={'action': 'delete'}), 400, 'APIG.2001')
    refused(road.call('PUT', v1, {}, query={'action': 'drop'}), 400, 'APIG.2012')
    refused(road.call('DELETE', f'{v1}/{api}'), 404, 'APIG.3002')
    other = road.made()['id']
    r = road.call('DELETE', f'{v1}/{other}')
    assert r.status == 204 and r.body == b'', r
    refused(road.call('GET', f'{APIS}/{other}'), 404, 'APIG.3002')
    refused(road.call('POST', f'{v1}/debug/{api}', {'mode': 'DEVELOPER',
            'scheme': 'HTTP', 'method': 'GET', 'path': '/'}), 404, 'APIG.3002')


class FakeGateway(http.server.BaseHTTPRequestHandler):
    seen = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get('Content-Length', 0)))
        self.seen.append((self.command, self.path, dict(self.headers), body))
        self.send_response(200)
        self.send_header('X-Answer', 'yes')
        self.end_headers()
        self.wfile.write(b'debugged')

    do_GET = do_POST

    def log_message(self, *args):
        pass


def test_debugging(tmp_path_factory):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), FakeGateway)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    appiad = Appiad(tmp_path_factory.mktemp('d'), {'APPIA_GATEWAY_HTTP_PORT': str(server.server_port)})
    try:
        road = Road(appiad)
        api = road.made(auth_type='APP', req_uri='/test/mock')
        path = f'{APIS}/debug/{api["id"]}'
        body = {'mode': 'DEVELOPER', 'scheme': 'HTTP', 'method': 'POST', 'path': '/test/mock', 'body': 'payload',
                'header': {'x-MY-hEaDer': ['1', '2']}, 'query': {'a b'.replace(' ', '_'): ['c d', 'é']}}
        r = road.call('POST', path, body)
        assert r.status == 200, r
        method, target, headers, sent = FakeGateway.seen[-1]
        assert (method, target, sent) == ('POST', '/test/mock?a_b=c%20d&a_b=%C3%A9', b'payload')
        assert headers['Host'] == f'{road.group}.apic.local' or headers['Host'].startswith(road.group)
        assert headers['X-Stage'].startswith('debug_') and headers['X-Apig-Mode'] == 'debug'
        assert r.json['request'].startswith('POST /test/mock?a_b=c%20d&a_b=%C3%A9 HTTP/1.1\r\n')
        assert 'X-My-Header: 2\r\n' in r.json['request'] and headers['X-Stage'] not in r.json['request']
        assert r.json['request'].endswith('\r\n\r\npayload') and r.json['response'].endswith('\r\n\r\ndebugged')
        assert r.json['response'].startswith('HTTP/1.1 200 OK\r\n') and 'X-Answer: yes' in r.json['response']
        assert r.json['latency'] >= 0
        first = r.json['request']
        r = road.call('POST', path.replace('/v2/', '/v1/'), body)
        assert r.status == 200 and set(r.json) == {'request', 'response', 'latency', 'log'}, r
        assert r.json['request'] == first and r.json['response'].endswith('\r\n\r\ndebugged')
        assert FakeGateway.seen[-1][:2] == FakeGateway.seen[-2][:2] and FakeGateway.seen[-1][3] == b'payload'

        consumer = {'mode': 'CONSUMER', 'scheme': 'HTTP', 'method': 'GET', 'path': '/test/mock'}
        refused(road.call('POST', path, consumer), 404, 'APIG.3015')
        assert road.publish(api['id']).status == 201
        assert road.call('POST', path, consumer).status == 200
        assert FakeGateway.seen[-1][2]['X-Stage'].startswith('debug_')
        r = road.call('POST', path, dict(consumer, app_key='key', app_secret='secret'))
        assert r.status == 200 and 'X-Stage: RELEASE' in r.json['request'] and 'secret' not in r.json['request']
        assert FakeGateway.seen[-1][2]['Authorization'].startswith('SDK-HMAC-SHA256 Access=key, ')
        for wrong in ({'header': {'X-Apig-A': ['1']}}, {'header': {'X-Stage': ['1']}}, {'header': {'A': ['b\r\nc']}},
                      {'query': {'1': ['1']}}, {'path': 'x'}, {'path': '/%zz'}, {'path': '/a b'}, {'method': 'ANY'},
                      {'header': {'Host': ['x']}}):
            refused(road.call('POST', path, dict(body, **wrong)), 400, 'APIG.2011')
        refused(road.call('POST', path, dict(body, domain='other.example.com')), 404, 'APIG.3020')
        refused(road.call('POST', path, dict(body, mode='MARKET')), 400, 'APIG.2030')
        refused(road.call('POST', path, dict(body, mode='X')), 400, 'APIG.2012')
        refused(road.call('POST', f'{APIS}/debug/none', body), 404, 'APIG.3002')
        # Nobody is told of another's transaction, whatever the store.
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda i: road.call('POST', path, body), range(100)))
        assert [r for r in replies if r.status != 200] == []
        server.shutdown()
        server.server_close()
        refused(road.call('POST', path, body), 500, 'APIG.3503')
        # Nothing of the calls is left.
        assert road.publish(api['id'], 'offline').status == 201
        assert road.call('DELETE', f'{APIS}/{api["id"]}').status == 204
    finally:
        assert appiad.stop() == 0
