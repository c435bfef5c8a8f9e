# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the broker at random instants, under clients that note what they were told (tests/fault/mqs)."""
import os
import random
import shutil
import subprocess
import tempfile

import pytest

from lib.mqs import BUILD, free_port


def run(rounds, seconds):
    """SEED=... in the environment repeats the instants of a run."""
    seed = int(os.environ.get('SEED') or random.randrange(1 << 31))
    home, port = tempfile.mkdtemp(prefix='mqs-kill-'), free_port()
    env = {**os.environ, 'APPIA_MQS_PORT': str(port), 'APPIA_MQS_SASL_PORT': '0', 'APPIA_MQS_REBALANCE_DELAY': '0ms'}
    done = subprocess.run([BUILD / 'tests/fault/mqs/mqs_kill', BUILD / 'src/bin/appia-mqs', home, str(port), str(rounds),
                           str(seed)], env=env, capture_output=True, text=True, timeout=seconds, check=False)
    with open(home + '/log', encoding='utf-8') as f:
        log = f.read()
    bad = [line for line in log.splitlines() if 'Sanitizer' in line or 'runtime error' in line]
    assert done.returncode == 0 and not bad, (f'seed {seed}, data in {home}\n{done.stdout}{done.stderr[-6000:]}\n{bad[:5]}'
                                              f'\n{log[-3000:]}')
    shutil.rmtree(home)
    print(done.stdout)


def test_kill_under_load():
    run(25, 100)


@pytest.mark.soak
def test_kill_a_thousand_times():
    run(int(os.environ.get('ROUNDS') or 1000), 4 * 3600)
