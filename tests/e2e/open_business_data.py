# SPDX-License-Identifier: Apache-2.0
"""Chapter 9.1 of the reference, "open business system data", call by call with its own bodies; what is masked there
(*****, xxxxxx) is filled in, and the database is a real one. Then the API that results is called.

The steps of the walk are one fixture; each test below looks at one property of what it left.
"""
import base64
import os
import signal
import ssl
import subprocess

import pytest

from lib.apic import RELEASE, V2, ok, refused
from lib.appiad import wait_for
from lib.platform import TlsConnection

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
DATASOURCES = '/v2/{project_id}/fdi/instances/{instance_id}/datasources'
LIVEDATA, GROUPS, APIS = V2 + '/livedata-apis', V2 + '/api-groups', V2 + '/apis'
DOMAIN = 'www.example.com'
TABLE = '''CREATE TABLE city (id integer PRIMARY KEY, name varchar(40), population bigint, founded date, area decimal(10,2));
INSERT INTO city VALUES (1, 'Roma', 2748109, '0753-04-21', 1287.36), (2, 'Benevento', 56201, '0268-01-01', NULL),
(3, 'Brindisi “porta”', 9223372036854775807, NULL, 332.98);
'''
SQL = "SELECT id, name, population, founded, area FROM city WHERE name = '${param1}'"
ROMA = {'data': [{'id': 1, 'name': 'Roma', 'population': 2748109, 'founded': '0753-04-21', 'area': 1287.36}]}


class Walk:
    """What the steps hand on to each other."""


def certificate(folder, name):
    """(certificate, private key) as PEM, self-signed."""
    cert, key = f'{folder}/{name}.pem', f'{folder}/{name}.key'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', f'/CN={name}',
                    '-addext', f'subjectAltName=DNS:{name}', '-keyout', key, '-out', cert], check=True, capture_output=True)
    with open(cert, encoding='ascii') as c, open(key, encoding='ascii') as k:
        return c.read(), k.read()


def find_or_make_app(p, w):
    """Get the id of an application: list, and create one when there is none of ours."""
    listed = ok(p.call('GET', APPS))
    assert listed['size'] == len(listed['apps']) and not [a for a in listed['apps'] if a['name'] == 'AppName']
    w.key, w.secret = 'AppKey0123456789abcd', 'AppSecret-0123456789-abcdefghijklmnopqrs'
    made = ok(p.call('POST', APPS, {'name': 'AppName', 'key': w.key, 'secret': w.secret}), 201)
    w.app = made['id']
    assert ok(p.call('GET', APPS, query={'name': 'AppName'}))['apps'][0]['id'] == w.app


def connect_datasource(p, w, db):
    made = ok(p.call('POST', DATASOURCES, {
        'datasource_name': f'fdi_ds_{db.type.lower()}', 'datasource_type': db.type, 'content': {
            'host': db.host, 'port': str(db.port), 'database_name': db.database, 'user_name': db.user,
            'password': db.password, 'mode': 'default'}, 'app_id': w.app, 'description': 'test'}), 201)
    w.datasource = made['datasource_id']
    assert made['datasource_name'] == f'fdi_ds_{db.type.lower()}' and db.password not in str(made)


def make_backend(p, w):
    made = ok(p.call('POST', LIVEDATA, {
        'name': 'data_api_demo', 'path': '/data/test', 'method': 'GET', 'roma_app_id': w.app, 'version': '1.0',
        'content_type': 'json', 'return_format': False,
        'parameters': [{'name': 'param1', 'in': 'Parameters', 'required': True}]}), 201)
    w.backend = made['id']
    assert made['name'] == 'data_api_demo' and made['roma_app_id'] == w.app and made['content_type'] == 'json'
    script = {'ds_id': w.datasource, 'type': 'SQL', 'object_name': 'data',
              'content': base64.b64encode(SQL.encode()).decode()}
    ok(p.call('POST', f'{LIVEDATA}/{w.backend}/scripts', {'api_type': 'data', 'scripts': [script]}))


def find_or_make_group(p, w):
    listed = ok(p.call('GET', GROUPS))
    assert listed['size'] == len(listed['groups']) and 'api_group_001' not in [g['name'] for g in listed['groups']]
    made = ok(p.call('POST', GROUPS, {'name': 'api_group_001', 'version': 'V2', 'roma_app_id': w.app}), 201)
    w.group, w.sub_domain = made['id'], made['sl_domain']


def deploy(p, w):
    made = ok(p.call('POST', f'{LIVEDATA}/{w.backend}/deploy', {
        'deploy_front_api': True, 'roma_app_id': w.app, 'auth_type': 'APP', 'group_id': w.group, 'env_id': RELEASE,
        'method': 'GET', 'path': '/data/test', 'protocol': 'HTTPS', 'backend_timeout': 5000, 'cors': False}))
    w.api = made['api_id']
    assert made['env_id'] == RELEASE and made['deploy_time']


def add_request_parameter(p, w, **more):
    return ok(p.call('PUT', f'{APIS}/{w.api}', {
        'name': 'Data_API', 'type': 1, 'req_protocol': 'HTTPS', 'req_method': 'GET', 'req_uri': '/data/test',
        'auth_type': 'APP', 'backend_type': 'HTTP', 'group_id': w.group,
        'req_params': [{'name': 'param01', 'type': 'STRING', 'location': 'QUERY', **more.pop('param', {})}], **more}))


def bind_domain(p, w, folder):
    made = ok(p.call('POST', f'{GROUPS}/{w.group}/domains', {'url_domain': DOMAIN}), 201)
    assert made['url_domain'] == DOMAIN and made['min_ssl_version'] == 'TLSv1.1'
    w.domain = made['id']
    w.cert, private_key = certificate(folder, DOMAIN)
    ok(p.call('POST', f'{GROUPS}/{w.group}/domains/{w.domain}/certificate', {
        'name': 'cert_demo', 'private_key': private_key, 'cert_content': w.cert}), 201)


@pytest.fixture(scope='module')
def walk(platform, db, tmp_path_factory):
    db.sql('DROP TABLE IF EXISTS city;' + TABLE)
    w = Walk()
    find_or_make_app(platform, w)
    connect_datasource(platform, w, db)
    make_backend(platform, w)
    find_or_make_group(platform, w)
    deploy(platform, w)
    add_request_parameter(platform, w)
    bind_domain(platform, w, tmp_path_factory.mktemp('cert'))
    w.shown = ok(platform.call('GET', f'{APIS}/{w.api}'))
    # For the calls: a second application with a right, one without, and AppCodes.
    w.caller = ok(platform.call('POST', APPS, {'name': 'caller'}), 201)
    w.caller_secret = ok(platform.call('GET', f'{APPS}/{w.caller["id"]}/secret'))['secret']
    ok(platform.call('POST', V2 + '/app-auths', {'env_id': RELEASE, 'app_ids': [w.caller['id']], 'api_ids': [w.api]}), 201)
    w.stranger = ok(platform.call('POST', APPS, {'name': 'stranger'}), 201)
    w.stranger_secret = ok(platform.call('GET', f'{APPS}/{w.stranger["id"]}/secret'))['secret']
    return w


def publish(platform, w, action='online', status=201):
    return ok(platform.call('POST', APIS + '/action', {'action': action, 'api_id': w.api, 'env_id': RELEASE}), status)


def signed(platform, w, path='/data/test?param1=Roma', **kwargs):
    kwargs.setdefault('key', w.caller['key'])
    kwargs.setdefault('secret', w.caller_secret)
    return platform.gateway('GET', path, host=DOMAIN, tls=True, server_name=kwargs.pop('server_name', 'localhost'), **kwargs)


def test_call_information(walk):
    shown = walk.shown
    assert (shown['req_protocol'], shown['req_method'], shown['req_uri'], shown['auth_type']) == (
        'HTTPS', 'GET', '/data/test', 'APP')
    assert [p['name'] for p in shown['req_params']] == ['param01'] and shown['name'] == 'Data_API'
    assert DOMAIN in str(shown.get('domain_name', '')) + str(shown), 'the bound domain is named'


def test_signature_of_another_signer(platform, walk):
    r = signed(platform, walk)
    assert ok(r) == ROMA and len(r.headers['x-request-id']) == 32
    r = signed(platform, walk, '/data/test?param1=Brindisi%20%E2%80%9Cporta%E2%80%9D')
    assert b'9223372036854775807' in r.body and r.json['data'][0]['founded'] is None
    assert ok(signed(platform, walk, "/data/test?param1=x'%20OR%20'1'='1")) == {'data': []}


def test_by_the_sub_domain(platform, walk):
    r = platform.gateway('GET', '/data/test?param1=Roma', host=walk.sub_domain, tls=True, server_name='localhost',
                         key=walk.caller['key'], secret=walk.caller_secret)
    assert ok(r) == ROMA


def test_http_is_refused(platform, walk):
    r = platform.gateway('GET', '/data/test?param1=Roma', host=DOMAIN, key=walk.caller['key'], secret=walk.caller_secret)
    refused(r, 400, 'APIG.0607', 'The following protocol is supported: https')


def test_wrong_key(platform, walk):
    refused(signed(platform, walk, key='NoSuchKey'), 401, 'APIG.0303', 'Incorrect app authentication information')
    refused(signed(platform, walk, secret='wrong'), 401, 'APIG.0303', 'verify signature fail')
    refused(signed(platform, walk, key=None), 401, 'APIG.0303')
    late = {'X-Sdk-Date': '20200101T000000Z'}
    refused(signed(platform, walk, headers=late), 401, 'APIG.0303', 'signature expired')


def test_without_authorisation(platform, walk):
    r = signed(platform, walk, key=walk.stranger['key'], secret=walk.stranger_secret)
    refused(r, 403, 'APIG.0304', 'The app is not authorized to access the API.')


def test_missing_parameter(platform, walk):
    """First the back end's own required parameter, then one that the API demands."""
    r = signed(platform, walk, '/data/test')
    assert r.status == 400 and r.json['error_code'] and r.json['request_id'], r
    add_request_parameter(platform, walk, param={'required': 1})
    assert ok(signed(platform, walk)) == ROMA, 'a change counts only when it is published'
    publish(platform, walk)
    r = signed(platform, walk)
    assert r.status == 400 and r.json['error_code'] == 'APIG.0201' and 'param01' in r.json['error_msg'], r
    assert ok(signed(platform, walk, '/data/test?param1=Roma&param01=x')) == ROMA
    add_request_parameter(platform, walk)
    publish(platform, walk)
    assert ok(signed(platform, walk)) == ROMA


def test_app_code(platform, walk):
    made = ok(platform.call('POST', f'{V2}/apps/{walk.caller["id"]}/app-codes', {
        'app_code': 'GjOD3g80AABuuFeEJpVQADBlAjBh3UzC7W+gr4VJBB5BtJ4fdVOQoSvoji3gFxUDb5pWBz9wUcw9+8/bFZ1B/4pq29wCMQC0pQWX6zTn'
    }), 201)
    header = {'X-Apig-AppCode': made['app_code']}
    refused(signed(platform, walk, key=None, headers=header), 401, 'APIG.0303')
    add_request_parameter(platform, walk, auth_opt={'app_code_auth_type': 'HEADER'})
    publish(platform, walk)
    assert ok(signed(platform, walk, key=None, headers=header)) == ROMA
    assert ok(signed(platform, walk)) == ROMA, 'the signature still works'
    refused(signed(platform, walk, key=None, headers={'X-Apig-AppCode': 'x' * 64}), 401, 'APIG.0303')
    drawn = ok(platform.call('PUT', f'{V2}/apps/{walk.stranger["id"]}/app-codes'), 201)['app_code']
    refused(signed(platform, walk, key=None, headers={'X-Apig-AppCode': drawn}), 403, 'APIG.0304')
    ok(platform.call('DELETE', f'{V2}/apps/{walk.caller["id"]}/app-codes/{made["id"]}'), 204)
    refused(signed(platform, walk, key=None, headers=header), 401, 'APIG.0303')


def test_certificate_of_the_domain(platform, walk):
    """The gateway shows the certificate that was bound to the domain, and its own to everybody else."""
    for name, mine in ((DOMAIN, True), ('localhost', False)):
        connection = TlsConnection(platform.ports['GATEWAY_HTTPS'], name, None)
        connection.connect()
        got = ssl.DER_cert_to_PEM_cert(connection.certificate)
        connection.close()
        assert (got.strip() == walk.cert.strip()) == mine, name


def test_unknown_path(platform, walk):
    for path in ('/data', '/data/test/', '/data/test/x', '/DATA/test', '/'):
        refused(signed(platform, walk, path), 404, 'APIG.0101')
    r = platform.gateway('POST', '/data/test', host=DOMAIN, tls=True, server_name='localhost')
    refused(r, 404, 'APIG.0101')
    r = platform.gateway('GET', '/data/test', host='other.example.com', tls=True, server_name='localhost')
    refused(r, 404, 'APIG.0101')


def test_right_taken_away(platform, walk):
    rights = ok(platform.call('GET', V2 + '/app-auths/binded-apps', query={'api_id': walk.api}))['auths']
    right = next(a for a in rights if a['app_id'] == walk.caller['id'])
    ok(platform.call('DELETE', f'{V2}/app-auths/{right["id"]}'), 204)
    refused(signed(platform, walk), 403, 'APIG.0304')
    ok(platform.call('POST', V2 + '/app-auths', {'env_id': RELEASE, 'app_ids': [walk.caller['id']], 'api_ids': [walk.api]}), 201)
    assert ok(signed(platform, walk)) == ROMA


def test_worker_was_killed(platform, walk):
    """The next call after the worker is back works; until then calls end with an error."""
    os.kill(platform.children()['appia-worker'], signal.SIGKILL)
    seen = set()

    def recovered():
        r = signed(platform, walk)
        seen.add(r.status)
        return r.status == 200
    wait_for(recovered, 20, 'a call after the worker was killed')
    assert seen <= {200, 500, 502, 503, 504}, seen


def test_last_offline(platform, walk):
    """What is offline is gone at the next request, and back when it is online again."""
    publish(platform, walk, 'offline')
    refused(signed(platform, walk), 404, 'APIG.0101')
    publish(platform, walk)
    assert ok(signed(platform, walk)) == ROMA


def test_published_state_agrees(platform, walk):
    assert '0 differences' in platform.cli('published', 'verify').stdout
