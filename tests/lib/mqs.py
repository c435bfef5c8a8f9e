# SPDX-License-Identifier: Apache-2.0
"""Starts appia-mqs with data of its own."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get('APPIA_BUILD', ROOT / 'build-dev'))


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def make_certificate(folder):
    os.makedirs(folder, exist_ok=True)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days',
                    '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout',
                    f'{folder}/server.key', '-out', f'{folder}/server.pem'], check=True, capture_output=True)


def app(name, **more):
    """An application of the published state: user key-NAME with the password secret-NAME."""
    return {'put': 'app', 'id': f'id-{name}', 'name': name, 'key': f'key-{name}', 'secret': f'secret-{name}',
            'project_id': 'p', **more}


class Mqs:
    """appia-mqs; settings by their names in the section mqs."""

    def __init__(self, tls=False, published=None, **settings):
        self.dir = tempfile.mkdtemp(prefix='mqs-broker-')
        self.port, self.sasl_port, self.sasl_plaintext_port = free_port(), free_port(), free_port()
        if tls:
            make_certificate(self.dir + '/tls')
        if published:
            subprocess.run([BUILD / 'tests/gateway/pubwrite', self.dir + '/published', self.dir + '/master.key'],
                           input=json.dumps(published) + '\n', text=True, check=True, capture_output=True)
        self.ca = self.dir + '/tls/server.pem'
        self.settings = {'port': self.port, 'sasl_port': self.sasl_port if tls else 0,
                         'sasl_plaintext_port': self.sasl_plaintext_port, 'rebalance_delay': '0ms', **settings}
        self.process, self.killed = None, False
        # The one for logins is open a moment later.
        self.ports = [self.port] + [p for p in [self.settings['sasl_plaintext_port']] if published and p]
        self.start()

    @property
    def address(self):
        return f'127.0.0.1:{self.port}'

    def start(self):
        env = {**os.environ, **{f'APPIA_MQS_{k.upper()}': str(v) for k, v in self.settings.items()}}
        self.killed = False
        with open(self.dir + '/log', 'a', encoding='utf-8') as log:
            self.process = subprocess.Popen([BUILD / 'src/bin/appia-mqs', '--home', self.dir], stderr=log, env=env)
        end = time.monotonic() + 30
        while True:
            try:
                for port in self.ports:
                    socket.create_connection(('127.0.0.1', port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, self.log()
                time.sleep(0.02)

    def log(self):
        return pathlib.Path(self.dir, 'log').read_text(encoding='utf-8')

    def kill(self):
        self.killed = True
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Also when a test has left it standing still, or killed."""
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        text = self.log()
        assert (code == 0 or self.killed) and not re.search('ERROR: .*Sanitizer|runtime error', text), text[-6000:]

    def get(self, path):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.dir + '/mqs.sock')
            s.sendall(f'GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode())
            data = b''
            while True:
                part = s.recv(65536)
                if not part:
                    return data.decode()
                data += part

    def quota(self, user=None, client=None, **rates):
        """Sets rates like producer_byte_rate of the user, of the client, or of both (AlterClientQuotas); None removes."""
        def text(t):
            return struct.pack('>h', len(t)) + t.encode()
        parts = [text(kind) + text(name) for kind, name in (('user', user), ('client-id', client)) if name is not None]
        ops = [text(k) + struct.pack('>d?', v or 0, v is None) for k, v in rates.items()]
        body = struct.pack('>ii', 1, len(parts)) + b''.join(parts) + struct.pack('>i', len(ops)) + b''.join(ops) + b'\0'
        request = struct.pack('>hhi', 49, 0, 1) + text('test') + body
        with socket.create_connection(('127.0.0.1', self.port), 10) as s, s.makefile('rwb') as f:
            f.write(struct.pack('>i', len(request)) + request)
            f.flush()
            answer = f.read(struct.unpack('>i', f.read(4))[0])
        # correlation id, throttle time, number of entities, code of the first
        assert struct.unpack('>iiih', answer[:14]) == (1, 0, 1, 0), answer

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)
