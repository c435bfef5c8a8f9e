# SPDX-License-Identifier: Apache-2.0
"""Starts the whole platform of a build (`appia up`) in a fresh home, and talks to it over TCP as users do.

    p = Platform()                         # or Platform(env={'APPIA_GATEWAY_WORKERS': '1'})
    p.call('GET', APPS)                    # management, with the administrator's token
    p.signed('GET', APPS)                  # the same, signed with the access key of credentials.json
    p.gateway('GET', '/x', host='www.example.com')
    p.stop()                               # asserts that nothing is left: no process, no sanitizer report
"""
import atexit
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

from lib import signer
from lib.appiad import BUILD, Appiad, Reply, UnixConnection, exchange, wait_for
from lib.databases import free_port

REPORT = re.compile(r'ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer')
PORTS = ('MANAGEMENT_HTTP', 'MANAGEMENT_HTTPS', 'GATEWAY_HTTP', 'GATEWAY_HTTPS')
MQS_PORTS = ('MQS', 'MQS_SASL', 'MQS_REST')


def processes(home):
    """{pid: command line} of all processes that were started for a home, whatever became of their parents."""
    found = {}
    for path in glob.glob('/proc/[0-9]*'):
        try:
            pid = int(path[6:])
            with open(path + '/cmdline', 'rb') as f:
                line = f.read().replace(b'\0', b' ').decode(errors='replace').strip()
            # Workers of nginx have neither arguments nor environment left, but they write to the home's log.
            if line and pid != os.getpid() and (home in line or os.readlink(path + '/fd/2').startswith(home + '/')):
                found[pid] = line
        except OSError:
            continue
    return found


class Platform:
    """One installation. env: settings as APPIA_<SECTION>_<KEY>. home: kept when given, else a folder of our own.
    mqs: True, with the platform's own broker and the REST interface; or the address of a Kafka elsewhere."""

    def __init__(self, env=None, home=None, start=True, mqs=False):
        self.own = home is None
        self.home = str(home or tempfile.mkdtemp(prefix='ap', dir='/tmp'))  # Unix socket paths are short
        self.ports = {name: free_port() for name in PORTS + (MQS_PORTS if mqs else ())}
        self.mqs = mqs
        self.extra, self.process, self.token, self.summary = env or {}, None, None, ''
        self.socket = os.path.join(self.home, 'run', 'appiad.sock')
        atexit.register(self.abandon)
        if start:
            self.start()

    @property
    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith('APPIA_') or k == 'APPIA_CALLS_FILE'}
        env.update({f'APPIA_{name}_PORT': str(port) for name, port in self.ports.items()})
        env['APPIA_MQS_ENABLED'] = 'true' if self.mqs is True else 'false'
        env['APPIA_MQS_REBALANCE_DELAY'] = '0ms'
        if self.mqs and self.mqs is not True:
            env.update(APPIA_MQS_ENGINE='kafka', APPIA_MQS_BOOTSTRAP_SERVERS=self.mqs)
        env.update(APPIA_HOME=self.home, APPIA_CONFIG=os.path.join(self.home, 'profiles.json'), **self.extra)
        env.setdefault('ASAN_OPTIONS', 'detect_leaks=1')
        return env

    def spawn(self):
        """Starts `appia up` without waiting. Its output goes to <home>/up.log."""
        self.log = open(os.path.join(self.home, 'up.log'), 'ab')
        self.log_from = self.log.tell()
        self.process = subprocess.Popen([os.path.join(BUILD, 'src/bin/appia'), 'up'], env=self.env, stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL)

    def start(self, seconds=60):
        self.spawn()
        wait_for(self.said_ready, seconds, what='the line that names the addresses')
        with open(os.path.join(self.home, 'credentials.json'), encoding='utf-8') as f:
            self.credentials = json.load(f)
        self.token = None
        return self

    def output(self):
        with open(os.path.join(self.home, 'up.log'), encoding='utf-8', errors='replace') as f:
            f.seek(self.log_from)
            return f.read()

    def said_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f'appia up ended with {self.process.returncode}: {self.output()}\n{self.logs()}')
        self.summary = self.output()
        return re.search(r'^ +try .*\n', self.summary, re.M)

    def logs(self):
        text = ''
        for name in sorted(glob.glob(os.path.join(self.home, 'log', '*.log'))):
            with open(name, encoding='utf-8', errors='replace') as f:
                text += f'--- {os.path.basename(name)}\n{f.read()[-6000:]}\n'
        return text

    def sanitizer_report(self):
        names = glob.glob(os.path.join(self.home, 'log', '*')) + [os.path.join(self.home, 'up.log')]
        for name in names:
            with open(name, encoding='utf-8', errors='replace') as f:
                text = f.read()
            found = REPORT.search(text)
            if found:
                return f'{name}: {text[max(0, found.start() - 200):found.start() + 6000]}'
        return None

    def children(self):
        """{name: pid} of what the supervisor started: appiad, appia-worker, nginx."""
        out = subprocess.run(['ps', '--ppid', str(self.process.pid), '-o', 'pid=,args='], capture_output=True,
                             text=True, check=False).stdout
        found = {}
        for line in out.splitlines():
            pid, args = line.split(None, 1)
            name = 'nginx' if 'nginx' in args.split()[0] else os.path.basename(args.split()[0])
            found[name.rstrip(':')] = int(pid)
        return found

    def stop(self, signal_number=signal.SIGTERM, keep=False):
        """Stops all in order and asserts that it was clean. keep: the home stays, for another start()."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        code = self.process.wait(60)
        self.log.close()
        left = processes(self.home)
        report = self.sanitizer_report()
        assert code == 0, f'appia up ended with {code}: {self.output()}\n{self.logs()}'
        assert not left, f'processes are left: {left}'
        assert not report, report
        if not keep:
            self.remove()

    def remove(self):
        if self.own:
            shutil.rmtree(self.home, ignore_errors=True)
        atexit.unregister(self.abandon)

    def abandon(self):
        """At the end of a test run that failed: nothing stays behind."""
        for pid in processes(self.home):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass

    # --- the management API

    def connection(self, timeout=60):
        return http.client.HTTPConnection('127.0.0.1', self.ports['MANAGEMENT_HTTP'], timeout=timeout)

    def raw(self, method, path, body=None, headers=None):
        connection = self.connection()
        try:
            return exchange(connection, method, path, body, headers)
        finally:
            connection.close()

    login = Appiad.login
    call = Appiad.call

    def signed(self, method, path, body=None, headers=None, key=None, secret=None):
        """A management call that carries a signature instead of a token."""
        c = self.credentials
        path = path.replace('{project_id}', c['project_id']).replace('{instance_id}', c['instance_id'])
        data = b'' if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {'Host': f'127.0.0.1:{self.ports["MANAGEMENT_HTTP"]}', **(headers or {})}
        if data:
            headers.setdefault('Content-Type', 'application/json')
        headers = signer.sign(method, path, data, headers, key or c['access_key'], secret or c['secret_key'])
        return self.raw(method, path, data or None, headers)

    def cli(self, *args, env=None, text=None, check=True):
        """Runs `appia args...` and returns the finished process; its output is text."""
        done = subprocess.run([os.path.join(BUILD,
    'src/bin/appia'),
    *args],
    env={**self.env,
    **(env or {})},
    input=text,
    capture_output=True,
    text=True,
    timeout=120,
     check=False)
        assert not check or done.returncode == 0, f'appia {" ".join(args)}: {done.returncode} {done.stdout}{done.stderr}'
        assert not REPORT.search(done.stderr), done.stderr
        return done

    # --- the gateway

    def gateway(
    self,
    method,
    path,
    body=b'',
    host=None,
    headers=None,
    tls=False,
    key=None,
    secret=None,
     server_name=None):
        """A call of a published API. key and secret: signed. tls: over HTTPS with SNI, verified by the local CA."""
        headers = {'Host': host or f'127.0.0.1:{self.ports["GATEWAY_HTTP"]}', **(headers or {})}
        if key:
            headers = signer.sign(method, path, body, headers, key, secret)
        if tls:
            connection = TlsConnection(self.ports['GATEWAY_HTTPS'], server_name or host,
                                       os.path.join(self.home, 'tls', 'ca.pem'))
        else:
            connection = http.client.HTTPConnection('127.0.0.1', self.ports['GATEWAY_HTTP'], timeout=60)
        try:
            connection.request(method, path, body or None, headers)
            r = connection.getresponse()
            return Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            connection.close()

    def rest(self, method, path, body=None, key=None, secret=None, headers=None, at=None):
        """A call of the REST interface of message integration, over TLS; with a key signed, as if at that time."""
        data = b'' if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {'Host': f'127.0.0.1:{self.ports["MQS_REST"]}', **(headers or {})}
        if data:
            headers.setdefault('Content-Type', 'application/json')
        if key:
            headers = signer.sign(method, path, data, headers, key, secret, at)
        connection = TlsConnection(self.ports['MQS_REST'], 'localhost', os.path.join(self.home, 'tls', 'ca.pem'))
        try:
            connection.request(method, path, data or None, headers)
            r = connection.getresponse()
            return Reply(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        finally:
            connection.close()


class TlsConnection(http.client.HTTPConnection):
    """HTTPS to 127.0.0.1 with the server name of the test's own. ca: None for any certificate."""

    def __init__(self, port, server_name, ca):
        super().__init__('127.0.0.1', port, timeout=60)
        self.server_name, self.context = server_name, ssl.create_default_context(cafile=ca)
        if ca is None or server_name is None:
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE

    def connect(self):
        plain = socket.create_connection(('127.0.0.1', self.port), self.timeout)
        self.sock = self.context.wrap_socket(plain, server_hostname=self.server_name)
        self.certificate = self.sock.getpeercert(binary_form=True)


__all__ = ['Platform', 'TlsConnection', 'UnixConnection', 'processes']
