#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every fuzz target of a build for some seconds; findings stay in BUILD_DIR/findings.

usage: run_fuzz.py BUILD_DIR [SECONDS_EACH]
"""
import glob
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
build = os.path.abspath(sys.argv[1])
seconds = sys.argv[2] if len(sys.argv) > 2 else '60'
bad = []
for target in sorted(glob.glob(os.path.join(build, 'tests/fuzz/fuzz_*'))):
    if not os.access(target, os.X_OK) or os.path.isdir(target):
        continue
    name = os.path.basename(target)
    corpus, findings = os.path.join(build, 'corpus', name), os.path.join(build, 'findings', name, '')
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(findings, exist_ok=True)
    seeds = os.path.join(ROOT, 'tests', 'fuzz', name.replace('fuzz_', 'seeds_', 1) + '.py')
    if os.path.exists(seeds):
        subprocess.run([sys.executable, seeds, corpus], check=True)
    print(f'{name}: {seconds} s', flush=True)
    p = subprocess.run([target, f'-max_total_time={seconds}', f'-artifact_prefix={findings}', '-rss_limit_mb=2048',
                        '-print_final_stats=1', corpus], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                       check=False)
    if p.returncode:
        bad.append(name)
        print(p.stderr[-3000:])
print(f'{len(bad)} targets found something' + (': ' + ', '.join(bad) if bad else ''))
sys.exit(1 if bad else 0)
