#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Livedata SELECT by primary key on PostgreSQL against pgbench -S with as many connections, in alternation.

usage: APPIA_BUILD=<release build> bench/livedata/run.py [CONNECTIONS [SECONDS [ROUNDS]]]
"""
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests'))
from lib import databases  # noqa: E402  (needs the path above)
from lib.worker import Worker  # noqa: E402

ROWS = 100000


def main():
    connections, seconds, rounds = (list(map(int, sys.argv[1:])) + [8, 5, 3][len(sys.argv) - 1:])[:3]
    db = databases.start_postgres()
    env = {**os.environ, 'PGPASSWORD': db.password}
    at = ['-h', db.host, '-p', str(db.port), '-U', db.user, db.database]
    pgbench = databases._program('pgbench')
    subprocess.run([pgbench, '-i', '-q', '-s', '1', *at], env=env, check=True, capture_output=True)
    load = os.path.join(tempfile.mkdtemp(prefix='appia-load-'), 'load')
    subprocess.run(['cc', '-O2', '-D_GNU_SOURCE', '-o', load, ROOT / 'bench/livedata/load.c', '-lpthread'], check=True)
    worker = Worker('--pool', str(connections))
    worker.publish_source('ds', 'POSTGRESQL', db.content)
    worker.publish('livedata/b', {'id': 'b', 'type': 'data', 'scripts': [
        {'type': 'SQL', 'object_name': 'default', 'datasource_id': 'ds',
         'content': 'SELECT abalance FROM pgbench_accounts WHERE aid = ${id}'}]})
    try:
        measure(worker, load, connections, seconds, rounds, pgbench, at, env)
    finally:
        shutil.rmtree(os.path.dirname(load))
        worker.stop()


def measure(worker, load, connections, seconds, rounds, pgbench, at, env):
    ours, theirs = [], []
    for _ in range(rounds):
        out = subprocess.run([load, worker.socket, str(connections), str(seconds), 'b', str(ROWS)], check=True,
                             capture_output=True, text=True).stdout.split()
        assert out[1] == '0', worker.text()[-2000:]
        ours.append(float(out[0]))
        text = subprocess.run([pgbench, '-S', '-n', '-M', 'prepared', '-c', str(connections), '-j',
                               str(min(connections, 2)),
                               '-T', str(seconds), *at], env=env, check=True, capture_output=True, text=True).stdout
        theirs.append(float(re.search(r'tps = ([\d.]+)', text).group(1)))
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f'connections {connections}  livedata {a:.0f}/s  pgbench -S -M prepared {b:.0f}/s  ratio {a / b:.2f}')


if __name__ == '__main__':
    main()
