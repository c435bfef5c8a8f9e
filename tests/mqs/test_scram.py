# SPDX-License-Identifier: Apache-2.0
"""The nonce of SCRAM (RFC 5802): repeated as it was, or as librdkafka before 2.6.1 does, and nothing else."""
import base64
import hashlib
import hmac
import socket
import struct
import subprocess

import pytest

from lib.mqs import Mqs, app


@pytest.fixture(scope='module')
def broker():
    mqs = Mqs(published=[app('scram')])
    yield mqs
    mqs.stop()
    mqs.remove()


def exchange(s, key, version, body):
    head = struct.pack('>hhih', key, version, 1, 1) + b'x'
    s.sendall(struct.pack('>i', len(head) + len(body)) + head + body)
    data = b''
    while len(data) < 4 or len(data) < 4 + struct.unpack('>i', data[:4])[0]:
        part = s.recv(65536)
        assert part, 'the connection was closed'
        data += part
    return data[8:]


def step(s, message):
    """Error code and the server's message."""
    answer = exchange(s, 36, 0, struct.pack('>i', len(message)) + message)
    code, n = struct.unpack('>hh', answer[:4])
    rest = answer[4 + max(n, 0):]
    return code, rest[4:]


def log_in(broker, change):
    """change(client's nonce, whole nonce): what is sent the second time."""
    with socket.create_connection(('127.0.0.1', broker.sasl_plaintext_port), 10) as s:
        assert exchange(s, 17, 1, struct.pack('>h', 13) + b'SCRAM-SHA-256')[:2] == b'\0\0'
        bare = b'n=key-scram,r=abcdef'
        code, first = step(s, b'n,,' + bare)
        assert code == 0
        fields = dict(f.split(b'=', 1) for f in first.split(b','))
        without = b'c=biws,r=' + change(b'abcdef', fields[b'r'])
        salted = hashlib.pbkdf2_hmac('sha256', b'secret-scram', base64.b64decode(fields[b's']), int(fields[b'i']))
        client = hmac.digest(salted, b'Client Key', 'sha256')
        signature = hmac.digest(hashlib.sha256(client).digest(), b','.join((bare, first, without)), 'sha256')
        proof = bytes(a ^ b for a, b in zip(client, signature))
        return step(s, without + b',p=' + base64.b64encode(proof))[0]


@pytest.mark.parametrize('change,code', [
    (lambda own, whole: whole, 0), (lambda own, whole: own + whole, 0), (lambda own, whole: own, 58),
    (lambda own, whole: b'xxxxxx' + whole, 58), (lambda own, whole: own + own + whole, 58), (lambda own, whole: whole + b'x', 58),
    (lambda own, whole: whole[:-1] + b'?', 58), (lambda own, whole: b'', 58), (lambda own, whole: whole[len(own):], 58),
    (lambda own, whole: own + whole[:-1] + b'?', 58), (lambda own, whole: whole[1:], 58)])
def test_nonce(broker, change, code):
    assert log_in(broker, change) == code


@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
@pytest.mark.parametrize('password,code', [('secret-scram', 0), ('wrong', 1)])
def test_librdkafka_of_debian(broker, mechanism, password, code):
    done = subprocess.run(['kcat', '-L', '-m', '3', '-b', f'127.0.0.1:{broker.sasl_plaintext_port}', '-X',
                           'security.protocol=SASL_PLAINTEXT', '-X', 'sasl.mechanisms=' + mechanism, '-X',
                           'sasl.username=key-scram', '-X', 'sasl.password=' + password], capture_output=True, timeout=30,
                          check=False)
    assert done.returncode == code, done.stderr
