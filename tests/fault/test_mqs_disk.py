# SPDX-License-Identifier: Apache-2.0
"""A full disk under the broker (tests/fault/mqs/disk.c says what is looked at)."""
import os
import shutil
import subprocess
import tempfile

import pytest

from lib.mqs import BUILD, free_port


@pytest.fixture
def small_disk():
    """A home on a file system of its own; only root can make one."""
    folder = tempfile.mkdtemp(prefix='mqs-disk-')
    done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=24m,mode=700', 'tmpfs', folder], capture_output=True, check=False)
    if done.returncode:
        os.rmdir(folder)
        pytest.skip('a small file system cannot be mounted here')
    yield folder
    subprocess.run(['umount', '-l', folder], check=True)
    shutil.rmtree(folder, ignore_errors=True)


def test_full_disk(small_disk):
    home, port = small_disk + '/home', free_port()
    os.mkdir(home)
    env = {**os.environ, 'APPIA_MQS_PORT': str(port), 'APPIA_MQS_SASL_PORT': '0', 'APPIA_MQS_REBALANCE_DELAY': '0ms'}
    done = subprocess.run([BUILD / 'tests/fault/mqs/mqs_disk', BUILD / 'src/bin/appia-mqs', home, str(port)], env=env,
                          capture_output=True, text=True, timeout=200, check=False)
    with open(home + '/log', encoding='utf-8', errors='replace') as f:
        log = f.read()
    bad = [line for line in log.splitlines() if 'Sanitizer' in line or 'runtime error' in line]
    assert done.returncode == 0 and not bad, f'{done.stdout}{done.stderr[-4000:]}\n{bad[:5]}\n{log[-3000:]}'
