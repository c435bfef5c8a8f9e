# SPDX-License-Identifier: Apache-2.0
"""APIs made through the management API and called through the gateway of the same platform: every way to prove who
calls, environments, variables, names and certificates; every change is obeyed by the very next call."""
import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile

import pytest

from lib import apic
from lib.apic import PUBLIC, RELEASE, V2, ok, refused
from lib.appiad import BUILD
from lib.platform import Platform, TlsConnection, processes

sys.path.append(os.path.join(os.path.dirname(__file__), '..', 'gateway'))
from backend import Backend  # noqa: E402


@pytest.fixture(scope='module')
def back():
    backend = Backend()
    yield backend
    backend.close()


class World:
    def __init__(self, p, back):
        self.p, self.back = p, back
        self.app = apic.app(p)
        self.group = apic.group(p)
        self.host = ok(p.call('GET', f'{V2}/api-groups/{self.group}'))['sl_domain']

    def body(self, path, auth='NONE', back_end=None, group=None, **fields):
        return {'name': f'Real_{next(apic.numbers)}', 'type': 1, 'req_protocol': 'BOTH', 'req_method': 'GET', 'req_uri': path,
                'match_mode': 'NORMAL', 'auth_type': auth, 'backend_type': 'HTTP', 'group_id': group or self.group,
                'roma_app_id': self.app, 'backend_api': {
                    'req_protocol': 'HTTP', 'req_method': 'GET', 'req_uri': '/back', 'timeout': 5000,
                    'url_domain': self.back.address, **(back_end or {})}, **fields}

    def api(self, path, env=RELEASE, **fields):
        api = ok(self.p.call('POST', V2 + '/apis', self.body(path, **fields)), 201)['id']
        if env:
            apic.publish(self.p, api, env)
        return api

    def get(self, path, host=None, **more):
        return self.p.gateway('GET', path, host=host or self.host, **more)


def through(name):
    return {'name': name, 'location': 'PATH', 'origin': 'REQUEST', 'value': name}


@pytest.fixture(scope='module')
def world(platform, back):
    return World(platform, back)


def test_next_call_obeys(world):
    body = world.body('/next')
    api = ok(world.p.call('POST', V2 + '/apis', body), 201)['id']
    for round in range(20):
        refused(world.get('/next'), 404, 'APIG.0101')
        body['backend_api']['req_uri'] = f'/back/{round}'
        ok(world.p.call('PUT', f'{V2}/apis/{api}', body))
        apic.publish(world.p, api)
        r = ok(world.get('/next?x=1'))
        assert r['target'] == f'/back/{round}?x=1'
        ok(world.p.call('POST', V2 + '/apis/action', {'action': 'offline', 'api_id': api, 'env_id': RELEASE}), 201)


def test_environments_and_variables(world):
    stage = 'STAGE_2'
    env = apic.env(world.p, stage)
    api = ok(world.p.call('POST', V2 + '/apis', world.body('/env/{id}', back_end={
        'url_domain': '#backend_address#', 'req_uri': '/#prefix_of_path#/{id}'}, req_params=[
            {'name': 'id', 'type': 'STRING', 'location': 'PATH', 'required': 1}], backend_params=[through('id')])), 201)['id']
    second = Backend()
    for e, address, prefix in ((RELEASE, world.back.address, 'release'), (env, second.address, 'second')):
        for name, value in (('backend_address', address), ('prefix_of_path', prefix)):
            ok(world.p.call('POST', V2 + '/env-variables', {'variable_name': name, 'variable_value': value, 'env_id': e,
                                                          'group_id': world.group}), 201)
    apic.publish(world.p, api, RELEASE)
    assert ok(world.get('/env/5'))['target'] == '/release/5'
    refused(world.get('/env/5', headers={'X-Stage': stage}), 404, 'APIG.0101')
    apic.publish(world.p, api, env)
    assert ok(world.get('/env/5', headers={'X-Stage': stage}))['target'] == '/second/5'
    assert len(second.requests) == 1
    assert ok(world.get('/env/5', headers={'X-Stage': 'RELEASE'}))['target'] == '/release/5'
    apic.publish(world.p, api, env, action='offline')
    refused(world.get('/env/5', headers={'X-Stage': stage}), 404, 'APIG.0101')
    second.close()


def test_app(world):
    p = world.p
    api = world.api('/app', auth='APP', auth_opt={'app_code_auth_type': 'HEADER'})
    made = ok(p.call('POST', PUBLIC + '/apps', {'name': f'caller {next(apic.numbers)}'}), 201)
    secret = ok(p.call('GET', f'{PUBLIC}/apps/{made["id"]}/secret'))['secret']
    code = ok(p.call('POST', f'{V2}/apps/{made["id"]}/app-codes', {'app_code': 'c' * 64}), 201)
    signed = {'key': made['key'], 'secret': secret}
    by_code = {'headers': {'X-Apig-AppCode': code['app_code']}, 'tls': True, 'server_name': 'localhost'}
    refused(world.get('/app', **signed), 403, 'APIG.0304')
    refused(world.get('/app', **by_code), 403, 'APIG.0304')
    right = ok(p.call('POST', V2 + '/app-auths', {'env_id': RELEASE, 'app_ids': [made['id']], 'api_ids': [api]}), 201)
    assert ok(world.get('/app?q=%20x', **signed))['target'] == '/back?q=%20x'
    assert ok(world.get('/app', **by_code))['target'] == '/back'
    refused(world.get('/app', key=made['key'], secret='wrong'), 401, 'APIG.0303')
    refused(world.get('/app', headers=by_code['headers']), 401, 'APIG.0303', 'HTTPS')
    fresh = ok(p.call('PUT', f'{PUBLIC}/apps/{made["id"]}/secret', {'secret': 'Another-Secret-0123456789'}))
    refused(world.get('/app', **signed), 401, 'APIG.0303')
    signed['secret'] = fresh.get('secret') or ok(p.call('GET', f'{PUBLIC}/apps/{made["id"]}/secret'))['secret']
    assert world.get('/app', **signed).status == 200
    assert p.call('DELETE', f'{V2}/apps/{made["id"]}/app-codes/{code["id"]}').status == 204
    refused(world.get('/app', **by_code), 401, 'APIG.0303')
    rights = right['auths'] if 'auths' in right else right
    assert p.call('DELETE', f'{V2}/app-auths/{rights[0]["id"]}').status == 204
    refused(world.get('/app', **signed), 403, 'APIG.0304')


def test_iam(world):
    p, c = world.p, world.p.credentials
    world.api('/iam', auth='IAM')
    refused(world.get('/iam'), 401, 'APIG.0301')
    token = p.login()
    assert world.get('/iam', headers={'X-Auth-Token': token}).status == 200
    refused(world.get('/iam', headers={'X-Auth-Token': token[:-8] + 'AAAAAAAA'}), 401, 'APIG.0301')
    assert world.get('/iam', key=c['access_key'], secret=c['secret_key']).status == 200
    refused(world.get('/iam', key=c['access_key'], secret='wrong'), 401, 'APIG.0301')
    lent = ok(p.raw('POST', '/v3.0/OS-CREDENTIAL/securitytokens', {'auth': {'identity': {
        'methods': ['token'], 'token': {'id': token, 'duration_seconds': 900}}}}), 201)['credential']
    header = {'X-Security-Token': lent['securitytoken']}
    assert world.get('/iam', key=lent['access'], secret=lent['secret'], headers=header).status == 200
    assert 'x-security-token' not in world.back.last['get'] and 'authorization' not in world.back.last['get']
    refused(world.get('/iam', key=lent['access'], secret='wrong', headers=header), 401, 'APIG.0301')
    refused(world.get('/iam', key=c['access_key'], secret=c['secret_key'], headers=header), 401, 'APIG.0301')
    refused(world.get('/iam', key=lent['access'], secret=lent['secret']), 401, 'APIG.0301')
    user, other = apic.user(p, 'gateway_user')
    assert world.get('/iam', headers={'X-Auth-Token': other}).status == 200
    assert p.call('DELETE', f'/v3/users/{user}').status == 204
    refused(world.get('/iam', headers={'X-Auth-Token': other}), 401, 'APIG.0301')


def test_default_group_by_address(world):
    listed = ok(world.p.call('GET', V2 + '/api-groups', query={'name': 'DEFAULT'}))['groups']
    default = next(g['id'] for g in listed if g['name'] == 'DEFAULT')
    world.api('/by-address', group=default)
    for host in (f'127.0.0.1:{world.p.ports["GATEWAY_HTTP"]}', 'unknown.example'):
        assert ok(world.get('/by-address', host=host))['target'] == '/back'
    refused(world.get('/by-address'), 404, 'APIG.0101')


def test_mock(world):
    api = world.body('/mocked', mock_info={'result_content': '{"a": [1]}', 'status_code': 202,
                                           'header': json.dumps([{'key': 'X-Mock', 'value': 'yes'}])}, backend_type='MOCK')
    del api['backend_api']
    apic.publish(world.p, ok(world.p.call('POST', V2 + '/apis', api), 201)['id'])
    r = world.get('/mocked')
    assert (r.status, r.json, r.headers.get('x-mock')) == (202, {'a': [1]}, 'yes')


# --- names of one's own

def certificate(folder, name, common):
    cert, key = folder / f'{name}.pem', folder / f'{name}.key'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
                    '-subj', f'/CN={common}', '-addext', f'subjectAltName=DNS:{common}', '-keyout', key, '-out', cert],
                   check=True, capture_output=True)
    return cert.read_text(), key.read_text(), cert, key


def shown(p, name):
    c = TlsConnection(p.ports['GATEWAY_HTTPS'], name, None)
    c.context.check_hostname, c.context.verify_mode = False, ssl.CERT_NONE
    c.connect()
    pem = ssl.DER_cert_to_PEM_cert(c.certificate)
    c.close()
    return pem.split()


def test_bound_name(world, tmp_path):
    p, name = world.p, 'www.real.example'
    world.api('/bound')
    domains = f'{V2}/api-groups/{world.group}/domains'
    refused(world.get('/bound', host=name), 404, 'APIG.0101')
    ours = shown(p, name)
    domain = ok(p.call('POST', domains, {'url_domain': name.upper()}), 201)['id']
    assert ok(world.get('/bound', host=name))['target'] == '/back'
    assert shown(p, name) == ours
    first, second = certificate(tmp_path, 'first', name), certificate(tmp_path, 'second', name)
    ids = []
    for cert in (first, second):
        made = ok(p.call('POST', f'{domains}/{domain}/certificate', {
            'name': f'cert_{next(apic.numbers)}', 'cert_content': cert[0], 'private_key': cert[1]}), 201)
        ids.append(made['ssl_id'])
        assert shown(p, name) == cert[0].split(), 'a new certificate is shown at the next handshake'
        assert shown(p, 'localhost') == ours
    r = p.call('PUT', f'{domains}/{domain}', {'min_ssl_version': 'TLSv1.2', 'is_http_redirect_to_https': True})
    ok(r, 201)
    r = world.get('/bound?x=1', host=name)
    assert r.status == 301 and r.headers['location'] == f'https://{name}:{p.ports["GATEWAY_HTTPS"]}/bound?x=1'
    assert world.get('/bound', host=name, tls=True, server_name='localhost').status == 200
    assert p.call('DELETE', f'{domains}/{domain}/certificate/{ids[-1]}').status == 204
    assert shown(p, name) == ours
    assert p.call('DELETE', f'{domains}/{domain}').status == 204
    refused(world.get('/bound', host=name), 404, 'APIG.0101')


def test_name_that_asks_for_certificates(world, tmp_path):
    p, name = world.p, 'mutual.real.example'
    world.api('/mutual')
    domains = f'{V2}/api-groups/{world.group}/domains'
    domain = ok(p.call('POST', domains, {'url_domain': name}), 201)['id']
    server, client = certificate(tmp_path, 'server', name), certificate(tmp_path, 'client', 'client')
    ok(p.call('POST', f'{domains}/{domain}/certificate', {
        'name': 'mutual_cert', 'cert_content': server[0], 'private_key': server[1], 'trusted_root_ca': client[0]}), 201)
    for show, status in ((client, 200), (None, 400)):
        c = TlsConnection(p.ports['GATEWAY_HTTPS'], name, str(server[2]))
        if show:
            c.context.load_cert_chain(show[2], show[3])
        c.request('GET', '/mutual', headers={'Host': name})
        r = c.getresponse()
        assert r.status == status, r.read()
        assert status == 200 or b'APIG.0205' in r.read()
        c.close()
    refused(world.get('/mutual', host=name), 400, 'APIG.0205')
    assert world.get('/mutual').status == 200


# --- what nginx itself refuses

def test_limits_of_the_real_configuration(world):
    p = world.p
    with socket.create_connection(('127.0.0.1', p.ports['GATEWAY_HTTP']), 10) as s:
        s.sendall(f'GET / HTTP/1.1\r\nHost: {world.host}\r\nX-Long: {"x" * 40000}\r\n\r\n'.encode())
        got = s.recv(4096)
    assert got.startswith(b'HTTP/1.1 494') and b'APIG.0201' in got
    world.api('/slashes/{rest+}', req_params=[{'name': 'rest', 'type': 'STRING', 'location': 'PATH', 'required': 1}],
              back_end={'req_uri': '/back/{rest}'}, backend_params=[through('rest')])
    assert ok(world.get('/slashes/a//b'))['target'] == '/back/a//b'


def test_published_state_is_what_it_should_be(world):
    assert world.p.cli('published', 'verify').stdout.strip() == '0 differences'
    assert world.p.cli('published', 'rebuild').returncode == 0
    assert world.get('/bound').status == 200


def test_state_of_another_layout_is_built_anew():
    """A release finds what another one wrote, and does not try to read it."""
    p = Platform()
    want = p.cli('published', 'dump').stdout
    p.stop(keep=True)
    changes = [{'put': 'raw', 'key': 'meta/layout', 'value': '0'}] + [
        {'put': 'raw', 'key': line.split()[0], 'value': 'of old'} for line in want.splitlines() if line.startswith(('api/', 'host/'))]
    subprocess.run([os.path.join(BUILD, 'tests/gateway/pubwrite'), p.home + '/published', p.home + '/master.key'],
                   input=json.dumps(changes) + '\n', text=True, check=True, capture_output=True)
    p.start()
    assert p.cli('published', 'verify').stdout.strip() == '0 differences'
    assert ok(p.gateway('GET', '/sample/cities?country=IT'))
    p.stop()


@pytest.mark.skipif(os.getuid() != 0, reason='only root can become somebody else')
def test_root_becomes_the_owner_of_the_data():
    nobody = pwd.getpwnam('nobody')
    home = tempfile.mkdtemp(prefix='ap', dir='/tmp')
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    reachable = subprocess.run(['test', '-r', os.path.join(BUILD, 'src/gateway/ngx_http_appia_module.so')], user='nobody',
                               check=False).returncode == 0
    if not reachable:
        os.rmdir(home)
        pytest.skip('the build cannot be read by others')
    p = Platform(home=home, start=False)
    open(home + '/up.log', 'w', encoding='utf-8').close()
    p.start()
    assert ok(p.gateway('GET', '/sample/cities?country=IT'))
    for pid in processes(home):
        assert os.stat(f'/proc/{pid}').st_uid == nobody.pw_uid
    own = {os.stat(os.path.join(folder, name)).st_uid for folder, _, names in os.walk(home) for name in names
           if name not in ('up.log', 'profiles.json')}
    assert own == {nobody.pw_uid}
    p.stop(keep=True)
    shutil.rmtree(home)
