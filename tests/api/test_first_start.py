# SPDX-License-Identifier: Apache-2.0
"""What the first start makes, and what later ones find missing."""
import os
import shutil
import stat
import subprocess

import pytest

from lib.appiad import BUILD, Appiad


@pytest.fixture
def stopped(tmp_path):
    """A control plane that has been started once."""
    daemon = Appiad(tmp_path / 'h')
    assert daemon.stop() == 0
    return daemon


def refused(daemon):
    """What a start that fails says."""
    done = subprocess.run([os.path.join(BUILD, 'src/bin/appiad'), '--home', daemon.home], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    return done.stderr


def test_lost_master_key(stopped):
    """A new key would open nothing of what is stored, and hide that the old one is missing."""
    key = stopped.home + '/master.key'
    os.rename(key, key + '.kept')
    assert 'master key' in refused(stopped)
    assert not os.path.exists(key)
    with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), 'wb') as f:
        f.write(os.urandom(32))
    assert 'master key is not the one' in refused(stopped)
    os.chmod(key + '.kept', 0o644)
    os.rename(key + '.kept', key)
    assert '0600' in refused(stopped)
    os.chmod(key, 0o600)
    stopped.start()
    assert stopped.stop() == 0


def test_lost_published_state(stopped):
    shutil.rmtree(stopped.home + '/published')
    stopped.start()
    assert stopped.stop() == 0
    done = subprocess.run([os.path.join(BUILD, 'src/bin/appia'), 'published', 'verify'], capture_output=True, text=True,
                          env=dict(os.environ, APPIA_HOME=stopped.home), timeout=60, check=False)
    assert done.stdout.strip() == '0 differences', done.stderr


def test_rest_of_an_interrupted_start(tmp_path):
    """A crash before the commit left the file of an administrator who was never made."""
    home = tmp_path / 'h'
    home.mkdir()
    left = home / 'credentials.json.new'
    left.write_text('half')
    left.chmod(0o666)
    daemon = Appiad(home)
    assert daemon.credentials['access_key']
    assert stat.S_IMODE(os.stat(home / 'credentials.json').st_mode) == 0o600
    assert not left.exists()
    assert daemon.stop() == 0
