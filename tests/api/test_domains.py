# SPDX-License-Identifier: Apache-2.0
"""Domain names of API groups and their certificates: section 6.6 of the reference."""
import subprocess

import pytest

from lib import apic
from lib.apic import V2, ok, refused

NOBODY = 'c5e0d5ba62a34d26ad5c709ae22c1a17'


@pytest.fixture(scope='module')
def group(appiad):
    return apic.group(appiad, 'group_of_domains')


def domains(group, *rest):
    return '/'.join([f'{V2}/api-groups/{group}/domains', *rest])


def bind(appiad, group, name, **fields):
    return ok(appiad.call('POST', domains(group), {'url_domain': name, **fields}), 201)


class Pki:
    """Certificates made with openssl."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, *args):
        subprocess.run(['openssl', *args], cwd=self.folder, check=True, capture_output=True)

    def text(self, name):
        return (self.folder / name).read_text()

    def make(self, name, host, *options, key='rsa:2048'):
        self.run('req', '-x509', '-newkey', key, '-nodes', '-keyout', name + '.key', '-out', name + '.crt', '-subj',
                 f'/C=DE/ST=Hessen/L=Ort/O=Example Org/OU=Unit/CN={host}', '-addext', f'subjectAltName=DNS:{host}',
                 *(options or ('-days', '30')))
        return self.text(name + '.crt'), self.text(name + '.key')


@pytest.fixture(scope='module')
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp('pki'))


def test_documented_example(appiad, group):
    d = bind(appiad, group, 'www.company.com')
    assert d == {'url_domain': 'www.company.com', 'id': d['id'], 'status': 3, 'min_ssl_version': 'TLSv1.1',
                 'is_http_redirect_to_https': False, 'verified_client_certificate_enabled': False}
    changed = ok(appiad.call('PUT', domains(group, d['id']), {'min_ssl_version': 'TLSv1.2'}), 201)
    assert changed == {**d, 'min_ssl_version': 'TLSv1.2'}
    changed = ok(appiad.call('PUT', domains(group, d['id']), {'min_ssl_version': 'TLSv1.1',
                                                              'is_http_redirect_to_https': True}), 201)
    assert changed == {**d, 'is_http_redirect_to_https': True}
    shown = ok(appiad.call('GET', f'{V2}/api-groups/{group}'))['url_domains'][0]
    assert (shown['id'], shown['domain'], shown['cname_status']) == (d['id'], 'www.company.com', 3)
    assert shown['ssl_infos'] == [] and not shown['is_has_trusted_root_ca'] and 'ssl_id' not in shown
    assert appiad.call('DELETE', domains(group, d['id'])).status == 204
    refused(appiad.call('DELETE', domains(group, d['id'])), 404, 'APIG.3020', 'The URL domain does not exist')
    refused(appiad.call('PUT', domains(group, d['id']), {'min_ssl_version': 'TLSv1.2'}), 404, 'APIG.3020')


@pytest.mark.parametrize('name', [
    '', 'localhost', '-a.example', 'a-.example', 'a..example', '.example.com', 'example.com.', 'a_b.example', 'a b.com',
    '*.example.com', 'http://a.example', 'a.example:80', 'a.example/x', '10.0.0.1', '::1', 'a.1', 'é.example',
    'x' * 64 + '.example', 'apic.local', 'x.apic.local', 'X.APIC.Local', ('x' * 50 + '.') * 4 + 'x' * 46 + '.com'])
def test_bad_names(appiad, group, name):
    refused(appiad.call('POST', domains(group), {'url_domain': name}), 400, 'APIG.2024')


@pytest.mark.parametrize('body, code', [
    ({}, 'APIG.2001'), ({'url_domain': 'x' * 256}, 'APIG.2006'), ({'url_domain': 7}, 'APIG.2012'),
    ({'url_domain': 'ok.example', 'min_ssl_version': 'SSLv3'}, 'APIG.2012'),
    ({'url_domain': 'ok.example', 'is_http_redirect_to_https': 'yes'}, 'APIG.2012')])
def test_constraints(appiad, group, body, code):
    refused(appiad.call('POST', domains(group), body), 400, code)


def test_unique_and_limit(appiad):
    one, two = apic.group(appiad), apic.group(appiad)
    assert bind(appiad, one, 'API.Example.COM')['url_domain'] == 'api.example.com'
    refused(appiad.call('POST', domains(two), {'url_domain': 'api.example.com'}), 400, 'APIG.3305')
    refused(appiad.call('POST', domains(one), {'url_domain': 'api.example.com'}), 400, 'APIG.3305')
    for i in range(4):
        bind(appiad, one, f'a{i}.example.com')
    refused(appiad.call('POST', domains(one), {'url_domain': 'a4.example.com'}), 403, 'APIG.3108')
    refused(appiad.call('POST', domains(NOBODY), {'url_domain': 'a4.example.com'}), 404, 'APIG.3001')


def test_of_another_group(appiad, group):
    d = bind(appiad, group, 'mine.example.com')['id']
    other = apic.group(appiad)
    refused(appiad.call('DELETE', domains(other, d)), 400, 'APIG.3474')
    refused(appiad.call('PUT', domains(other, d), {'min_ssl_version': 'TLSv1.2'}), 400, 'APIG.3474')
    refused(appiad.call('PUT', domains(group, d), {}), 400, 'APIG.2001')
    refused(appiad.call('PUT', domains(group, d), {'min_ssl_version': 'TLSv1.3'}), 400, 'APIG.2012')
    assert appiad.call('DELETE', domains(group, d)).status == 204


def test_certificate(appiad, group, pki):
    d = bind(appiad, group, 'tls.example.com')['id']
    content, key = pki.make('good', 'tls.example.com')
    path = domains(group, d, 'certificate')
    bound = ok(appiad.call('POST', path, {'name': 'cert_demo', 'cert_content': content, 'private_key': key}), 201)
    assert (bound['id'], bound['url_domain'], bound['ssl_name'], bound['status']) == (
        d, 'tls.example.com', 'cert_demo', 3)
    assert bound['ssl_infos'] == [{'ssl_id': bound['ssl_id'], 'ssl_name': 'cert_demo', 'algorithm_type': 'RSA',
                                   'type': 'global'}]
    r = appiad.call('GET', f'{path}/{bound["ssl_id"]}')
    shown = ok(r)
    assert shown['san'] == ['tls.example.com'] and shown['organization'] == shown['issuer'] == ['Example Org']
    assert shown['organizational_unit'] == ['Unit'] and shown['signature_algorithm'] == 'SHA256-RSA'
    assert shown['version'] == 3 and shown['serial_number'].isdigit() and shown['not_before'] < shown['not_after']
    assert b'PRIVATE KEY' not in r.body
    # one of the same algorithm takes its place, one of another algorithm stands beside it
    ec = pki.make('ec', 'tls.example.com', key='ec:' + ec_params(pki))
    ok(appiad.call('POST', path, {'name': 'cert_ec', 'cert_content': ec[0], 'private_key': ec[1]}), 201)
    again = ok(appiad.call('POST', path, {'name': 'cert_two', 'cert_content': content, 'private_key': key}), 201)
    assert sorted(i['algorithm_type'] for i in again['ssl_infos']) == ['ECC', 'RSA']
    refused(appiad.call('GET', f'{path}/{bound["ssl_id"]}'), 404, 'APIG.3025')
    assert appiad.call('DELETE', f'{path}/{again["ssl_id"]}').status == 204
    refused(appiad.call('DELETE', f'{path}/{again["ssl_id"]}'), 404, 'APIG.3025')
    shown = ok(appiad.call('GET', f'{V2}/api-groups/{group}'))['url_domains']
    infos = [x['ssl_infos'] for x in shown if x['id'] == d][0]
    assert [i['algorithm_type'] for i in infos] == ['ECC']
    other = bind(appiad, group, 'tls2.example.com')['id']
    refused(appiad.call('GET', domains(group, other, 'certificate', infos[0]['ssl_id'])), 400, 'APIG.3476')
    refused(appiad.call('GET', domains(group, NOBODY, 'certificate', infos[0]['ssl_id'])), 404, 'APIG.3020')
    assert appiad.call('DELETE', domains(group, d)).status == 204
    assert appiad.call('DELETE', domains(group, other)).status == 204


def ec_params(pki):
    pki.run('ecparam', '-name', 'prime256v1', '-out', 'ec.params')
    return 'ec.params'


def test_bad_certificates(appiad, group, pki):
    d = bind(appiad, group, 'bad.example.com')['id']
    path = domains(group, d, 'certificate')
    content, key = pki.make('right', 'bad.example.com')
    wrong = pki.make('wrong', 'other.example.com')
    pki.run('rsa', '-in', 'right.key', '-aes256', '-passout', 'pass:secret', '-out', 'locked.key')
    pki.run('x509', '-in', 'right.crt', '-signkey', 'right.key', '-days', '-1', '-out', 'old.crt', '-copy_extensions',
            'copy')
    good = {'name': 'cert_demo', 'cert_content': content, 'private_key': key}
    for fields, code in (
            ({'cert_content': 'nothing'}, 'APIG.2106'), ({'private_key': 'nothing'}, 'APIG.2106'),
            ({'cert_content': content[:300]}, 'APIG.2106'), ({'cert_content': ''}, 'APIG.2106'),
            ({'cert_content': 'x' * 70000}, 'APIG.2106'), ({'trusted_root_ca': 'nothing'}, 'APIG.2106'),
            ({'private_key': wrong[1]}, 'APIG.2101'), ({'private_key': pki.text('locked.key')}, 'APIG.2105'),
            ({'cert_content': pki.text('old.crt')}, 'APIG.2102'),
            ({'cert_content': wrong[0], 'private_key': wrong[1]}, 'APIG.2103'),
            ({'cert_content': content + wrong[0]}, 'APIG.2104'), ({'name': 'abc'}, 'APIG.2005'),
            ({'name': '1abc'}, 'APIG.2011'), ({'name': 'x' * 51}, 'APIG.2006'), ({'name': None}, 'APIG.2001'),
            ({'cert_content': None}, 'APIG.2001'), ({'private_key': None}, 'APIG.2001'),
            ({'type': 'mine'}, 'APIG.2011'), ({'type': 'instance'}, 'APIG.2001'),
            ({'type': 'instance', 'instance_id': NOBODY}, 'APIG.2011')):
        r = appiad.call('POST', path, {**good, **fields})
        refused(r, 400, code)
        assert b'PRIVATE' not in r.body
    ok(appiad.call('POST', path, {**good, 'type': 'instance', 'instance_id': appiad.credentials['instance_id']}), 201)
    assert appiad.call('DELETE', domains(group, d)).status == 204


def test_client_certificates(appiad, group, pki):
    d = bind(appiad, group, 'mtls.example.com')['id']
    path = domains(group, d)
    content, key = pki.make('mtls', 'mtls.example.com')
    body = {'name': 'cert_mtls', 'cert_content': content, 'private_key': key}

    def verified(**fields):
        r = ok(appiad.call('PUT', path, {'min_ssl_version': 'TLSv1.2', **fields}), 201)
        return r['verified_client_certificate_enabled']
    assert not verified(verified_client_certificate_enabled=True)  # nothing to verify by
    bound = ok(appiad.call('POST', path + '/certificate', {**body, 'trusted_root_ca': content}), 201)
    assert bound['verified_client_certificate_enabled'] and verified()
    assert not verified(verified_client_certificate_enabled=False)
    assert verified(verified_client_certificate_enabled=True)
    assert appiad.call('DELETE', f'{path}/certificate/{bound["ssl_id"]}').status == 204
    assert not verified()


def test_roles(appiad):
    app = apic.app(appiad)
    g = apic.group(appiad, version='V2', roma_app_id=app)
    d = bind(appiad, g, 'roles.example.com')['id']
    uid, token = apic.user(appiad, 'domain-user')
    refused(appiad.call('POST', domains(g), {'url_domain': 'x.example.org'}, token=token), 403, 'APIG.1101')
    apic.member(appiad, app, uid, 'read')
    refused(appiad.call('DELETE', domains(g, d), token=token), 403, 'APIG.1101')
    apic.member(appiad, app, uid, 'modify')
    assert appiad.call('DELETE', domains(g, d), token=token).status == 204
