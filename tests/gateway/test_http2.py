# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import subprocess

import pytest
from harness import APP
from signer import sign

pytestmark = pytest.mark.skipif(not shutil.which('curl') or b'HTTP2' not in subprocess.run(
    ['curl', '-V'], capture_output=True).stdout, reason='needs curl with HTTP/2')


def curl(world, target, *options, body=None):
    out = subprocess.run(['curl',
    '-sk',
    '--http2',
    '-i',
    '--resolve',
    f'test.example:{world.gateway.tls_port}:127.0.0.1',
    *options,
    f'https://test.example:{world.gateway.tls_port}{target}'],
    capture_output=True,
    input=body,
     timeout=20).stdout
    head, _, rest = out.partition(b'\r\n\r\n')
    return int(head.split(b' ')[1]), head.decode().lower(), rest


def test_calls(shared):
    shared.api('/two', method='ANY', backend_path='/echo')
    status, head, body = curl(shared, '/two?a=1')
    assert status == 200 and head.startswith('http/2') and 'x-request-id: ' in head
    assert shared.backend.last['target'] == '/echo?a=1' and shared.backend.last['get']['x-forwarded-proto'] == 'https'
    status, head, body = curl(shared, '/two', '--data-binary', '@-', body=b'z' * 300000)
    assert status == 200 and shared.backend.last['body'] == b'z' * 300000
    status, head, body = curl(shared, '/nowhere')
    assert status == 404 and json.loads(body)['error_code'] == 'APIG.0101'


def test_signature(shared):
    api = shared.api('/two-signed', method='POST', auth=APP, backend_path='/echo')
    shared.authorise(api)
    body = b'signed' * 20000
    headers = sign('POST', '/two-signed', {'Host': f'test.example:{shared.gateway.tls_port}'}, body, 'key1', 'secret1')
    options = [o for k, v in headers.items() if k != 'Host' for o in ('-H', f'{k}: {v}')]
    status, _, answer = curl(shared, '/two-signed', *options, '-H',
                             'Content-Type: text/plain', '--data-binary', '@-', body=body)
    assert status == 200, answer
    status, _, answer = curl(shared, '/two-signed', *options, '--data-binary', '@-', body=body + b'x')
    assert status == 401 and json.loads(answer)['error_code'] == 'APIG.0303'
