# SPDX-License-Identifier: Apache-2.0
"""Starts the real nginx with the module under test, in a directory of its own and on ports that are free."""
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time

PATH, QUERY, HEADER = 0, 1, 2
REQUEST, CONSTANT, SYSTEM = 0, 1, 2
NONE, APP, IAM, AUTHORIZER = 0, 1, 2, 3
HTTP, MOCK, LIVEDATA = 0, 1, 2
ENV = 'env-release'
GROUP = 'group1'


def find(name, variable):
    path = os.environ.get(variable)
    if path:
        return path
    root = pathlib.Path(__file__).resolve().parents[2]
    found = sorted(root.glob(f'build*/**/{name}'), key=lambda p: p.stat().st_mtime)
    if not found:
        raise RuntimeError(f'{name} is not built; build it or set {variable}')
    return str(found[-1])


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.getheaders()
        self.body = response.read()
        self.get = {k.lower(): v for k, v in self.headers}

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json['error_code']


class Published:
    """The published state, written by the helper program."""

    def __init__(self, folder):
        self.process = subprocess.Popen([find('pubwrite', 'APPIA_PUBWRITE'), str(
            folder / 'published'), str(folder / 'key')], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.apis = {}
        self.groups = {}

    def write(self, *operations):
        self.process.stdin.write(json.dumps(list(operations)) + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError('pubwrite failed')
        return json.loads(line)

    def api(self, group, env='RELEASE', env_id=ENV, **fields):
        """Publishes an API; fields as in struct pub_api. Returns its id."""
        number = len(self.apis) + 1
        api = {'put': 'api', 'id': f'api{number:05}', 'name': f'name{number}', 'group_id': group, 'env_id': env_id,
               'env_name': env, 'method': 'GET', 'path': '/', 'auth': NONE, 'backend': HTTP, 'timeout_ms': 2000,
               'retries': -1, 'backend_method': 'ANY', 'app_id': 'owner', 'protocols': 3}
        api.update(fields)
        self.apis[(group, env, api['id'])] = api
        self.write(api, self.routes(group, env))
        return api['id']

    def routes(self, group, env='RELEASE'):
        return {'put': 'route', 'group_id': group, 'env': env,
                'routes': [{'method': a['method'], 'path': a['path'], 'prefix': a.get('prefix', False),
                            'api_id': f'{a["env_id"]}/{a["id"]}'}
                           for (g, e, _), a in self.apis.items() if (g, e) == (group, env)]}

    def offline(self, group, api_id, env='RELEASE'):
        api = self.apis.pop((group, env, api_id))
        self.write({'del': f'api/{api["env_id"]}/{api_id}'}, self.routes(group, env))

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Gateway:
    def __init__(self, folder, workers=1, server='', main='', location='', cert=None):
        self.folder = folder
        self.port, self.tls_port, self.metrics_port = free_port(), free_port(), free_port()
        for name in ('body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'):
            (folder / name).mkdir(exist_ok=True)
        tls = (f'listen 127.0.0.1:{self.tls_port} ssl http2; ssl_certificate {cert[0]}; ssl_certificate_key {cert[1]};'
               if cert else '')
        self.conf = folder / 'nginx.conf'
        self.conf.write_text(f'''
load_module {find('ngx_http_appia_module.so', 'APPIA_GATEWAY_MODULE')};
daemon off;
master_process on;
worker_processes {workers};
{'user root;' if os.getuid() == 0 else ''}
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
worker_shutdown_timeout 5s;
thread_pool default threads=2;
events {{ worker_connections 2048; }}
http {{
    access_log {folder}/access.log;
    server_tokens off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    ssl_protocols TLSv1.2 TLSv1.3;
    client_max_body_size 12m;
    large_client_header_buffers 4 32k;
    keepalive_requests 1000000;
    merge_slashes off;
    appia_published {folder}/published;
    appia_key {folder}/key;
    appia_worker unix:{folder}/worker.sock;
    {main}
    server {{
        listen 127.0.0.1:{self.port} reuseport;
        {tls}
        error_page 494 =494 /;
        {server}
        location / {{ appia_gateway on; {location} }}
    }}
    server {{
        listen 127.0.0.1:{self.metrics_port};
        location = /metrics {{ appia_metrics; }}
    }}
}}
''')
        self.process = subprocess.Popen(['nginx', '-c', str(self.conf), '-p', str(folder)], stderr=subprocess.PIPE)
        self.wait()

    def wait(self):
        for _ in range(500):
            try:
                socket.create_connection(('127.0.0.1', self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(self.process.stderr.read().decode())
                time.sleep(0.01)
        raise RuntimeError('nginx does not listen')

    def call(self, target, method='GET', host='test.example', headers=None, body=None, tls=False, timeout=20):
        if tls:
            context = ssl._create_unverified_context()
            conn = http.client.HTTPSConnection('127.0.0.1', self.tls_port, timeout=timeout, context=context)
        else:
            conn = http.client.HTTPConnection('127.0.0.1', self.port, timeout=timeout)
        try:
            conn.request(method, target, body=body, headers={'Host': host, **(headers or {})},
                         encode_chunked='Transfer-Encoding' in (headers or {}))
            return Answer(conn.getresponse())
        finally:
            conn.close()

    def raw(self, data, timeout=5, pieces=None):
        """Sends bytes, returns everything that comes back until the end or silence."""
        with socket.create_connection(('127.0.0.1', self.port), timeout) as s:
            for piece in pieces or [data]:
                s.sendall(piece)
                if pieces:
                    time.sleep(0.002)
            s.settimeout(0.5)
            got = b''
            try:
                while True:
                    part = s.recv(65536)
                    if not part:
                        break
                    got += part
            except (TimeoutError, ConnectionResetError):
                pass
            return got

    def workers(self):
        out = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(self.process.pid)], capture_output=True, text=True)
        return [int(p) for p in out.stdout.split()]

    def metrics(self):
        conn = http.client.HTTPConnection('127.0.0.1', self.metrics_port, timeout=10)
        conn.request('GET', '/metrics')
        answer = Answer(conn.getresponse())
        conn.close()
        return answer

    def log(self):
        return (self.folder / 'error.log').read_text(errors='replace')

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def close(self):
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
