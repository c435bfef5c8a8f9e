# SPDX-License-Identifier: Apache-2.0
import pytest

from lib.platform import Platform

pytest.register_assert_rewrite('open_business_data')


@pytest.fixture(scope='module')
def platform():
    """A whole platform of its own for each scenario file."""
    p = Platform()
    yield p
    p.stop()
