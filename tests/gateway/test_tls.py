# SPDX-License-Identifier: Apache-2.0
"""Certificates of bound names: by SNI, obeyed at the next handshake, with client verification and redirects."""
import http.client
import socket
import ssl
import subprocess

import pytest

from harness import GROUP, MOCK, Answer

CURVE = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
RSA = ['-newkey', 'rsa:2048']


def make(folder, name, kind=CURVE, ca=None, subject=None):
    """A certificate, self-signed or by ca; returns (certificate file, key file)."""
    cert, key = folder / f'{name}.pem', folder / f'{name}.key'
    signer = ['-CA', ca[0], '-CAkey', ca[1]] if ca else []
    subprocess.run(['openssl',
    'req',
    '-x509',
    *kind,
    '-nodes',
    '-days',
    '2',
    '-subj',
    f'/CN={subject or name}',
    '-addext',
    f'subjectAltName=DNS:{subject or name}',
    *signer,
    '-keyout',
    key,
    '-out',
    cert],
    check=True,
     capture_output=True)
    return cert, key


def published(name, *pairs, **more):
    return {'put': 'cert', 'name': name, 'keys': [
        {'chain': c.read_text(), 'key': k.read_text()} for c, k in pairs], **more}


class Tls:
    """One handshake."""

    def __init__(self, world, name, client=None, session=None, context=None, **limits):
        self.context = context or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        for field, value in limits.items():
            setattr(self.context, field, value)
        if client:
            self.context.load_cert_chain(*client)
        plain = socket.create_connection(('127.0.0.1', world.gateway.tls_port), 10)
        try:
            self.sock = self.context.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise
        self.pem = ssl.DER_cert_to_PEM_cert(self.sock.getpeercert(binary_form=True))

    def call(self, host, target='/'):
        connection = http.client.HTTPConnection('127.0.0.1')
        connection.sock = self.sock
        connection.request('GET', target, headers={'Host': host})
        return Answer(connection.getresponse())

    def close(self):
        self.sock.close()


def shown(world, name, **options):
    tls = Tls(world, name, **options)
    tls.close()
    return tls.pem.split()


def pem(pair):
    return pair[0].read_text().split()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('certs')


@pytest.fixture(scope='module')
def certs(folder):
    return {n: make(folder, n) for n in ('a.example', 'b.example', 'c.example')}


def test_by_name(shared, certs, certificate):
    shared.published.write(published('a.example', certs['a.example']), published('b.example', certs['b.example']))
    for _ in range(2):
        assert shown(shared, 'a.example') == pem(certs['a.example'])
        assert shown(shared, 'B.Example') == pem(certs['b.example'])
        assert shown(shared, 'unknown.example') == pem(certificate)
        assert shown(shared, None) == pem(certificate)


@pytest.mark.parametrize('version', [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_change_is_obeyed_at_the_next_handshake(shared, certs, certificate, folder, version):
    name = f'change{version.value}.example'
    first, second = make(folder, name), make(folder, 'second', subject=name)
    limits = {'minimum_version': version, 'maximum_version': version}
    shared.published.write(published(name, first))
    tls = Tls(shared, name, **limits)
    tls.call(name)  # tickets of TLS 1.3 come with the first answer
    session, context = tls.sock.session, tls.context
    tls.close()
    again = Tls(shared, name, session=session, context=context)
    assert again.sock.session_reused
    again.close()
    shared.published.write(published(name, second))
    changed = Tls(shared, name, session=session, context=context)
    assert not changed.sock.session_reused, 'what was agreed under another certificate is over'
    assert changed.pem.split() == pem(second)
    changed.close()
    shared.published.write({'del': f'cert/{name}'})
    assert shown(shared, name) == pem(certificate)


def test_session_of_another_name(shared, certs):
    limits = {'maximum_version': ssl.TLSVersion.TLSv1_2}
    shared.published.write(published('a.example', certs['a.example']), published('b.example', certs['b.example']))
    tls = Tls(shared, 'a.example', **limits)
    tls.call('a.example')
    session = tls.sock.session
    other = Tls(shared, 'b.example', session=session, context=tls.context)
    assert not other.sock.session_reused and other.pem.split() == pem(certs['b.example'])
    other.close()
    tls.close()


def test_one_of_each_algorithm(shared, folder):
    name = 'both.example'
    ec, rsa = make(folder, 'both-ec', subject=name), make(folder, 'both-rsa', RSA, subject=name)
    shared.published.write(published(name, ec, rsa))
    for ciphers, want in (('ECDHE-RSA-AES128-GCM-SHA256', rsa), ('ECDHE-ECDSA-AES128-GCM-SHA256', ec)):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers(ciphers)
        assert shown(shared, name, context=context, maximum_version=ssl.TLSVersion.TLSv1_2) == pem(want)


def test_chain_is_sent(shared, folder):
    name = 'chain.example'
    ca = make(folder, 'chain-ca')
    cert, key = make(folder, name, ca=ca)
    both = folder / 'both.pem'
    both.write_text(cert.read_text() + ca[0].read_text())
    shared.published.write(published(name, (both, key)))
    out = subprocess.run(['openssl',
    's_client',
    '-connect',
    f'127.0.0.1:{shared.gateway.tls_port}',
    '-servername',
    name,
    '-CAfile',
    ca[0],
    '-verify_return_error',
    '-showcerts'],
    input=b'',
    capture_output=True,
     check=True)
    assert out.stdout.count(b'BEGIN CERTIFICATE') == 2 and b'Verification: OK' in out.stdout


def test_least_version(shared, certs):
    shared.published.write(published('a.example', certs['a.example'], min_version=0x0304))
    with pytest.raises(ssl.SSLError, match='(?i)version'):
        Tls(shared, 'a.example', maximum_version=ssl.TLSVersion.TLSv1_2)
    assert shown(shared, 'a.example') == pem(certs['a.example'])
    assert shown(shared, 'elsewhere.example', maximum_version=ssl.TLSVersion.TLSv1_2)
    shared.published.write(published('a.example', certs['a.example'], min_version=0x0302))
    assert shown(shared, 'a.example', maximum_version=ssl.TLSVersion.TLSv1_2) == pem(certs['a.example'])


def test_broken_certificate_falls_back(shared, certs, certificate, folder):
    cert, key = certs['c.example']
    nonsense = folder / 'nonsense'
    nonsense.write_text('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n')
    for broken in (published('c.example', (nonsense, key)), published('c.example', (cert, nonsense)),
                   published('c.example', (cert, certs['b.example'][1])), published('c.example'),
                   published('c.example', certs['c.example'], client_ca='no certificate'),
                   {'put': 'raw', 'key': 'cert/c.example', 'value': 'x'}):
        shared.published.write(broken)
        assert shown(shared, 'c.example') == pem(certificate)
    shared.published.write(published('c.example', certs['c.example']))
    assert shown(shared, 'c.example') == pem(certs['c.example'])


def test_many_certificates(shared, folder):
    """More than are kept parsed."""
    pair = make(folder, 'many.example')
    shared.published.write(*[{**published(f'm{i}.example', pair), 'min_version': 0x0200 + i} for i in range(260)])
    for i in list(range(260)) + [0, 259]:
        assert shown(shared, f'm{i}.example') == pem(pair)


def test_clients_with_certificates(shared, certs, folder):
    name, ca = 'mutual.example', make(folder, 'client-ca')
    good, stranger = make(folder, 'client', ca=ca), make(folder, 'stranger')
    shared.published.write({'put': 'host', 'name': name, 'group_id': GROUP, 'verify_client': True},
                           published(name, certs['a.example'], client_ca=ca[0].read_text()))
    shared.api('/mutual', backend=MOCK, mock_body='in')

    def status(sni, client=None, **more):
        tls = Tls(shared, sni, client=client, **more)
        answer = tls.call(name, '/mutual')
        tls.close()
        return answer.status, answer.body if answer.status == 200 else answer.code

    refused = (400, 'APIG.0205')
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        limits = {'minimum_version': version, 'maximum_version': version}
        assert status(name, good, **limits) == (200, b'in')
        assert status(name, None, **limits) == refused
        assert status(name, stranger, **limits) == refused
        assert status('b.example', good, **limits) == refused, 'verified by nobody under that name'
    assert shared.call('/mutual', host=name).code == 'APIG.0205'
    assert shared.call('/mutual').status == 200, 'other names are as before'


def test_redirect(shared):
    shared.published.write({'put': 'host', 'name': 'redirect.example', 'group_id': GROUP, 'redirect': True})
    shared.api('/anywhere/{x}', backend=MOCK, mock_body='there')
    shared.api('/plain-only', backend=MOCK, mock_body='plain', protocols=1)
    answer = shared.call('/anywhere/a%20b?q=1&r', host='redirect.example:8080')
    assert answer.status == 301 and answer.get['location'] == 'https://redirect.example/anywhere/a%20b?q=1&r'
    assert answer.get['x-request-id'] and answer.body == b''
    assert shared.call('/plain-only', host='redirect.example').body == b'plain'
    assert shared.call('/nowhere', host='redirect.example').status == 404
    assert shared.call('/anywhere/a', host='redirect.example', tls=True).body == b'there'


def test_redirect_names_the_port(make_world):
    world = make_world(server='appia_https_port 8443;')
    world.published.write({'put': 'host', 'name': 'redirect.example', 'group_id': GROUP, 'redirect': True})
    world.api('/x', backend=MOCK)
    assert world.call('/x', host='redirect.example').get['location'] == 'https://redirect.example:8443/x'
