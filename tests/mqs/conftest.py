# SPDX-License-Identifier: Apache-2.0
import pytest

from lib.kafka import Java
from lib.mqs import Mqs, app


@pytest.fixture(scope='module')
def mqs():
    """A broker for each file. Users: the applications key-root, an administrator, and key-low, without rights."""
    broker = Mqs(tls=True, administrators='root,rootapp,key-root', published=[app('root'), app('low')])
    yield broker
    broker.stop()
    broker.remove()


@pytest.fixture(scope='module')
def java():
    jvm = Java()
    yield jvm
    jvm.stop()
