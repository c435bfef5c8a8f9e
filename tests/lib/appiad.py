# SPDX-License-Identifier: Apache-2.0
"""Starts the control plane of a build in a fresh data directory and talks to it over its Unix socket."""
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import uuid
from urllib.parse import urlencode

BUILD = os.environ.get('APPIA_BUILD', os.path.join(os.path.dirname(__file__), '..', '..', 'build-dev'))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=60):
        super().__init__('127.0.0.1', timeout=timeout)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f'<{self.status} {self.body[:400]!r}>'


def exchange(connection, method, path, body=None, headers=None):
    """One request. body: bytes, or anything that JSON can say. Headers of the reply have lower-case names."""
    headers = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault('Content-Type', 'application/json')
    connection.request(method, path, body=body, headers=headers)
    r = connection.getresponse()
    reply = Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
    record(method, path, reply.status)
    return reply


def record(method, path, status):
    """For the report of operations that no test calls."""
    file = os.environ.get('APPIA_CALLS_FILE')
    if file:
        with open(file, 'a', encoding='utf-8') as f:
            f.write(f'{method} {path.split("?")[0]} {status}\n')


def wait_for(condition, seconds=30, what='condition'):
    """Polls; every wait in the tests ends by an event or by this limit."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f'{what} did not come true in {seconds} s')


def store_settings():
    """SQLite, or with APPIA_TEST_STORE=postgresql a fresh database on a private server."""
    if os.environ.get('APPIA_TEST_STORE') != 'postgresql':
        return {}
    from lib.databases import postgres
    server, name = postgres(), 't' + uuid.uuid4().hex
    server.sql(f'CREATE DATABASE {name}')
    c = server.content
    return {'APPIA_STORE_URL': f'postgresql://{c["user_name"]}:{c["password"]}@{c["host"]}:{c["port"]}/{name}'}


class Appiad:
    """One control plane. env: settings as APPIA_<SECTION>_<KEY>."""

    def __init__(self, home, env=None):
        self.home, self.env, self.process, self.token = str(home), env or {}, None, None
        self.socket = os.path.join(self.home, 'run', 'appiad.sock')
        self.start()

    def start(self):
        os.makedirs(self.home, exist_ok=True)
        env = dict(os.environ, **self.env)
        env.setdefault('ASAN_OPTIONS', 'detect_leaks=1')
        self.log = open(os.path.join(self.home, 'appiad.log'), 'ab')
        self.process = subprocess.Popen([os.path.join(BUILD, 'src/bin/appiad'), '--home', self.home], env=env,
                                        stdout=self.log, stderr=self.log)
        wait_for(self.ready, what='appiad')
        with open(os.path.join(self.home, 'credentials.json'), encoding='utf-8') as f:
            self.credentials = json.load(f)

    def ready(self):
        if self.process.poll() is not None:
            with open(os.path.join(self.home, 'appiad.log'), encoding='utf-8', errors='replace') as f:
                raise AssertionError('appiad ended: ' + f.read()[-4000:])
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            s.connect(self.socket)
            return True
        except OSError:
            return False
        finally:
            s.close()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it and returns its exit code; a sanitizer's report makes that non-zero."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        self.log.close()
        return self.process.returncode

    def raw(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.socket)
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def login(self, user=None, password=None, project=None):
        """A token of the administrator, or of somebody else."""
        c = self.credentials
        body = {'auth': {'identity': {'methods': ['password'], 'password': {'user': {
            'name': user or c['user'], 'password': password or c['password'], 'domain': {'name': c['domain']}}}},
            'scope': {'project': {'name': project or c['project_name']}}}}
        r = self.raw('POST', '/v3/auth/tokens', body)
        assert r.status == 201, r
        return r.headers['x-subject-token']

    def call(self, method, path, body=None, token=None, query=None, headers=None):
        """A request with the administrator's token (or token). {project_id} and {instance_id} are filled in."""
        if token is None:
            self.token = self.token or self.login()
            token = self.token
        path = path.replace('{project_id}', self.credentials['project_id'])
        path = path.replace('{instance_id}', self.credentials['instance_id'])
        if query:
            path += '?' + urlencode(query)
        return self.raw(method, path, body, {'X-Auth-Token': token, **(headers or {})})


class HomeWorker:
    """appia-worker of a control plane: its socket, key and published state."""

    def __init__(self, appiad, *options):
        home = appiad.home
        self.socket = os.path.join(home, 'run', 'worker.sock')
        self.log_path = os.path.join(home, 'worker.log')
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen(
                [os.path.join(BUILD, 'src/bin/appia-worker'), '--socket', self.socket, '--published',
                 os.path.join(home, 'published'), '--key', os.path.join(home, 'master.key'),
                 '--allow-private-networks', '1', *options], stdout=log, stderr=log)
        wait_for(self.ready, what='appia-worker')

    def ready(self):
        assert self.process.poll() is None, open(self.log_path, encoding='utf-8', errors='replace').read()[-4000:]
        try:
            return self.raw('GET', '/healthz').status == 200
        except OSError:
            return False

    def raw(self, method, path, body=None, headers=None):
        connection = UnixConnection(self.socket)
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    def backend(self, livedata_id, method='GET', path='/', body=None, headers=None):
        """A call of a deployed custom back end, as the gateway makes it."""
        return self.raw(method, path, body, {'X-Appia-Livedata': livedata_id, **(headers or {})})

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        return self.process.returncode
