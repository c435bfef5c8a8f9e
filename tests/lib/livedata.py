# SPDX-License-Identifier: Apache-2.0
"""Makes data and function back ends through the management API and publishes them."""
import base64
import itertools

from lib.apic import RELEASE, V2, ok

PUBLIC = '/v2/{project_id}/instances/{instance_id}'
FDI = '/v2/{project_id}/fdi/instances/{instance_id}'
numbers = itertools.count(1)


class Published:
    def __init__(self, **fields):
        self.__dict__.update(fields)


def app(p, name):
    """(id, key, secret) of a new application."""
    made = ok(p.call('POST', PUBLIC + '/apps', {'name': name}), 201)
    return made['id'], made['key'], ok(p.call('GET', f'{PUBLIC}/apps/{made["id"]}/secret'))['secret']


def source(p, app_id, db, **content):
    """Id of a data source for a server of lib.databases."""
    return ok(p.call('POST', FDI + '/datasources', {
        'datasource_name': f'source_{next(numbers)}', 'datasource_type': db.type, 'app_id': app_id,
        'content': {**db.content, **content}}), 201)['datasource_id']


def backend(p, app_id, script, source_id=None, parameters=(), **fields):
    """A back end with one script, deployed with a front API without authentication. Returns ids, host and path."""
    n = next(numbers)
    path = f'/livedata/{n}'
    front = {'auth_type': 'NONE', 'backend_timeout': 10000, 'method': 'GET', **fields.pop('front', {})}
    body = {'name': f'backend_{n}', 'path': path, 'method': front['method'], 'roma_app_id': app_id, 'version': '1.0',
            'content_type': 'json', 'return_format': False, **fields,
            'parameters': [{'name': name, 'in': 'Parameters', 'required': True} for name in parameters]}
    made = ok(p.call('POST', V2 + '/livedata-apis', body), 201)['id']
    row = {'object_name': 'rows', 'content': base64.b64encode(script.encode()).decode()}
    if source_id:
        row.update(type='SQL', ds_id=source_id)
    ok(p.call('POST', f'{V2}/livedata-apis/{made}/scripts',
       {'api_type': 'data' if source_id else 'function', 'scripts': [row]}))
    group = ok(p.call('POST', V2 + '/api-groups',
               {'name': f'group_of_{n}', 'version': 'V2', 'roma_app_id': app_id}), 201)
    host = f'host-{n}.example.com'  # the group's own sub-domain takes 1000 calls a day
    ok(p.call('POST', f'{V2}/api-groups/{group["id"]}/domains', {'url_domain': host}), 201)
    done = ok(p.call('POST', f'{V2}/livedata-apis/{made}/deploy', {
        'deploy_front_api': True, 'roma_app_id': app_id, 'group_id': group['id'], 'env_id': RELEASE, 'path': path,
        'protocol': 'BOTH', 'cors': False, **front}))
    return Published(id=made, api=done['api_id'], group=group['id'], host=host, path=path)
