# SPDX-License-Identifier: Apache-2.0
"""Environment variables: section 6.5 of the reference."""
import pytest

from lib import apic
from lib.apic import RELEASE, V2, ok, refused

VARIABLES = V2 + '/env-variables'
NOBODY = '25054838a624400bbf2267cf5b3a3f70'


@pytest.fixture(scope='module')
def group(appiad):
    return apic.group(appiad, 'group_of_variables')


def body(group, name='address', value='192.168.1.5', env=RELEASE):
    return {'variable_name': name, 'variable_value': value, 'env_id': env, 'group_id': group}


def test_documented_example(appiad, group):
    e = apic.env(appiad)
    v = ok(appiad.call('POST', VARIABLES, body(group, env=e)), 201)
    assert v == {**body(group, env=e), 'id': v['id']} and len(v['id']) == 32
    path = f'{VARIABLES}/{v["id"]}'
    assert ok(appiad.call('GET', path)) == v
    assert ok(appiad.call('PUT', path, {'variable_value': 'back-end.example:80/a'})) == {
        **v, 'variable_value': 'back-end.example:80/a'}
    assert ok(appiad.call('GET', VARIABLES, query={'group_id': group, 'env_id': e}))['variables'][0]['id'] == v['id']
    assert appiad.call('DELETE', path).status == 204
    for method in ('GET', 'PUT', 'DELETE'):
        r = appiad.call(method, path, {'variable_value': 'x'} if method == 'PUT' else None)
        refused(r, 404, 'APIG.3011', f'The environment variable does not exist, id: {v["id"]}')


@pytest.mark.parametrize('field, value, code', [
    ('variable_name', 'ab', 'APIG.2005'), ('variable_name', 'x' * 33, 'APIG.2006'),
    ('variable_name', '1abc', 'APIG.2011'), ('variable_name', 'a.b', 'APIG.2011'), ('variable_name', None, 'APIG.2001'),
    ('variable_value', '', 'APIG.2005'), ('variable_value', 'x' * 256, 'APIG.2006'),
    ('variable_value', 'a b', 'APIG.2011'), ('variable_value', None, 'APIG.2001'), ('variable_value', 1, 'APIG.2012'),
    ('env_id', None, 'APIG.2001'), ('env_id', 'x' * 66, 'APIG.2006'), ('group_id', None, 'APIG.2001'),
    ('group_id', '', 'APIG.2005')])
def test_constraints(appiad, group, field, value, code):
    refused(appiad.call('POST', VARIABLES, {**body(group), field: value}), 400, code)
    if field == 'variable_value':
        v = ok(appiad.call('POST', VARIABLES, body(group, f'name_{next(apic.numbers)}')), 201)['id']
        refused(appiad.call('PUT', f'{VARIABLES}/{v}', {field: value}), 400, code)


def test_references(appiad, group):
    refused(appiad.call('POST', VARIABLES, body(NOBODY)), 404, 'APIG.3001')
    refused(appiad.call('POST', VARIABLES, body(group, env=NOBODY)), 404, 'APIG.3003')
    refused(appiad.call('GET', VARIABLES, query={'group_id': NOBODY}), 404, 'APIG.3001')
    refused(appiad.call('GET', VARIABLES), 400, 'APIG.2001')


def test_unique_and_limit(appiad):
    g, e = apic.group(appiad), apic.env(appiad)
    for i in range(50):
        ok(appiad.call('POST', VARIABLES, body(g, f'name{i}')), 201)
    refused(appiad.call('POST', VARIABLES, body(g, 'name0', 'other')), 400, 'APIG.3303')
    refused(appiad.call('POST', VARIABLES, body(g, 'name50')), 403, 'APIG.3106')
    ok(appiad.call('POST', VARIABLES, body(g, 'name0', env=e)), 201)
    ok(appiad.call('POST', VARIABLES, body(g, 'NAME0', env=e)), 201)  # names are case-sensitive

    def count(**query):
        return ok(appiad.call('GET', VARIABLES, query={'group_id': g, **query}))['total']
    assert count() == 52 and count(env_id=e) == 2 and count(variable_name='name0') == 3
    assert count(variable_name='name0', precise_search='variable_name') == 2
    assert count(variable_name='ame0', precise_search='variable_name') == 0


def test_published_apis_follow(appiad):
    """A value that would break a published API is refused."""
    app = apic.app(appiad)
    g = apic.group(appiad, version='V2', roma_app_id=app)
    v = ok(appiad.call('POST', VARIABLES, body(g, 'host', '127.0.0.1')), 201)['id']
    unused = ok(appiad.call('POST', VARIABLES, body(g, 'hos', '127.0.0.1')), 201)['id']
    api = apic.api(appiad, g, app, backend_api={'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/back',
                                                'timeout': 5000, 'url_domain': '#host#:80'})
    apic.publish(appiad, api)
    ok(appiad.call('PUT', f'{VARIABLES}/{v}', {'variable_value': 'other.example'}))
    assert appiad.call('PUT', f'{VARIABLES}/{v}', {'variable_value': 'a/b'}).status == 400
    assert ok(appiad.call('GET', f'{VARIABLES}/{v}'))['variable_value'] == 'other.example'
    ok(appiad.call('PUT', f'{VARIABLES}/{unused}', {'variable_value': 'a/b'}))
    assert appiad.call('DELETE', f'{VARIABLES}/{v}').status == 204  # what is published keeps its value


def test_roles(appiad):
    app = apic.app(appiad)
    g = apic.group(appiad, version='V2', roma_app_id=app)
    v = ok(appiad.call('POST', VARIABLES, body(g)), 201)['id']
    uid, token = apic.user(appiad, 'variable-user')
    refused(appiad.call('GET', f'{VARIABLES}/{v}', token=token), 403, 'APIG.1110')
    refused(appiad.call('POST', VARIABLES, body(g, 'mine'), token=token), 403, 'APIG.1101')
    apic.member(appiad, app, uid, 'read')
    ok(appiad.call('GET', f'{VARIABLES}/{v}', token=token))
    refused(appiad.call('DELETE', f'{VARIABLES}/{v}', token=token), 403, 'APIG.1110')
