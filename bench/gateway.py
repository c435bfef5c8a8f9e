#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a call through the gateway costs, against bare nginx with proxy_pass in the same minutes.

One worker is pinned to the first core; wrk and the back end share the last one. The result is CPU time of the worker per
request, from the kernel's scheduler statistics: unlike requests per second it does not depend on who else is the
bottleneck. Rounds are interleaved; medians count.

usage: gateway.py [--rounds N] [--seconds S] [--apis N] [--publishes N] [--load S]
Needs nginx, wrk, and the module built with --buildtype=release (APPIA_GATEWAY_MODULE, APPIA_PUBWRITE name the files).
"""
import argparse
import http.client
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests' / 'gateway'))
from harness import APP, MOCK, Gateway, Published, free_port  # noqa: E402
from signer import sign  # noqa: E402

LAST = max(os.sched_getaffinity(0))
FIRST = min(os.sched_getaffinity(0))
BODY = b'b' * 1024


def start_nginx(folder, conf):
    path = folder / 'nginx.conf'
    path.write_text(conf)
    process = subprocess.Popen(['nginx', '-c', str(path), '-p', str(folder)])
    time.sleep(0.3)
    return process


def backend(folder, port):
    folder.mkdir()
    process = start_nginx(folder, f'''
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
{'user root;' if os.getuid() == 0 else ''}
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; return 200 "{'x' * 64}"; }} }}
''')
    for pid in [process.pid] + children(process.pid):
        os.sched_setaffinity(pid, {LAST})
    return process


def bare(folder, port, target):
    folder.mkdir()
    return start_nginx(folder, f'''
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
{'user root;' if os.getuid() == 0 else ''}
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {folder}; proxy_temp_path {folder};
    fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream back {{ server 127.0.0.1:{target}; keepalive 256; keepalive_requests 100000000; }}
    server {{ listen 127.0.0.1:{port};
        location / {{ proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Request-Id $request_id; }} }} }}
''')


def children(pid):
    out = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True)
    return [int(p) for p in out.stdout.split()]


def cpu_ns(pid):
    with open(f'/proc/{pid}/schedstat') as f:
        total = int(f.read().split()[0])
    with open(f'/proc/{pid}/stat') as f:
        user = int(f.read().rsplit(') ', 1)[1].split()[11]) * 10_000_000
    return total, user


def wrk(port, target, seconds, script):
    command = ['taskset', '-c', str(LAST), 'wrk', '-t1', '-c32', f'-d{seconds}s', '-s', str(script),
               f'http://127.0.0.1:{port}{target}']
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = {parts[0]: parts for parts in (line.split() for line in out.splitlines()) if parts}
    requests = int(next(line for line in out.splitlines() if 'requests in' in line).split()[0])
    if 'Non-2xx' in out or 'Socket errors' in out:
        raise RuntimeError(out)
    return requests, float(lines['Requests/sec:'][1])


def script(folder, name, headers, method='GET', body=b''):
    path = folder / f'{name}.lua'
    lines = [f'wrk.method = "{method}"'] + [f'wrk.headers["{k}"] = "{v}"' for k, v in headers.items()]
    if body:
        lines.append(f'wrk.body = "{body.decode()}"')
    path.write_text('\n'.join(lines) + '\n')
    return path


class Case:
    def __init__(self, name, process_pid, port, target, make_script, reference):
        self.name, self.port, self.target, self.make_script, self.reference = name, port, target, make_script, reference
        self.worker = children(process_pid)[0]
        os.sched_setaffinity(self.worker, {FIRST})
        self.us, self.user, self.rps = [], [], []

    def round(self, seconds):
        before, user_before = cpu_ns(self.worker)
        requests, rps = wrk(self.port, self.target, seconds, self.make_script())
        after, user_after = cpu_ns(self.worker)
        self.us.append((after - before) / requests / 1000)
        self.user.append((user_after - user_before) / requests / 1000)
        self.rps.append(rps)


def gateway(folder, back_port, apis, workers=1):
    folder.mkdir()
    published = Published(folder)
    published.write({'put': 'host', 'name': 'bench.example', 'group_id': 'g'},
                    {'put': 'app', 'id': 'app1', 'name': 'a', 'key': 'key1', 'secret': 'secret1'},
                    {'put': 'appcode', 'code': 'code-of-the-app', 'app_id': 'app1'})
    for path, options in (('/none', {}), ('/things/{id}', {'backend_path': '/things/{id}'}),
                          ('/code', {'auth': APP, 'app_code': True}), ('/signed', {'auth': APP})):
        api = published.api('g', path=path, method='ANY', address=f'127.0.0.1:{back_port}', **options)
        published.write({'put': 'auth', 'env_id': 'env-release', 'api_id': api, 'app_id': 'app1'})
    changing = published.api('g', path='/changing', backend=MOCK, mock_body='')
    more, routes = [], published.routes('g')
    for i in range(apis - 5):
        api = {'put': 'api', 'id': f'{i:032x}', 'group_id': 'g', 'env_id': 'env-release', 'env_name': 'RELEASE',
               'method': 'GET', 'path': f'/service{i % 97}/v1/things{i}/{{id}}', 'address': f'127.0.0.1:{back_port}',
               'protocols': 3, 'timeout_ms': 5000, 'backend_path': f'/things/{{id}}'}
        more.append(api)
        routes['routes'].append({'method': 'GET', 'path': api['path'], 'api_id': f'env-release/{api["id"]}'})
    if more:
        published.write(*more, routes)
    made = Gateway(folder, workers=workers, main='access_log off;',
                   server='appia_appcode_plain on; keepalive_requests 100000000;')
    made.published = published
    made.routes = routes
    made.changing = published.apis[('g', 'RELEASE', changing)]
    return made


def publishing(folder, apis, changes, seconds):
    """Publishes under full load: calls that fail, and how long until a publish is obeyed by every worker."""
    back_port = free_port()
    back = backend(folder / 'back2', back_port)
    made = gateway(folder / 'publishing', back_port, apis, workers=2)
    path = script(folder, 'publishing', {'Host': 'bench.example'}, 'POST', BODY)
    load = subprocess.Popen(['wrk',
    '-t1',
    '-c32',
    f'-d{seconds}s',
    '-s',
    str(path),
    f'http://127.0.0.1:{made.port}/none'],
    stdout=subprocess.PIPE,
     text=True)
    # The kernel spreads connections over the workers; sixteen reach all of them.
    probes = [http.client.HTTPConnection('127.0.0.1', made.port) for _ in range(16)]
    obeyed = []
    try:
        for i in range(changes):
            change = {**made.changing, 'mock_status': 200 + i % 2, 'mock_body': str(i), 'backend': MOCK}
            began = time.monotonic()
            made.published.write(change, made.routes)
            written = time.monotonic()
            for probe in probes:
                while True:
                    probe.request('GET', '/changing', headers={'Host': 'bench.example'})
                    if probe.getresponse().read() == str(i).encode():
                        break
            obeyed.append((time.monotonic() - written, written - began))
            time.sleep(max(0, seconds / changes - (time.monotonic() - began)))
        out = load.communicate()[0]
    finally:
        load.kill()
        back.terminate()
        made.close()
        made.published.close()
    total = next(line.strip() for line in out.splitlines() if 'requests in' in line)
    failed = [line.strip() for line in out.splitlines() if 'Non-2xx' in line or 'Socket errors' in line]
    print(f'\n{changes} publishes with {apis} APIs under load: {total}; failed: {failed or "none"}\n'
          f'router compiled and committed: median {median([w for _, w in obeyed]) * 1000:.0f} ms; from commit until 16 probes '
          f'saw it: median {median([o for o, _ in obeyed]) * 1000:.1f} ms, most {max(o for o, _ in obeyed) * 1000:.1f} ms')


def median(values):
    return statistics.median(values)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--seconds', type=int, default=3)
    parser.add_argument('--apis', type=int, default=10000)
    parser.add_argument('--publishes', type=int, default=100, help='changes during the last part; 0 leaves it out')
    parser.add_argument('--load', type=int, default=40, help='seconds of the last part')
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix='appia-bench-'))
    back_port, bare_port = free_port(), free_port()
    back = backend(folder / 'back', back_port)
    plain = bare(folder / 'bare', bare_port, back_port)
    few = gateway(folder / 'few', back_port, 5)
    many = gateway(folder / 'many', back_port, options.apis)
    host = {'Host': 'bench.example'}

    def fixed(name, headers, method='GET', body=b''):
        path = script(folder, name, headers, method, body)
        return lambda: path

    def signed():
        return script(folder, 'signed', sign('POST', '/signed', host, BODY, 'key1', 'secret1'), 'POST', BODY)

    random_target = folder / 'random.lua'
    random_target.write_text('wrk.headers["Host"] = "bench.example"\nlocal i = 0\n'
                             f'request = function() i = (i + 7919) % {options.apis - 5}\n'
                             'return wrk.format(nil, "/service" .. (i % 97) .. "/v1/things" .. i .. "/5") end\n')
    one_target = folder / 'one.lua'
    one_target.write_text('wrk.headers["Host"] = "bench.example"\nlocal i = 0\n'
                          f'request = function() i = (i + 7919) % {options.apis - 5}\n'
                          'return wrk.format(nil, "/things/service" .. (i % 97) .. "v1things" .. i) end\n')
    code = fixed('code', {**host, 'X-Apig-AppCode': 'code-of-the-app'})
    # Every case has as reference bare nginx with the very same requests.
    cases = [
        Case('bare nginx, GET', plain.pid, bare_port, '/none', fixed('get', host), None),
        Case('NONE', few.process.pid, few.port, '/none', fixed('get', host), 0),
        Case(f'NONE, {options.apis} APIs', many.process.pid, many.port, '/none', fixed('get', host), 0),
        Case('bare nginx, AppCode', plain.pid, bare_port, '/code', code, None),
        Case('AppCode', few.process.pid, few.port, '/code', code, 3),
        Case('bare nginx, signed POST 1 KiB', plain.pid, bare_port, '/signed', signed, None),
        Case('APP signature, POST 1 KiB', few.process.pid, few.port, '/signed', signed, 5),
        Case('bare nginx, other path each time', plain.pid, bare_port, '/', lambda: one_target, None),
        Case('path parameter, other value each time', few.process.pid, few.port, '/', lambda: one_target, 7),
        Case(f'path parameter, {options.apis} APIs in turn', many.process.pid, many.port, '/', lambda: random_target, 7),
    ]
    try:
        for case in cases if options.rounds else []:
            case.round(1)
            case.us.clear(), case.user.clear(), case.rps.clear()
        for _ in range(options.rounds):
            for case in cases:
                case.round(options.seconds)
    finally:
        for process in (back, plain):
            process.terminate()
        for made in (few, many):
            made.close()
            made.published.close()
    if options.rounds:
        report(cases, options)
    if options.publishes:
        publishing(folder, options.apis, options.publishes, options.load)
    shutil.rmtree(folder)


def report(cases, options):
    print('| case | CPU µs/request | spread | of it user | wrk requests/s | ratio to bare nginx | of the best rounds |\n'
          '|---|---|---|---|---|---|---|')
    for case in cases:
        # Each round is compared with the reference of the same round.
        # What else runs on the machine only ever adds, so the best rounds are those it disturbed least.
        ratio, best = '', ''
        if case.reference is not None:
            reference = cases[case.reference].us
            ratio, best = f'{median([r / u for r, u in zip(reference, case.us)]):.3f}', f'{min(reference) / min(case.us):.3f}'
        print(
    f'| {case.name} | {median(case.us):.1f} | {min(case.us):.1f}-{max(case.us):.1f} | {median(case.user):.1f} | '
    f'{median(case.rps):.0f} | {ratio} | {best} |')
    few_us, many_us = cases[1].us, cases[2].us
    print(f'\n{options.apis} APIs against 5, the same API called: '
          f'{(median([m / f for f, m in zip(few_us, many_us)]) - 1) * 100:+.1f} % CPU per request')


main()
