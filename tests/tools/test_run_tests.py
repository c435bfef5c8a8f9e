# SPDX-License-Identifier: Apache-2.0
"""The test runner counts right, and what fails, crashes or does not run at all turns the run red."""
import importlib.util
import os
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = '''
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
static void good(void **state) { (void)state; assert_true(1); }
static void also_good(void **state) { (void)state; assert_true(1); }
static void bad(void **state) { (void)state; WHAT; }
int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(also_good)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
'''


@pytest.fixture
def runner(monkeypatch):
    spec = importlib.util.spec_from_file_location('run_tests', os.path.join(ROOT, 'tools', 'run_tests.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'run_lint', lambda: 1)
    return module


def build(tmp_path, programs):
    """A build directory with one test program for each statement."""
    lines = ["project('t', 'c')", "cmocka = dependency('cmocka')"]
    for name, what in programs.items():
        (tmp_path / f'{name}.c').write_text(PROGRAM.replace('WHAT', what))
        lines.append(f"test('{name}', executable('{name}', '{name}.c', dependencies: cmocka))")
    (tmp_path / 'meson.build').write_text('\n'.join(lines) + '\n')
    out = tmp_path / 'b'
    subprocess.run(['meson', 'setup', str(out), str(tmp_path)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(['ninja', '-C', str(out)], check=True, stdout=subprocess.DEVNULL)
    return str(out)


def test_counts(runner, tmp_path, capsys):
    made = build(tmp_path, {'fine': 'assert_true(1)', 'wrong': 'assert_true(0)'})
    assert runner.run_unit(made) == (5, 1)
    text = capsys.readouterr().out
    assert 'FAILED unit test' in text and 'wrong' in text


def test_all_good(runner, tmp_path):
    assert runner.run_unit(build(tmp_path, {'fine': 'assert_true(1)'})) == (3, 0)


def test_crash(runner, tmp_path):
    passed, failed = runner.run_unit(build(tmp_path, {'crash': 'abort()', 'fine': 'assert_true(1)'}))
    assert failed == 1 and passed >= 3


def test_failure_behind_the_tests(runner, tmp_path):
    """All tests pass and the program still ends badly: a leak, found at the end."""
    assert runner.run_unit(build(tmp_path, {'leak': 'static int n; if (!n++) atexit(abort)'}))[1] == 1


def test_skipped_is_neither(runner):
    assert runner.count_unit({'name': 'x', 'result': 'SKIP', 'stdout': ''}) == (0, 0)
    assert runner.count_unit({'name': 'x', 'result': 'TIMEOUT', 'stdout': ''}) == (0, 1)
    assert runner.count_unit({'name': 'x', 'result': 'OK'}) == (1, 0)


def test_old_log_does_not_count(runner, tmp_path):
    """A build that has no tests, or where meson fails, does not live on the results of an earlier one."""
    made = build(tmp_path, {'fine': 'assert_true(1)'})
    assert runner.run_unit(made) == (3, 0)
    os.unlink(os.path.join(made, 'build.ninja'))
    shutil.rmtree(os.path.join(made, 'meson-private'))
    assert runner.run_unit(made) == (0, 1)


def whole(runner, monkeypatch, unit, scenarios, lint=1):
    monkeypatch.setattr(runner, 'run_lint', lambda: lint)
    monkeypatch.setattr(runner, 'run_unit', lambda build_dir: unit)
    monkeypatch.setattr(runner, 'run_pytest', lambda build_dir, args, store='sqlite': scenarios if store == 'sqlite' else (0, 0, 0))
    monkeypatch.setattr(runner.sys, 'argv', ['run_tests.py', 'b'])
    with pytest.raises(SystemExit) as e:
        runner.main()
    return e.value.code


@pytest.mark.parametrize('unit, scenarios, lint, red', [
    ((5, 0), (3, 0, 0), 1, 0), ((5, 1), (3, 0, 0), 1, 1), ((5, 0), (3, 1, 0), 1, 1), ((5, 0), (3, 0, 0), 0, 1),
    ((0, 0), (3, 0, 0), 1, 1), ((5, 0), (0, 0, 0), 1, 1), ((5, 0), (0, 0, 2), 1, 0)])
def test_verdict(runner, monkeypatch, capsys, unit, scenarios, lint, red):
    assert whole(runner, monkeypatch, unit, scenarios, lint) == red
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last == f'{lint + unit[0] + scenarios[0]} passed, {1 - lint + unit[1] + scenarios[1]} failed'


@pytest.mark.parametrize('text, counts', [
    ('def test_a():\n    pass\n\ndef test_b():\n    pass\n', (2, 0, 0)),
    ('def test_a():\n    print("9 passed")\n    assert 0\n\ndef test_b():\n    pass\n', (1, 1, 0)),
    ('import pytest\n\ndef test_a():\n    pytest.skip("x")\n', (0, 0, 1)),
    ('import no_such_module\n', (0, 1, 0)),
    ('x = 1\n', (0, 1, 0))])
def test_scenarios(runner, tmp_path, text, counts):
    file = tmp_path / 'test_sample.py'
    file.write_text(text)
    (tmp_path / 'pytest.ini').write_text('[pytest]\nmarkers = soak\n')
    assert runner.run_pytest(str(tmp_path), ['-c', str(tmp_path / 'pytest.ini'), str(file)]) == counts


def test_scenario_that_ends_pytest(runner, tmp_path):
    (tmp_path / 'test_sample.py').write_text('import os\n\ndef test_a():\n    os._exit(0)\n')
    (tmp_path / 'pytest.ini').write_text('[pytest]\nmarkers = soak\n')
    passed, failed, _ = runner.run_pytest(str(tmp_path), ['-c', str(tmp_path / 'pytest.ini'), str(tmp_path)])
    assert passed == 0 and failed
