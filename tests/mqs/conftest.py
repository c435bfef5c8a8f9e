# SPDX-License-Identifier: Apache-2.0
import pytest

from lib.mqs import Mqs


@pytest.fixture(scope='module')
def mqs():
    """A broker for each file."""
    broker = Mqs(tls=True, administrators='root,rootapp')
    yield broker
    broker.stop()
    broker.remove()
