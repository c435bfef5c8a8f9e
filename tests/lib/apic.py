# SPDX-License-Identifier: Apache-2.0
"""What scenarios of API management need again and again."""
import itertools

V2 = '/v2/{project_id}/apic/instances/{instance_id}'
PUBLIC = '/v2/{project_id}/instances/{instance_id}'
RELEASE = 'DEFAULT_ENVIRONMENT_RELEASE_ID'
PASSWORD = 'Example_Pa55'
numbers = itertools.count(1)


def ok(reply, status=200):
    assert reply.status == status, reply
    return reply.json if reply.body else None


def refused(reply, status, code, text=None):
    assert reply.status == status and reply.json['error_code'] == code, reply
    assert text is None or text in reply.json['error_msg'], reply


def app(appiad, name=None, **fields):
    return ok(appiad.call('POST', PUBLIC + '/apps', {'name': name or f'app {next(numbers)}', **fields}), 201)['id']


def group(appiad, name=None, **fields):
    return ok(appiad.call('POST', V2 + '/api-groups', {'name': name or f'group_{next(numbers)}', **fields}), 201)['id']


def env(appiad, name=None):
    return ok(appiad.call('POST', V2 + '/envs', {'name': name or f'ENV_{next(numbers)}'}), 201)['id']


def api(appiad, group_id, app_id, **fields):
    n = next(numbers)
    body = {'name': f'Api_{n}', 'type': 1, 'req_protocol': 'HTTPS', 'req_method': 'GET', 'req_uri': f'/path/{n}',
            'match_mode': 'NORMAL', 'auth_type': 'APP', 'backend_type': 'HTTP', 'group_id': group_id,
            'roma_app_id': app_id, 'backend_api': {'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/back',
                                                   'timeout': 5000, 'url_domain': '127.0.0.1:9'}, **fields}
    return ok(appiad.call('POST', V2 + '/apis', body), 201)['id']


def publish(appiad, api_id, env_id=RELEASE, action='online', status=201):
    return ok(appiad.call('POST', V2 + '/apis/action', {'action': action, 'api_id': api_id, 'env_id': env_id}), status)


def user(appiad, name, role='developer'):
    """(user id, token) of a new user."""
    u = ok(appiad.call('POST', '/v3/users', {'user': {'name': name, 'password': PASSWORD}}), 201)['user']['id']
    g = appiad.call('GET', f'/v3/groups?name={role}').json['groups'][0]['id']
    assert appiad.call('PUT', f'/v3/groups/{g}/users/{u}').status == 204
    return u, appiad.login(name, PASSWORD)


def member(appiad, app_id, user_id, *roles):
    r = appiad.call('PUT', f'{PUBLIC}/apps/{app_id}/users', {'users': [{'id': user_id, 'roles': list(roles)}]})
    assert r.status in (200, 201, 204), r
