#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs lint, unit tests and the pytest scenarios of a build, and counts them.

usage: run_tests.py BUILD_DIR [pytest arguments]
"""
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run_unit(build):
    subprocess.run(['meson', 'test', '-C', build, '--no-rebuild', '--print-errorlogs', '-j', str(os.cpu_count())],
                   stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False)
    passed = failed = 0
    with open(os.path.join(build, 'meson-logs', 'testlog.json'), encoding='utf-8') as f:
        for line in f:
            row = json.loads(line)
            out = row.get('stdout', '') + row.get('stderr', '')
            ok = len(re.findall(r'^\[ +OK +\]', out, re.M))
            bad = len(re.findall(r'^\[ +FAILED +\] \w+$', out, re.M))
            if row['result'] not in ('OK', 'SKIP') and not bad:
                bad = 1
            passed += ok or (row['result'] == 'OK')
            failed += bad
            if bad:
                print(f'FAILED unit test {row["name"]}\n{out[-4000:]}')
    return passed, failed


def run_lint():
    return 0 if subprocess.run(['/usr/bin/python3', os.path.join(ROOT, 'tools/lint.py')], check=False).returncode else 1


def uncalled_operations(build, calls_file):
    """Ids of the implemented operations that no scenario called with success."""
    with open(os.path.join(build, 'src/api/api_operations.json'), encoding='utf-8') as f:
        operations = [o for o in json.load(f)['operations'] if not o['todo']]
    # The most exact path wins, as in the router: fewest parameters.
    operations.sort(key=lambda o: o['path'].count('{'))
    patterns = [(o, re.compile(o['method'] + ' ' + re.sub(r'\\\{\w+\\\}', '[^/]+', re.escape(o['path'])) + '/?')) for o in operations]
    called, seen = set(), {}
    with open(calls_file, encoding='utf-8', errors='replace') as f:
        for line in f:
            call, _, status = line.rstrip('\n').rpartition(' ')
            if not status.isdigit() or int(status) >= 400:
                continue
            if call not in seen:
                seen[call] = next((o['id'] for o, pattern in patterns if pattern.fullmatch(call)), None)
            called.add(seen[call])
    return sorted({o['id'] for o in operations} - called), len({o['id'] for o in operations})


def run_pytest(build, args):
    env = dict(os.environ, APPIA_BUILD=os.path.abspath(build), PYTHONDONTWRITEBYTECODE='1')
    calls_file = os.path.join(build, 'calls.log')
    open(calls_file, 'w', encoding='utf-8').close()
    env['APPIA_CALLS_FILE'] = os.path.abspath(calls_file)
    env['PYTHONPATH'] = os.path.join(ROOT, 'tests')
    everything, args = not args, args or ['tests']
    p = subprocess.run(['/usr/bin/python3', '-m', 'pytest', '-q', '-n', '2', '--dist', 'loadfile', '-p',
                        'no:cacheprovider', '-m', 'not soak', *args], cwd=ROOT, env=env, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(p.stdout[-12000:])
    if everything:
        missing, total = uncalled_operations(build, calls_file)
        print(f'operations called with success: {total - len(missing)} of {total}; never: {", ".join(missing) or "none"}')
    last = [line for line in p.stdout.splitlines() if re.search(r'\d+ (passed|failed|error)', line)]
    counts = {k: int(n) for n, k in re.findall(r'(\d+) (passed|failed|error|skipped)', last[-1] if last else '')}
    failed = counts.get('failed', 0) + counts.get('error', 0)
    if p.returncode not in (0, 5) and not failed:
        failed = 1
    return counts.get('passed', 0), failed, counts.get('skipped', 0)


def main():
    build, args, began = sys.argv[1], sys.argv[2:], time.monotonic()
    lint = run_lint()
    unit = run_unit(build)
    scenarios = run_pytest(build, args)
    passed = lint + unit[0] + scenarios[0]
    failed = (1 - lint) + unit[1] + scenarios[1]
    print(f'{time.monotonic() - began:.0f} s: lint {"ok" if lint else "failed"}, unit tests {unit[0]} passed, '
          f'scenarios {scenarios[0]} passed, {scenarios[2]} skipped')
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or passed < 2 else 0)


main()
