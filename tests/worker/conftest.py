# SPDX-License-Identifier: Apache-2.0
import socket

import pytest

from lib import databases
from lib.worker import Worker


@pytest.fixture(scope='session')
def worker():
    w = Worker('--max-rows', '5000')
    yield w
    code, text = w.stop()
    assert code == 0 and 'ERROR: ' not in text and 'runtime error' not in text, text


@pytest.fixture
def make_worker():
    made = []

    def make(*options):
        made.append(Worker(*options))
        return made[-1]
    yield make
    for w in made:
        code, text = w.stop()
        assert code == 0 and 'ERROR: ' not in text and 'runtime error' not in text, text


@pytest.fixture(scope='session', params=['postgresql', 'mariadb'])
def db(request):
    return databases.postgres() if request.param == 'postgresql' else databases.mariadb()


@pytest.fixture(scope='session')
def postgres():
    return databases.postgres()


@pytest.fixture(scope='session')
def mariadb():
    return databases.mariadb()


@pytest.fixture
def hung_server():
    """Accepts connections and never says a word."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen(64)
        yield s.getsockname()[1]
