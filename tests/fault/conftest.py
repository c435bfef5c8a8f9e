# SPDX-License-Identifier: Apache-2.0
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(__file__)), 'e2e'))


def pytest_configure(config):
    config.addinivalue_line('markers', 'soak: long versions, run by `make soak`')


@pytest.fixture
def make_platform():
    """Platforms that are stopped, and found clean, at the end of the test."""
    from lib.platform import Platform
    made = []

    def make(**kwargs):
        made.append(Platform(**kwargs))
        return made[-1]
    yield make
    for p in made:
        p.stop()
