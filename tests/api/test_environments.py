# SPDX-License-Identifier: Apache-2.0
"""Environments: section 6.4 of the reference."""
import pytest

from lib import apic
from lib.apic import RELEASE, V2, ok, refused

ENVS = V2 + '/envs'
EXAMPLE = {'name': 'DEV', 'remark': 'Development environment'}


def test_documented_example(appiad):
    e = ok(appiad.call('POST', ENVS, EXAMPLE), 201)
    assert len(e['id']) == 32 and (e['name'], e['remark']) == ('DEV', 'Development environment') and e['create_time']
    found = ok(appiad.call('GET', ENVS))
    assert found['total'] == found['size'] == 2
    assert [x['name'] for x in found['envs']] == ['RELEASE', 'DEV'] and found['envs'][0]['id'] == RELEASE
    path = f'{ENVS}/{e["id"]}'
    assert ok(appiad.call('PUT', path, {'name': 'DEV2', 'remark': ''})) == {**e, 'name': 'DEV2', 'remark': ''}
    assert ok(appiad.call('PUT', path, EXAMPLE)) == e
    assert appiad.call('DELETE', path).status == 204
    refused(appiad.call('DELETE', path), 404, 'APIG.3003', f'Environment {e["id"]} does not exist')
    refused(appiad.call('PUT', path, EXAMPLE), 404, 'APIG.3003')


@pytest.mark.parametrize('body, code', [
    ({}, 'APIG.2001'), ({'name': 'ab'}, 'APIG.2005'), ({'name': 'x' * 65}, 'APIG.2006'), ({'name': '1ab'}, 'APIG.2011'),
    ({'name': 'a-b'}, 'APIG.2011'), ({'name': '环境一'}, 'APIG.2011'), ({'name': None}, 'APIG.2001'),
    ({'name': 'fine', 'remark': 'x' * 256}, 'APIG.2006'), ({'name': ['fine']}, 'APIG.2012')])
def test_constraints(appiad, body, code):
    refused(appiad.call('POST', ENVS, body), 400, code)
    refused(appiad.call('PUT', f'{ENVS}/{RELEASE}', body), 400, code)


def test_release_stays(appiad):
    refused(appiad.call('PUT', f'{ENVS}/{RELEASE}', {'name': 'MINE'}), 403, 'APIG.1103')
    refused(appiad.call('DELETE', f'{ENVS}/{RELEASE}'), 403, 'APIG.1103')
    refused(appiad.call('POST', ENVS, {'name': 'RELEASE'}), 400, 'APIG.3205')


def test_names_and_limit(appiad):
    ids = [apic.env(appiad, f'LIMIT_{i}') for i in range(9)]
    refused(appiad.call('POST', ENVS, {'name': 'LIMIT_0'}), 400, 'APIG.3205')
    refused(appiad.call('PUT', f'{ENVS}/{ids[0]}', {'name': 'LIMIT_1'}), 400, 'APIG.3205')
    refused(appiad.call('POST', ENVS, {'name': 'LIMIT_9'}), 403, 'APIG.3104')
    found = ok(appiad.call('GET', ENVS, query={'name': 'limit_', 'limit': 4, 'offset': 6}))
    assert found['total'] == 9 and found['size'] == 3
    assert ok(appiad.call('GET', ENVS, query={'name': 'nothing'})) == {'total': 0, 'size': 0, 'envs': []}
    for e in ids:
        assert appiad.call('DELETE', f'{ENVS}/{e}').status == 204


def test_in_use(appiad):
    app = apic.app(appiad)
    g = apic.group(appiad, version='V2', roma_app_id=app)
    api, e = apic.api(appiad, g, app), apic.env(appiad, 'USED')
    body = {'env_id': e, 'app_ids': [app], 'api_ids': [api]}
    auth = ok(appiad.call('POST', V2 + '/app-auths', body), 201)['auths'][0]['id']
    apic.publish(appiad, api, e)
    refused(appiad.call('DELETE', f'{ENVS}/{e}'), 409, 'APIG.3418', 'The environment contains published APIs')
    assert ok(appiad.call('PUT', f'{ENVS}/{e}', {'name': 'RENAMED'}))['name'] == 'RENAMED'
    assert ok(appiad.call('GET', f'{V2}/apis/{api}'))['run_env_name'] == 'RENAMED'
    apic.publish(appiad, api, e, 'offline')
    assert appiad.call('DELETE', f'{ENVS}/{e}').status == 204
    refused(appiad.call('DELETE', f'{V2}/app-auths/{auth}'), 404, 'APIG.3009')


def test_reader_changes_nothing(appiad):
    _, token = apic.user(appiad, 'env-reader', 'reader')
    ok(appiad.call('GET', ENVS, token=token))
    refused(appiad.call('POST', ENVS, EXAMPLE, token=token), 403, 'APIG.1005')
