#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From the acknowledged publish to the gateway that obeys it, on a whole platform with many published APIs; and the calls
that fail while 100 publishes happen.

usage: publish.py BUILD_DIR [--apis N] [--publishes N] [--requests N]     prints rows for bench/RESULTS.md
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time

arguments = argparse.ArgumentParser()
arguments.add_argument('build', nargs='?', default='build-release')
arguments.add_argument('--apis', type=int, default=10000)
arguments.add_argument('--publishes', type=int, default=100)
arguments.add_argument('--requests', type=int, default=100000)
ARGS = arguments.parse_args()
os.environ['APPIA_BUILD'] = os.path.abspath(ARGS.build)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests'))
from lib.apic import RELEASE, V2, ok  # noqa: E402  (needs the build and the path above)
from lib.appiad import exchange  # noqa: E402
from lib.platform import Platform  # noqa: E402

BATCH = 500
PROBES = 16


class Bench:
    def __init__(self):
        self.p = Platform()
        c = self.p.credentials
        self.v2 = V2.replace('{project_id}', c['project_id']).replace('{instance_id}', c['instance_id'])
        self.token = self.p.login()
        app = ok(self.p.call('POST', '/v2/{project_id}/instances/{instance_id}/apps', {'name': 'bench'}), 201)['id']
        group = ok(self.p.call('POST', V2 + '/api-groups', {'name': 'bench', 'version': 'V2', 'roma_app_id': app}), 201)
        # The group's own sub-domain is for trying only: 1000 calls a day.
        self.app, self.group, self.host = app, group['id'], 'bench.example.com'
        ok(self.p.call('POST', f'{V2}/api-groups/{self.group}/domains', {'url_domain': self.host}), 201)

    def call(self, connection, method, path, body):
        r = exchange(connection, method, self.v2 + path, body, {'X-Auth-Token': self.token})
        assert r.status < 300, r
        return r.json if r.body else None

    def body(self, n, content):
        return {'name': f'Api_{n}',
    'type': 1,
    'req_protocol': 'BOTH',
    'req_method': 'GET',
    'req_uri': f'/api/{n}/{{id}}',
    'match_mode': 'NORMAL',
    'auth_type': 'NONE',
    'backend_type': 'MOCK',
    'group_id': self.group,
    'roma_app_id': self.app,
    'mock_info': {'result_content': content},
    'req_params': [{'name': 'id',
    'type': 'STRING',
    'location': 'PATH',
     'required': 1}]}

    def create(self, numbers):
        connection = self.p.connection()
        return [self.call(connection, 'POST', '/apis', self.body(n, '0'))['id'] for n in numbers]

    def prepare(self):
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(self.create, [range(i, ARGS.apis, 4) for i in range(4)]))
        self.ids = {n: i for k in range(4) for n, i in zip(range(k, ARGS.apis, 4), parts[k])}
        created, connection = time.monotonic() - began, self.p.connection()
        began, ids = time.monotonic(), list(self.ids.values())
        for i in range(0, len(ids), BATCH):
            self.call(connection, 'POST', '/apis/publish?action=online', {'apis': ids[i:i + BATCH], 'env_id': RELEASE})
        print(f'{len(ids)} APIs: created in {created:.1f} s, published in {time.monotonic() - began:.1f} s', file=sys.stderr)

    def publish(self, connection, n, content):
        """Changes and publishes an API; returns (seconds of the publish call, when it was acknowledged)."""
        api = self.ids[n]
        self.call(connection, 'PUT', f'/apis/{api}', self.body(n, content))
        began = time.monotonic()
        self.call(connection, 'POST', '/apis/action', {'action': 'online', 'api_id': api, 'env_id': RELEASE})
        end = time.monotonic()
        return end - began, end

    def latencies(self):
        """(publish call, from its acknowledgement until the last of many connections sees it) per publish."""
        manage, out = self.p.connection(), []
        gates = [
    http.client.HTTPConnection(
        '127.0.0.1',
        self.p.ports['GATEWAY_HTTP'],
         timeout=30) for _ in range(PROBES)]
        for k in range(ARGS.publishes):
            n, content = k * 97 % ARGS.apis, f'version {k}'
            took, end = self.publish(manage, n, content)
            worst = end
            for g in gates:
                while True:
                    g.request('GET', f'/api/{n}/x', headers={'Host': self.host})
                    r = g.getresponse()
                    got, now = r.read().decode(), time.monotonic()
                    assert r.status == 200, (r.status, got)
                    worst = max(worst, now)
                    if got == content:
                        break
            out.append((took, worst - end, took + worst - end))
        return out

    def load(self):
        """wrk calls one API until all publishes are done and there were enough requests. (requests, failed)"""
        script = self.p.home + '/host.lua'
        with open(script, 'w', encoding='utf-8') as f:
            f.write(f'wrk.headers["Host"] = "{self.host}"\n')
        done, failed, manage = 0, 0, self.p.connection()
        publishes, ending = [], threading.Event()

        def publisher():
            for k in range(ARGS.publishes):
                publishes.append(self.publish(manage, k * 89 % ARGS.apis, f'load {k}')[0])
            ending.set()
        thread = threading.Thread(target=publisher)
        thread.start()
        while done < ARGS.requests or not ending.is_set():
            text = subprocess.run(['wrk',
    '-t',
    '1',
    '-c',
    '16',
    '-d',
    '5',
    '-s',
    script,
    '--timeout',
    '10s',
    f'http://127.0.0.1:{self.p.ports["GATEWAY_HTTP"]}/api/5/x'],
    capture_output=True,
    text=True,
     check=True).stdout
            done += int(re.search(r'(\d+) requests in', text).group(1))
            bad = re.search(r'Non-2xx or 3xx responses: (\d+)', text)
            failed += int(bad.group(1)) if bad else 0
            lost = re.search(r'Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)', text)
            failed += sum(map(int, lost.groups())) if lost else 0
        thread.join()
        return done, failed, publishes


def row(name, values, goal):
    values = sorted(v * 1000 for v in values)
    p99 = values[(len(values) * 99 + 99) // 100 - 1]
    print(f'| {name} | {statistics.median(values):.1f} | {p99:.1f} | {values[-1]:.1f} | {goal} |')


def main():
    if not shutil.which('wrk'):
        sys.exit('wrk is not installed')
    b = Bench()
    b.prepare()
    quiet = b.latencies()
    print(f'| {ARGS.apis} APIs, {ARGS.publishes} publishes | median ms | p99 ms | worst ms | goal |\n|---|---|---|---|---|')
    row('publish call', [q[0] for q in quiet], '')
    row(f'acknowledged until obeyed on {PROBES} connections', [q[1] for q in quiet], '')
    row('sent until obeyed', [q[2] for q in quiet], '100')
    requests, failed, under = b.load()
    row('publish call under load', under, '')
    print(f'\n{requests} requests during {ARGS.publishes} publishes: {failed} failed (goal 0 of 1000000).')
    print(json.dumps({'requests': requests, 'failed': failed}), file=sys.stderr)
    assert b.p.cli('published', 'verify').stdout.strip() == '0 differences'
    b.p.stop()
    sys.exit(1 if failed else 0)


main()
