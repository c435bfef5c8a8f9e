#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A SELECT by primary key on PostgreSQL as a published data API, through the gateway of a whole platform, against
`pgbench -S` with as many connections, in alternation.

usage: livedata.py BUILD_DIR [--connections N] [--seconds S] [--rounds N]     prints rows for bench/RESULTS.md
"""
import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

arguments = argparse.ArgumentParser()
arguments.add_argument('build', nargs='?', default='build-release')
arguments.add_argument('--connections', type=int, default=8)
arguments.add_argument('--seconds', type=int, default=5)
arguments.add_argument('--rounds', type=int, default=3)
ARGS = arguments.parse_args()
os.environ['APPIA_BUILD'] = os.path.abspath(ARGS.build)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests'))
from lib import databases, livedata  # noqa: E402  (needs the build and the path above)
from lib.platform import Platform  # noqa: E402

ROWS = 100000
LUA = '''
wrk.headers["Host"] = "%s"
request = function() return wrk.format("GET", "%s?id=" .. math.random(1, %d)) end
response = function(status, headers, body) if status ~= 200 or not body:find('"abalance"', 1, true) then bad = (bad or 0) + 1 end end
local threads = {}
setup = function(t) table.insert(threads, t) end
done = function() local n = 0 for _, t in ipairs(threads) do n = n + (t:get("bad") or 0) end io.write("bad: ", n, "\\n") end
'''


def main():
    if not shutil.which('wrk'):
        sys.exit('wrk is not installed')
    db, n = databases.postgres(), str(ARGS.connections)
    env = {**os.environ, 'PGPASSWORD': db.password}
    at = ['-h', db.host, '-p', str(db.port), '-U', db.user, db.database]
    pgbench = shutil.which('pgbench') or databases._program('pgbench')
    subprocess.run([pgbench, '-i', '-q', '-s', '1', *at], env=env, check=True, capture_output=True)
    p = Platform(env={'APPIA_WORKER_CONNECTIONS': n})
    app, _, _ = livedata.app(p, 'bench')
    api = livedata.backend(
    p,
    app,
    'SELECT abalance FROM pgbench_accounts WHERE aid = ${id}',
    livedata.source(
        p,
        app,
        db),
         ['id'])
    with open(p.home + '/wrk.lua', 'w', encoding='utf-8') as f:
        f.write(LUA % (api.host, api.path, ROWS))

    def ours():
        text = subprocess.run(['wrk',
    '-t',
    '1',
    '-c',
    n,
    '-d',
    str(ARGS.seconds),
    '-s',
    p.home + '/wrk.lua',
    f'http://127.0.0.1:{p.ports["GATEWAY_HTTP"]}/'],
    capture_output=True,
    text=True,
     check=True).stdout
        assert 'bad: 0' in text, text
        return float(re.search(r'Requests/sec: +([\d.]+)', text).group(1))

    def reference():
        text = subprocess.run([pgbench, '-S', '-n', '-c', n, '-j', '1', '-T', str(ARGS.seconds),
                              *at], env=env, check=True, capture_output=True, text=True).stdout
        return float(re.search(r'tps = ([\d.]+)', text).group(1))
    ours()
    rounds = [(reference(), ours()) for _ in range(ARGS.rounds)]
    ratio = statistics.median(o / r for r, o in rounds)
    print(f'| {n} connections | pgbench -S per s | calls through the gateway per s | ratio, median | goal |\n|---|---|---|---|---|')
    print(f'| {ARGS.rounds} rounds of {ARGS.seconds} s | {statistics.median(r for r, _ in rounds):.0f} | '
          f'{statistics.median(o for _, o in rounds):.0f} | {ratio:.2f} | 0.5 |')
    p.stop()
    db.stop()


main()
