# SPDX-License-Identifier: Apache-2.0
"""Starts appia-worker with published documents of the test's own;
talks to it as the gateway and the control plane do."""
import functools
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import jsonschema
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

BUILD = pathlib.Path(os.environ.get('APPIA_BUILD', ROOT / 'build-dev'))


@functools.lru_cache(maxsize=None)
def internal_spec(name='worker.yaml'):
    with open(ROOT / 'spec/internal' / name, encoding='utf-8') as f:
        return yaml.safe_load(f)


def resolved(node, file='worker.yaml'):
    """A schema with what it refers to in its place; closed, so that nothing undescribed passes."""
    if isinstance(node, list):
        return [resolved(n, file) for n in node]
    if not isinstance(node, dict):
        return node
    if '$ref' in node:
        other, path = node['$ref'].split('#')
        found = internal_spec(other or file)
        for part in path.strip('/').split('/'):
            found = found[part]
        return resolved(found, other or file)
    done = {k: resolved(v, file) for k, v in node.items()}
    if 'properties' in done:
        done.setdefault('additionalProperties', False)
    return done


def check_internal(operation, answer):
    described = internal_spec()['paths'].get('/internal/' + operation)
    if described:
        responses = described['post']['responses']
        response = resolved(responses.get(str(answer.status), responses['default']))
        jsonschema.validate(answer.json(), response['content']['application/json']['schema'])


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__('localhost', timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    def __init__(self, reply):
        self.status, self.headers, self.body = reply.status, dict(reply.getheaders()), reply.read()

    def json(self):
        return json.loads(self.body)


class Worker:
    """appia-worker with its socket, key and published state in a folder of its own."""

    def __init__(self, *options):
        self.dir = tempfile.mkdtemp(prefix='appia-worker-')
        self.socket = self.dir + '/w.sock'
        self.key = self.dir + '/key'
        self.publisher = subprocess.Popen([BUILD / 'tests/unit/livedata/test_publish', self.dir + '/pub', self.key],
                                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tell('meta/test', '1')
        self.log = open(self.dir + '/log', 'w+', encoding='utf-8')
        self.process = subprocess.Popen([BUILD / 'src/bin/appia-worker', '--socket', self.socket, '--published',
                                         self.dir + '/pub', '--key', self.key, '--allow-private-networks', '1',
                                         *options],
                                        stderr=self.log)
        end = time.monotonic() + 20
        while True:
            try:
                if self.request('GET', '/healthz').status == 200:
                    break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, self.text()
                time.sleep(0.02)

    def text(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def tell(self, key, value):
        self.publisher.stdin.write(f'{key}\t{value}\n')
        self.publisher.stdin.flush()
        return self.publisher.stdout.readline().rstrip('\n')

    def publish(self, key, document):
        assert self.tell(key, '' if document is None else json.dumps(document)) == 'ok'

    def publish_source(self, source_id, kind, content):
        content = dict(content)
        password = content.pop('password', None)
        document = {'id': source_id, 'type': kind, 'name': source_id, 'content': content, 'version': 1}
        if password is not None:
            document['sealed_password'] = self.tell('seal', password)
        self.publish('datasource/' + source_id, document)

    def request(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def internal(self, operation, **body):
        """An internal operation; what it answers is as spec/internal says."""
        answer = self.request('POST', '/internal/' + operation, json.dumps(body))
        check_internal(operation, answer)
        return answer.status, answer.json()

    def call(self, livedata_id, method='GET', path='/', body=None, headers=None):
        return self.request(method, path, body, {'X-Appia-Livedata': livedata_id, **(headers or {})})

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.publisher.stdin.close()
        self.publisher.wait(10)
        text = self.text()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return code, text
