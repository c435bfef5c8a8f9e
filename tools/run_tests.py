#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs lint, unit tests and the pytest scenarios of a build, and counts them.

usage: run_tests.py BUILD_DIR [pytest arguments]
"""
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HUNG_S = 25  # below the shortest time limit of a unit test


def count_unit(row):
    """(passed, failed) of one program: of its cmocka tests, or of the program itself when it is none."""
    out = row.get('stdout', '') + row.get('stderr', '')
    ok = len(re.findall(r'^\[ +OK +\]', out, re.M))
    # A failed test is named where it failed and again in the list at the end.
    bad = len(set(re.findall(r'^\[ +FAILED +\] (\w+)$', out, re.M)))
    if row['result'] == 'SKIP':
        return 0, 0
    if row['result'] != 'OK':
        return ok, max(bad, 1)  # a crash or a leak at the end names no test
    return (ok or 1, bad)


def keep_stacks_of_hung(build, seen):
    """Where the threads of a unit test are that runs for HUNG_S, once: its time limit would end it without a word."""
    ticks = os.sysconf('SC_CLK_TCK')
    with open('/proc/uptime', encoding='ascii') as f:
        uptime = float(f.read().split()[0])
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            exe = os.readlink(f'/proc/{pid}/exe')
            with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as f:
                age = uptime - int(f.read().rpartition(')')[2].split()[19]) / ticks
        except OSError:
            continue  # ended, or not ours
        if pid not in seen and age > HUNG_S and exe.startswith(os.path.abspath(build) + '/tests/unit/'):
            p = subprocess.run(['gdb', '-p', pid, '-batch', '-ex', 'thread apply all bt 30'], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
            seen[pid] = f'{exe} runs for {age:.0f} s:\n{p.stdout[-8000:]}'


def run_unit(build):
    """(passed, failed)"""
    log = os.path.join(build, 'meson-logs', 'testlog.json')
    if os.path.exists(log):
        os.unlink(log)  # that of an earlier run must not count for this one
    with subprocess.Popen(['meson', 'test', '-C', build, '--no-rebuild', '--num-processes',
                           str(os.cpu_count())],
                          stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as p:
        seen = {}
        while p.poll() is None:
            if shutil.which('gdb'):
                keep_stacks_of_hung(build, seen)
            time.sleep(1)
    if not os.path.exists(log):
        print('FAILED: no unit test ran')
        return 0, 1
    passed = failed = 0
    with open(log, encoding='utf-8') as f:
        for row in map(json.loads, f):
            ok, bad = count_unit(row)
            passed += ok
            failed += bad
            if bad:
                print(f'FAILED unit test {row["name"]} ({row["result"]})\n'
                      f'{(row.get("stdout", "") + row.get("stderr", ""))[-4000:]}')
    if failed:
        print('\n'.join(seen.values()))
    return passed, failed


def run_lint():
    return 0 if subprocess.run(['/usr/bin/python3', os.path.join(ROOT, 'tools/lint.py')], check=False).returncode else 1


def uncalled_operations(build, calls_file):
    """Ids of the implemented operations that no scenario called with success."""
    with open(os.path.join(build, 'src/api/api_operations.json'), encoding='utf-8') as f:
        operations = [o for o in json.load(f)['operations'] if not o['todo']]
    # The most exact path wins, as in the router: fewest parameters.
    operations.sort(key=lambda o: o['path'].count('{'))
    patterns = [(o, re.compile(o['method'] + ' ' + re.sub(r'\\\{\w+\\\}', '[^/]+', re.escape(o['path'])) + '/?'))
                for o in operations]
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


def run_pytest(build, args, store='sqlite'):
    env = dict(os.environ, APPIA_TEST_STORE=store, APPIA_BUILD=os.path.abspath(build), PYTHONDONTWRITEBYTECODE='1')
    calls_file = os.path.join(build, f'calls.{store}.log')
    open(calls_file, 'w', encoding='utf-8').close()
    env['APPIA_CALLS_FILE'] = os.path.abspath(calls_file)
    env['PYTHONPATH'] = os.path.join(ROOT, 'tests')
    everything, args = not args, args or ['tests']
    p = subprocess.run(['/usr/bin/python3', '-m', 'pytest', '-q', '-n', '3', '--dist', 'loadfile', '-p',
                        'no:cacheprovider', '-m', 'not soak', *args], cwd=ROOT, env=env, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(p.stdout[-12000:])
    if everything and store == 'sqlite':
        missing, total = uncalled_operations(build, calls_file)
        print(f'operations called with success: {total - len(missing)} of {total}; never: '
              f'{", ".join(missing) or "none"}')
    summary = re.compile(r'\d+ (passed|failed|error|skipped).* in [\d.]+s')
    last = [line for line in p.stdout.splitlines() if summary.search(line)]
    counts = {k: int(n) for n, k in re.findall(r'(\d+) (passed|failed|error|skipped)', last[-1] if last else '')}
    failed = counts.get('failed', 0) + counts.get('error', 0)
    if p.returncode and not failed:  # also 5: no test was found
        failed = 1
    return counts.get('passed', 0), failed, counts.get('skipped', 0)


def main():
    build, args, began = sys.argv[1], sys.argv[2:], time.monotonic()
    lint = run_lint()
    unit = run_unit(build)
    scenarios = run_pytest(build, args)
    if not args:
        again = run_pytest(build, ['tests/api'], 'postgresql')
        scenarios = tuple(a + b for a, b in zip(scenarios, again))
    passed = lint + unit[0] + scenarios[0]
    failed = (1 - lint) + unit[1] + scenarios[1]
    print(f'{time.monotonic() - began:.0f} s: lint {"ok" if lint else "failed"}, unit tests {unit[0]} passed, '
          f'scenarios {scenarios[0]} passed, {scenarios[2]} skipped')
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or not unit[0] or not scenarios[0] + scenarios[2] else 0)


if __name__ == '__main__':
    main()
