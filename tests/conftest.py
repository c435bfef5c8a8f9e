# SPDX-License-Identifier: Apache-2.0
import pytest

from lib.appiad import Appiad, store_settings


@pytest.fixture(scope='module')
def appiad(tmp_path_factory):
    """A control plane of its own for each scenario file."""
    # Unix socket paths are short: not below pytest's deep directories.
    daemon = Appiad(tmp_path_factory.mktemp('a'), store_settings())
    yield daemon
    assert daemon.stop() == 0, 'appiad did not end cleanly; see its log'
