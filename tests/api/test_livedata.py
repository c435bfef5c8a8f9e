# SPDX-License-Identifier: Apache-2.0
"""Custom back ends: section 6.19 of the reference, against the worker that runs them."""
import base64
import concurrent.futures
import json
import sqlite3

import pytest

from lib.apic import RELEASE, V2, app, group, member, ok, refused, user
from lib.appiad import HomeWorker

BASE = V2 + '/livedata-apis'
SOURCES = '/v2/{project_id}/fdi/instances/{instance_id}/datasources'
EXAMPLE = {'content_type': 'json', 'method': 'GET', 'name': 'livedata_api_demo', 'path': '/test/function',
           'return_format': False, 'version': '1.0.1'}
HELLO = 'function excute(data) {\n    return "Hello world!"\n}'
TOWNS = "select name, area from town where 1 = 1 [and name = '${name}'] order by id"


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope='module')
def worker(appiad):
    w = HomeWorker(appiad)
    yield w
    assert w.stop() == 0, 'appia-worker did not end cleanly; see its log'


@pytest.fixture(scope='module')
def owner(appiad):
    return app(appiad, 'owner of back ends')


@pytest.fixture(scope='module')
def source(appiad, owner, tmp_path_factory):
    path = str(tmp_path_factory.mktemp('db') / 'towns.db')
    db = sqlite3.connect(path)
    db.executescript('create table town (id integer primary key, name varchar(40) not null, area decimal(8,2));'
                     "insert into town values (1, 'Rome', 1285.31), (2, 'Milan', 181.67);")
    db.close()
    return ok(appiad.call('POST', SOURCES, {'datasource_name': 'towns', 'datasource_type': 'SQLITE', 'app_id': owner,
                                            'content': {'database_name': path}}), 201)['datasource_id']


def make(appiad, owner, name, **fields):
    body = {**EXAMPLE, 'name': name, 'path': '/' + name, 'roma_app_id': owner, **fields}
    return ok(appiad.call('POST', BASE, body), 201)['id']


def data(appiad, backend, source, *texts, **fields):
    scripts = [{'ds_id': source, 'type': 'SQL', 'object_name': f'object{i}' if i else 'towns', 'content': b64(t),
            **fields}
               for i, t in enumerate(texts)]
    return ok(appiad.call('POST', f'{BASE}/{backend}/scripts', {'api_type': 'data', 'scripts': scripts}))


def function(appiad, backend, text):
    return ok(appiad.call('POST', f'{BASE}/{backend}/scripts', {
        'api_type': 'function', 'scripts': [{'type': 'SQL', 'object_name': 'fun', 'content': b64(text)}]}))


def deploy(appiad, backend, **fields):
    return ok(appiad.call('POST', f'{BASE}/{backend}/deploy', {
        'deploy_front_api': True, 'auth_type': 'APP', 'env_id': RELEASE, 'protocol': 'HTTPS', 'backend_timeout': 5000,
        'cors': False, **fields}))


def test_documented_example(appiad, owner):
    r = ok(appiad.call('POST', BASE, {**EXAMPLE, 'roma_app_id': owner}), 201)
    assert len(r['id']) == 32 and r['status'] == 1 and r['parameters'] == [] and r['scripts'] == []
    assert r['roma_app_name'] == 'owner of back ends' and r['description'] == ''
    assert r['instance'] == appiad.credentials['instance_id'] and r['created_time'].endswith('Z')
    path = f'{BASE}/{r["id"]}'
    assert ok(appiad.call('GET', path)) == r
    scripts = {'api_type': 'function', 'scripts': [{
        'type': 'SQL', 'object_name': 'fun',
        'content': 'ZnVuY3Rpb24gZXh1Y3V0ZShkYXRhKSB7CiAgICByZXR1cm4gIkhlbGxvIHdvcmxkISIKfQ=='}]}
    done = ok(appiad.call('POST', path + '/scripts', scripts))
    assert done['status'] == 3 and done['type'] == 'function' and done['scripts'][0]['object_name'] == 'fun'
    assert done['scripts'][0]['created_time'] and 'ds_id' not in done['scripts'][0]
    assert ok(appiad.call('GET', path)) == done
    changed = ok(appiad.call('PUT', path, {**EXAMPLE, 'name': 'renamed', 'path': '/x', 'method': 'POST',
            'roma_app_id': owner,
                                           'description': 'text', 'parameters': [{'name': 'p', 'in': 'Headers'}]}))
    assert (changed['name'], changed['path'], changed['method']) == ('renamed', '/x', 'POST')
    assert changed['scripts'] == done['scripts'] and changed['status'] == 3
    assert not changed['parameters'][0]['required']
    assert appiad.call('DELETE', path).status == 204
    for method, tail, body in (('GET', '', None), ('PUT', '', {**EXAMPLE, 'roma_app_id': owner}), ('DELETE', '',
            None),
                               ('POST', '/scripts', scripts), ('POST', '/test', {}), ('GET', '/test', None),
                               ('POST', '/deploy', {'deploy_front_api': False}), ('GET', '/deploy', None),
                               ('POST', '/undeploy', None)):
        refused(appiad.call(method, path + tail, body), 404, 'APIG.3084', r['id'])


@pytest.mark.parametrize('change, code', [
    ({'name': None}, 'APIG.2001'), ({'name': 'ab'}, 'APIG.2005'), ({'name': 'x' * 101}, 'APIG.2006'),
    ({'name': '-abc'}, 'APIG.2011'), ({'name': 'a bc'}, 'APIG.2011'), ({'path': None}, 'APIG.2001'),
    ({'path': 'x/y'}, 'APIG.2011'), ({'path': '/'}, 'APIG.2005'), ({'path': '/ä'}, 'APIG.2011'),
    ({'method': 'PATCH'}, 'APIG.2012'), ({'method': None}, 'APIG.2001'), ({'version': None}, 'APIG.2001'),
    ({'version': '1 0'}, 'APIG.2011'), ({'version': 'x' * 64}, 'APIG.2006'), ({'content_type': 'csv'}, 'APIG.2011'),
    ({'content_type': None}, 'APIG.2001'), ({'roma_app_id': None}, 'APIG.2001'), ({'roma_app_id': 'unknown'},
        'APIG.3004'),
    ({'description': '<b>'}, 'APIG.2011'), ({'description': 'x' * 1001}, 'APIG.2006'), ({'return_format': 'x'},
        'APIG.2012'),
    ({'parameters': [{'name': 'a'}]}, 'APIG.2001'), ({'parameters': [{'in': 'Headers'}]}, 'APIG.2001'),
    ({'parameters': [{'name': 'a', 'in': 'Path'}]}, 'APIG.2012'), ({'parameters': [{'name': '1a',
        'in': 'Headers'}]}, 'APIG.2011'),
    ({'parameters': [{'name': 'x' * 33, 'in': 'Headers'}]}, 'APIG.2006'),
    ({'parameters': [{'name': 'a', 'in': 'Headers', 'description': '<'}]}, 'APIG.2011'),
    ({'parameters': [{'name': 'a', 'in': 'Body'}]}, 'APIG.2011'),
    ({'parameters': [{'name': 'application/json', 'in': 'Headers'}]}, 'APIG.2011')])
def test_constraints(appiad, owner, change, code):
    body = {**EXAMPLE, 'name': 'constraints', 'path': '/constraints', 'roma_app_id': owner, **change}
    r = appiad.call('POST', BASE, body)
    assert r.status == (404 if code == 'APIG.3004' else 400) and r.json['error_code'] == code, r
    assert ok(appiad.call('GET', BASE, query={'name': 'constraints'}))['total'] == 0


def test_unique(appiad, owner):
    make(appiad, owner, 'unique')
    b = make(appiad, owner, 'unique2')
    body = {**EXAMPLE, 'name': 'unique', 'path': '/other', 'roma_app_id': owner}
    refused(appiad.call('POST', BASE, body), 400, 'APIG.3215')
    refused(appiad.call('POST', BASE, {**body, 'name': 'other', 'path': '/unique'}), 400, 'APIG.3314')
    make(appiad, owner, 'other', path='/unique', method='POST')
    refused(appiad.call('PUT', f'{BASE}/{b}', body), 400, 'APIG.3215')
    refused(appiad.call('PUT', f'{BASE}/{b}', {**body, 'name': 'unique2', 'path': '/unique'}), 400, 'APIG.3314')
    check = BASE + '/check'
    refused(appiad.call('POST', check, {'type': 'name', 'ld_api_name': 'unique'}), 400, 'APIG.3215',
            'The livedata API name already exists')
    refused(appiad.call('POST', check, {'type': 'path', 'ld_api_method': 'GET', 'ld_api_path': '/unique'}), 400,
            'APIG.3314')
    assert appiad.call('POST', check, {'type': 'name', 'ld_api_name': 'free'}).status == 204
    assert appiad.call('POST', check, {'type': 'path', 'ld_api_method': 'PUT',
            'ld_api_path': '/unique'}).status == 204
    for body in ({'type': 'name'}, {'type': 'path', 'ld_api_path': '/x'}, {'type': 'path', 'ld_api_method': 'GET'},
            {}):
        refused(appiad.call('POST', check, body), 400, 'APIG.2001')
    refused(appiad.call('POST', check, {'type': 'colour'}), 400, 'APIG.2012')


def test_list(appiad, owner):
    other = app(appiad, 'other owner')
    ids = [make(appiad, owner, f'list_{i}') for i in range(3)] + [make(appiad, other, 'list_x')]
    function(appiad, ids[0], HELLO)

    def names(**query):
        page = ok(appiad.call('GET', BASE, query=query))
        assert page['size'] == len(page['apis']) <= page['total']
        return [a['name'] for a in page['apis']]

    assert names(name='LIST_') == ['list_x', 'list_2', 'list_1', 'list_0']
    assert names(name='list_', precise_search='name') == []
    assert names(name='list_1', precise_search='name') == ['list_1']
    assert names(path='/list_', app_id=other) == ['list_x'] and names(app_name='other', name='list_') == ['list_x']
    assert names(path='/list_2', precise_search='name,path') == ['list_2']
    assert names(name='list_', status='3') == ['list_0'] and names(name='list_', status='4') == []
    assert names(name='list_', offset=1, limit=2) == ['list_2', 'list_1']
    assert names(name='list_', offset=-5, limit=1) == ['list_x']
    for query in ({'limit': 0}, {'limit': 501}, {'status': '2'}, {'offset': 'x'}):
        assert appiad.call('GET', BASE, query=query).status == 400, query


def test_scripts_refused(appiad, worker, owner, source):
    backend = make(appiad, owner, 'scripts')
    path = f'{BASE}/{backend}/scripts'
    good = {'ds_id': source, 'type': 'SQL', 'object_name': 'a', 'content': b64('select 1')}
    other = ok(appiad.call('POST', SOURCES, {'datasource_name': 'queue', 'datasource_type': 'KAFKA', 'app_id': owner,
                                             'content': {'broker': 'a:1'}}), 201)['datasource_id']
    for change, status, code in (
            ({'object_name': None}, 400, 'APIG.2001'), ({'object_name': ' '}, 400, 'APIG.2011'),
            ({'object_name': 'x' * 33}, 400, 'APIG.2006'), ({'object_name': '<a>'}, 400, 'APIG.2011'),
            ({'content': None}, 400, 'APIG.2001'), ({'content': 'no base64!'}, 400, 'APIG.2011'),
            ({'content': 'A' * 100004}, 400, 'APIG.2006'), ({'content': b64('  \n')}, 400, 'APIG.2011'),
            ({'content': base64.b64encode(b'\xff\xfe').decode()}, 400, 'APIG.2011'),
            ({'content': b64("select 'open")}, 400, 'APIG.2011'),
            ({'type': 'XSL'}, 400, 'APIG.2012'), ({'ds_id': None}, 400, 'APIG.2001'),
            ({'ds_id': 'unknown'}, 404, 'APIG.3083'), ({'ds_id': other}, 400, 'APIG.3489')):
        refused(appiad.call('POST', path, {'api_type': 'data', 'scripts': [{**good, **change}]}), status, code)
    refused(appiad.call('POST', path, {'api_type': 'data', 'scripts': [good, good]}), 400, 'APIG.3315')
    many = [{**good, 'object_name': f'o{i}'} for i in range(51)]
    refused(appiad.call('POST', path, {'api_type': 'data', 'scripts': many}), 403, 'APIG.3135')
    refused(appiad.call('POST', path, {'api_type': 'data', 'scripts': []}), 400, 'APIG.2001')
    refused(appiad.call('POST', path), 400, 'APIG.2001')
    refused(appiad.call('POST', path, {'api_type': 'page', 'scripts': [good]}), 400, 'APIG.2012')
    broken = {'api_type': 'function', 'scripts': [{'object_name': 'f', 'content': b64('function execute(data) {')}]}
    refused(appiad.call('POST', path, broken), 400, 'APIG.2011')
    assert ok(appiad.call('GET', f'{BASE}/{backend}'))['status'] == 1, 'nothing of it was saved'
    done = data(appiad, backend, source, 'select 1', 'select 2')
    assert [s['object_name'] for s in done['scripts']] == ['towns', 'object1']
    assert done['scripts'][0]['ds_name'] == 'towns' and done['scripts'][0]['ds_type'] == 'sqlite'
    assert [s['object_name'] for s in data(appiad, backend, source,
            'select 3')['scripts']] == ['towns'], 'replaced as a whole'


def test_source_stays_while_used(appiad, owner, tmp_path):
    body = {'datasource_name': 'in use', 'datasource_type': 'MYSQL', 'app_id': owner, 'content': {
        'host': '127.0.0.1', 'port': '1', 'database_name': 'x', 'user_name': 'u', 'password': 'Hidden.Secret'}}
    mysql = ok(appiad.call('POST', SOURCES, body), 201)['datasource_id']
    backend = make(appiad, owner, 'user_of_source')
    data(appiad, backend, mysql, 'select 1')
    refused(appiad.call('DELETE', f'{SOURCES}/{mysql}'), 500, 'FDI.3121')
    refused(appiad.call('PUT', f'{SOURCES}/{mysql}', {**body, 'datasource_type': 'TAURUS'}), 400, 'FDI.3033')
    ok(appiad.call('PUT', f'{SOURCES}/{mysql}', {**body, 'datasource_name': 'in use, renamed'}))
    assert ok(appiad.call('GET', f'{BASE}/{backend}'))['scripts'][0]['ds_name'] == 'in use, renamed'
    listed = ok(appiad.call('GET', V2 + '/data-sources', query={'app_id': owner, 'name': 'IN USE'}))
    assert listed['total'] == listed['size'] == 1
    shown = listed['data_sources'][0]
    assert shown['type'] == 'mysql' and shown['url'] == 'jdbc:mysql://127.0.0.1:1/x' and shown['user'] == 'u'
    assert shown['status'] == 'new' and 'password' not in shown and 'Hidden' not in str(listed)
    function(appiad, backend, HELLO)
    assert appiad.call('DELETE', f'{SOURCES}/{mysql}').status == 204
    refused(appiad.call('GET', V2 + '/data-sources'), 400, 'APIG.2001')
    refused(appiad.call('GET', V2 + '/data-sources', query={'app_id': 'unknown'}), 404, 'APIG.3004')


def test_quota(appiad, owner):
    before = ok(appiad.call('GET', V2 + '/livedata-quota'))
    make(appiad, owner, 'counted')
    after = ok(appiad.call('GET', V2 + '/livedata-quota'))
    assert int(after['api_used']) == int(before['api_used']) + 1 and int(after['api']) == 10000
    assert set(after) == {'api', 'api_used', 'datasource', 'datasource_used', 'scripts'}


def test_test(appiad, worker, owner, source):
    backend = make(appiad, owner, 'tested', parameters=[{'name': 'name', 'in': 'Parameters'}])
    path = f'{BASE}/{backend}/test'
    refused(appiad.call('POST', path, {}), 400, 'APIG.3503')
    data(appiad, backend, source, TOWNS)
    r = ok(appiad.call('POST', path, {'parameters': [{'name': 'name', 'in': 'Parameters', 'default': 'Rome'}]}))
    assert r['test_status_code'] == '200'
    assert json.loads(r['test_response']) == {'towns': [{'name': 'Rome', 'area': 1285.31}]}
    assert r['test_method'] == 'GET' and r['ld_api_id'] == backend and r['test_used_time'] >= 0 and r['test_id'] > 0
    assert r['test_operator'] == appiad.credentials['project_id'] and r['test_date'].endswith('Z')
    asked = json.loads(r['test_request'])
    assert asked['apiUUID'] == backend and asked['testUrl'] == '/tested'
    assert asked['params'] == [{'paramDesc': '', 'paramName': 'name', 'paramRequired': '0', 'paramType': 'Parameters',
                                'paramValue': 'Rome'}]
    assert len(json.loads(ok(appiad.call('POST', path))['test_response'])['towns']) == 2
    data(appiad, backend, source, 'select * from village')
    failed = ok(appiad.call('POST', path, {}))
    assert failed['test_status_code'] == '500' and any('village' in line for line in failed['debug_log'])
    page = ok(appiad.call('GET', path))
    assert page['total'] == page['size'] == 3
    assert [t['test_status_code'] for t in page['histories']] == ['500', '200', '200']
    assert page['histories'][2] == {k: v for k, v in r.items() if k != 'debug_log'}
    assert ok(appiad.call('GET', path, query={'limit': 1, 'offset': 1}))['histories'][0]['test_status_code'] == '200'
    assert 'invalid' not in str(page)


def test_test_of_functions(appiad, worker, owner):
    backend = make(appiad, owner, 'function', method='POST',
                   parameters=[{'name': 'application/json', 'in': 'Body', 'default': '{"n":"declared"}'}])
    path = f'{BASE}/{backend}/test'
    function(appiad, backend, 'function execute(data) { data = JSON.parse(data); return {got: data.body.n}; }')
    assert json.loads(ok(appiad.call('POST', path, {}))['test_response']) == {'got': 'declared'}
    given = {'parameters': [{'name': 'application/json', 'in': 'Body', 'default': '{"n":"given"}'}]}
    assert json.loads(ok(appiad.call('POST', path, given))['test_response']) == {'got': 'given'}
    function(appiad, backend, 'function execute(data) { throw new Error("on purpose"); }')
    failed = ok(appiad.call('POST', path, {}))
    assert failed['test_status_code'] == '500' and 'on purpose' in failed['test_response'] + str(failed['debug_log'])
    refused(appiad.call('POST', path, {'parameters': [{'name': 'x', 'in': 'Nowhere'}]}), 400, 'APIG.2012')


def test_history_is_bounded(appiad, worker, owner):
    backend = make(appiad, owner, 'often')
    function(appiad, backend, HELLO)
    ids = [ok(appiad.call('POST', f'{BASE}/{backend}/test', {}))['test_id'] for _ in range(103)]
    page = ok(appiad.call('GET', f'{BASE}/{backend}/test', query={'limit': 500}))
    assert page['total'] == 100 and [t['test_id'] for t in page['histories']] == ids[:2:-1]


def test_deploy(appiad, worker, owner, source):
    backend = make(appiad, owner, 'deployed', parameters=[{'name': 'name', 'in': 'Parameters'}])
    path, g = f'{BASE}/{backend}', group(appiad, roma_app_id=owner)
    refused(appiad.call('POST', path + '/deploy', {'deploy_front_api': False}), 403, 'APIG.3484')
    refused(appiad.call('POST', path + '/undeploy'), 403, 'APIG.3486')
    data(appiad, backend, source, TOWNS)
    other = app(appiad)
    full = {'deploy_front_api': True, 'auth_type': 'APP', 'group_id': g, 'env_id': RELEASE, 'roma_app_id': owner}
    for change, status, code in (({'auth_type': None}, 400, 'APIG.2001'), ({'group_id': None}, 400, 'APIG.2001'),
                                 ({'env_id': None}, 400, 'APIG.2001'), ({'roma_app_id': other}, 409, 'APIG.3479'),
                                 ({'auth_type': 'MAGIC'}, 400, 'APIG.2012'), ({'group_id': 'unknown'}, 404,
                                     'APIG.3001'),
                                 ({'auth_type': 'AUTHORIZER'}, 400, 'APIG.2001'), ({'ld_api_id': 'x'}, 400,
                                     'APIG.2011'),
                                 ({'env_id': 'unknown'}, 404, 'APIG.3003'), ({'retry_count': '11'}, 400, None),
                                 ({'backend_timeout': 0}, 400, None), ({'protocol': 'FTP'}, 400, None)):
        r = appiad.call('POST', path + '/deploy', {**full, **change})
        assert r.status == status and code in (None, r.json['error_code']), (change, r)
    assert ok(appiad.call('GET', path))['status'] == 3
    assert worker.backend(backend).status == 404, 'nothing half deployed'
    first = deploy(appiad, backend, group_id=g, roma_app_id=owner, path='/front', method='GET')
    assert first['api_definition']['status'] == 4 and first['api_definition']['scripts'][0]['ds_id'] == source
    assert first['ld_api_id'] == backend and first['group_id'] == g and first['env_id'] == RELEASE
    assert worker.backend(backend, path='/?name=Milan').body == b'{"towns":[{"name":"Milan","area":181.67}]}'
    front = ok(appiad.call('GET', f'{V2}/apis/{first["api_id"]}'))
    assert front['req_uri'] == '/front' and front['auth_type'] == 'APP' and front['ld_api_id'] == backend
    assert front['run_env_id'] == RELEASE and front['backend_api']['timeout'] == 5000 and front['name'] == 'deployed'
    # what is edited does not run before it is deployed
    data(appiad, backend, source, "select count(*) n from town where '${name}' = 'Milan'")
    assert b'Milan' in worker.backend(backend, path='/?name=Milan').body
    assert ok(appiad.call('GET', path))['status'] == 4
    for change in ({'path': '/moved'}, {'method': 'PUT'}, {'roma_app_id': other}):
        body = {**EXAMPLE, 'name': 'deployed', 'path': '/deployed', 'roma_app_id': owner, **change}
        refused(appiad.call('PUT', path, body), 400, 'APIG.2011', 'deployed')
    refused(appiad.call('DELETE', path), 403, 'APIG.3483')
    refused(appiad.call('DELETE', f'{SOURCES}/{source}'), 500, 'FDI.3121')
    second = deploy(appiad, backend, group_id=g, path='/front2', method='GET', auth_type='NONE')
    assert second['api_id'] == first['api_id'] and second['id'] != first['id']
    assert worker.backend(backend, path='/?name=Milan').json == {'towns': [{'n': 2}]}
    front = ok(appiad.call('GET', f'{V2}/apis/{first["api_id"]}'))
    assert front['req_uri'] == '/front2' and front['auth_type'] == 'NONE'
    refused(appiad.call('POST', path + '/deploy', {**full, 'group_id': group(appiad, roma_app_id=owner)}), 409,
            'APIG.3490')
    history = ok(appiad.call('GET', path + '/deploy'))
    assert history['total'] == history['size'] == 2
    assert {h['id'] for h in history['histories']} == {first['id'], second['id']}
    assert appiad.call('POST', path + '/undeploy').status == 204
    assert worker.backend(backend).status == 404 and ok(appiad.call('GET', path))['status'] == 3
    refused(appiad.call('GET', f'{V2}/apis/{first["api_id"]}'), 404, 'APIG.3002')
    again = deploy(appiad, backend, group_id=g)
    assert again['api_id'] != first['api_id']
    assert ok(appiad.call('GET', f'{V2}/apis/{again["api_id"]}'))['req_uri'] == '/deployed'
    assert appiad.call('POST', path + '/undeploy').status == 204
    assert appiad.call('DELETE', path).status == 204


def test_deploy_without_front(appiad, worker, owner):
    backend = make(appiad, owner, 'no_front')
    function(appiad, backend, HELLO)
    r = ok(appiad.call('POST', f'{BASE}/{backend}/deploy', {'deploy_front_api': False}))
    assert 'api_id' not in r and worker.backend(backend).body == b'Hello world!'
    assert appiad.call('POST', f'{BASE}/{backend}/undeploy').status == 204
    assert worker.backend(backend).status == 404


def test_changes_of_the_front_api_survive(appiad, worker, owner):
    backend, g = make(appiad, owner, 'kept_front'), group(appiad, roma_app_id=owner)
    function(appiad, backend, HELLO)
    api = deploy(appiad, backend, group_id=g, path='/item/{id}')['api_id']
    front = ok(appiad.call('GET', f'{V2}/apis/{api}'))
    assert [p['name'] for p in front['req_params']] == ['id'] and front['req_params'][0]['location'] == 'PATH'
    front['req_params'].append({'name': 'extra', 'type': 'STRING', 'location': 'QUERY', 'required': 2})
    ok(appiad.call('PUT', f'{V2}/apis/{api}', {k: v for k, v in front.items() if v != ''}))
    deploy(appiad, backend, group_id=g, path='/item/{id}')
    assert {p['name'] for p in ok(appiad.call('GET', f'{V2}/apis/{api}'))['req_params']} == {'id', 'extra'}


def test_roles(appiad, worker, owner, source):
    mine = app(appiad)
    backend = make(appiad, mine, 'of_members')
    path = f'{BASE}/{backend}'
    uid, token = user(appiad, 'user_of_back_ends')
    refused(appiad.call('GET', path, token=token), 403, 'APIG.1139')
    assert ok(appiad.call('GET', BASE, token=token))['total'] == 0
    member(appiad, mine, uid, 'read')
    assert appiad.call('GET', path, token=token).status == 200
    assert ok(appiad.call('GET', BASE, token=token))['total'] == 1
    script = {'api_type': 'data', 'scripts': [{'ds_id': source, 'object_name': 'a', 'content': b64('select 1')}]}
    body = {**EXAMPLE, 'name': 'by_member', 'path': '/by_member', 'roma_app_id': mine}
    refused(appiad.call('POST', BASE, body, token=token), 403, 'APIG.1141')
    for method, tail, b in (('PUT', '', body), ('DELETE', '', None), ('POST', '/scripts', script),
                            ('POST', '/deploy', {'deploy_front_api': False}), ('POST', '/undeploy', None)):
        refused(appiad.call(method, path + tail, b, token=token), 403, 'APIG.1139')
    member(appiad, mine, uid, 'read', 'modify', 'delete')
    refused(appiad.call('POST', path + '/scripts', script, token=token), 403, 'APIG.1141')
    member(appiad, owner, uid, 'read', 'access')
    assert appiad.call('POST', path + '/scripts', script, token=token).status == 200
    member(appiad, owner, uid)
    refused(appiad.call('POST', path + '/test', {}, token=token), 403, 'APIG.1141')


def test_first_start(appiad, worker, owner, source):
    """The calls that the sample of the first start makes."""
    body = {'name': 'sample_cities', 'path': '/sample/cities', 'method': 'GET', 'roma_app_id': owner,
            'version': '1.0',
            'content_type': 'json', 'return_format': False,
            'parameters': [{'name': 'name', 'in': 'Parameters', 'required': False}]}
    backend = ok(appiad.call('POST', BASE, body), 201)['id']
    data(appiad, backend, source, TOWNS)
    groups = ok(appiad.call('GET', V2 + '/api-groups'))['groups']
    default = next(g['id'] for g in groups if g['name'] == 'DEFAULT')
    r = deploy(appiad, backend, roma_app_id=owner, auth_type='NONE', group_id=default, method='GET',
            path='/sample/cities',
               protocol='BOTH')
    assert r['api_id'] and worker.backend(backend, path='/').status == 200


def test_survives_kill(appiad, worker, owner, source):
    backend = make(appiad, owner, 'durable')
    data(appiad, backend, source, TOWNS)
    ok(appiad.call('POST', f'{BASE}/{backend}/deploy', {'deploy_front_api': False}))
    appiad.kill()
    appiad.start()
    assert ok(appiad.call('GET', f'{BASE}/{backend}'))['status'] == 4
    assert worker.backend(backend, path='/?name=Rome').json == {'towns': [{'name': 'Rome', 'area': 1285.31}]}


def test_parallel_scripts_and_tests(appiad, worker, owner):
    """Nobody is told of another's transaction, whatever the store."""
    backends = [make(appiad, owner, f'parallel{i}') for i in range(4)]
    for backend in backends:
        function(appiad, backend, HELLO)
    calls = []
    for turn in range(12):
        for backend in backends:
            calls.append((f'{BASE}/{backend}/test', {}))
            calls.append((f'{BASE}/{backend}/scripts', {'api_type': 'function', 'scripts': [
                {'type': 'SQL', 'object_name': f'fun{turn}', 'content': b64(HELLO)}]}))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(lambda c: appiad.call('POST', *c), calls))
    assert [r for r in replies if r.status != 200] == []
    ids = [r.json['test_id'] for r in replies[::2]]
    assert len(set(ids)) == len(ids) == 12 * len(backends)


def test_without_worker(appiad, owner, worker):
    worker.stop()
    backend = make(appiad, owner, 'lonely')
    function(appiad, backend, HELLO)
    refused(appiad.call('POST', f'{BASE}/{backend}/test', {}), 500, 'APIG.3503', 'worker')
    assert ok(appiad.call('POST', f'{BASE}/{backend}/deploy', {'deploy_front_api': False}))['id']
