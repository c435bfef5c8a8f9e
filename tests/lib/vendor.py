# SPDX-License-Identifier: Apache-2.0
"""The vendor's own SDKs, from their registries, in a cache outside the tree. A test skips only where a registry does
not answer; a package that is there and does not work is a failure."""
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

CACHE = os.environ.get('APPIA_TEST_CACHE', os.path.join(tempfile.gettempdir(), f'appia-test-cache-{os.getuid()}'))
PYTHON = '/usr/bin/python3' if os.path.exists('/usr/bin/python3') else sys.executable


def _run(*args, seconds=300, **kwargs):
    try:
        return subprocess.run(args, capture_output=True, text=True, timeout=seconds, check=False, **kwargs)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(args, 124, '', f'no answer in {seconds} s: {e}')


class _Lock:
    """Two test processes fill the cache one after the other."""

    def __enter__(self):
        os.makedirs(CACHE, exist_ok=True)
        self.file = open(os.path.join(CACHE, 'lock'), 'w', encoding='utf-8')
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def python_sdk(*packages):
    """Environment in which PYTHON imports the packages."""
    where = os.path.join(CACHE, 'python-' + '-'.join(p.replace('huaweicloudsdk', '') for p in sorted(packages)))
    with _Lock():
        if not os.path.exists(where):
            pip = _pip()
            made = _run(
    *pip,
    'install',
    '-q',
    '--no-input',
    '--retries',
    '0',
    '--timeout',
    '10',
    '--target',
    where + '.new',
     *packages)
            if made.returncode:
                shutil.rmtree(where + '.new', ignore_errors=True)
                probe = _run(*pip, 'download', '-q', '--no-deps', '--retries', '0', '--timeout', '10', '-d',
                             os.path.join(CACHE, 'probe'), packages[0], seconds=60)
                if probe.returncode:
                    pytest.skip('PyPI cannot be reached')
                raise AssertionError(f'{packages}: {made.stderr[-3000:]}')
            os.rename(where + '.new', where)
    return {**os.environ, 'PYTHONPATH': where}


def _pip():
    for python in (PYTHON, sys.executable, shutil.which('python3')):
        if python and _run(python, '-m', 'pip', '--version', seconds=30).returncode == 0:
            return python, '-m', 'pip'
    pytest.skip('pip is not installed: PyPI cannot be reached')
    return None


def node_sdk(*packages):
    """Folder in which node resolves the packages."""
    where = os.path.join(CACHE, 'node-' + '-'.join(p.replace('/', '-').strip('@') for p in packages))
    if not shutil.which('npm') or not shutil.which('node'):
        pytest.skip('npm is not installed: its registry cannot be reached')
    with _Lock():
        if not os.path.exists(where):
            os.makedirs(where + '.new', exist_ok=True)
            made = _run('npm', 'install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts', '--fetch-retries=0',
                        '--fetch-timeout=15000', '--prefix', where + '.new', *packages)
            if made.returncode:
                shutil.rmtree(where + '.new', ignore_errors=True)
                if _run('npm', 'view', '--fetch-retries=0', '--fetch-timeout=15000', packages[0], 'version',
                        seconds=60).returncode:
                    pytest.skip('the npm registry cannot be reached')
                raise AssertionError(f'{packages}: {made.stderr[-3000:]}')
            os.rename(where + '.new', where)
    return where


def run_python(script, *args, packages, seconds=120):
    done = _run(PYTHON, '-', *args, env=python_sdk(*packages), input=script, seconds=seconds)
    assert done.returncode == 0, f'{done.stdout[-3000:]}{done.stderr[-5000:]}'
    return done.stdout


def run_node(script, *args, packages, seconds=120):
    done = _run('node', '-', *args, cwd=node_sdk(*packages), input=script, seconds=seconds)
    assert done.returncode == 0, f'{done.stdout[-3000:]}{done.stderr[-5000:]}'
    return done.stdout
