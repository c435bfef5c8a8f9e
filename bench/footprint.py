#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a start takes until the platform is ready, and what all its processes keep in memory when idle.

usage: footprint.py BUILD_DIR [ROUNDS]       prints rows for bench/RESULTS.md
"""
import os
import pathlib
import statistics
import sys
import time

os.environ['APPIA_BUILD'] = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else 'build-release')
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'tests'))
from lib.platform import Platform, processes  # noqa: E402  (needs the build and the path above)

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SETTLE_SECONDS = 2


def memory(pid):
    """(resident, proportional) in KiB. Pages that n processes share count n times in the first, once in the second."""
    with open(f'/proc/{pid}/smaps_rollup', encoding='ascii') as f:
        rows = dict(line.split(':', 1) for line in f.read().splitlines()[1:])
    return int(rows['Rss'].split()[0]), int(rows['Pss'].split()[0])


def timed(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def main():
    first, again, table = [], [], {}
    for _ in range(ROUNDS):
        p = Platform(start=False)
        first.append(timed(p.start))
        p.stop(keep=True)
        again.append(timed(p.start))
        time.sleep(SETTLE_SECONDS)
        counts = {}
        for pid, line in processes(p.home).items():
            name = 'nginx' if line.startswith('nginx') else os.path.basename(line.split()[0])
            rss, pss = memory(pid)
            was = counts.get(name, (0, 0, 0))
            counts[name] = (was[0] + 1, was[1] + rss, was[2] + pss)
        for name, row in counts.items():
            table.setdefault(name, []).append(row)
        p.stop()
    print('| what | median | worst | goal |\n|---|---|---|---|')
    for what, values in (('first start to ready, sample included', first), ('start to ready', again)):
        print(f'| {what} | {statistics.median(values):.2f} s | {max(values):.2f} s | 2 s |')
    total = [0, 0]
    rows = []
    for name in sorted(table):
        n, rss, pss = (statistics.median(r[i] for r in table[name]) for i in range(3))
        total[0] += rss
        total[1] += pss
        rows.append(f'| {name} | {int(n)} | {rss / 1024:.1f} | {pss / 1024:.1f} |')
    print('\n| idle | processes | resident MiB | of it its own share MiB |\n|---|---|---|---|')
    print('\n'.join(rows))
    print(f'| all (goal 120) | | {total[0] / 1024:.1f} | {total[1] / 1024:.1f} |')


main()
