# SPDX-License-Identifier: Apache-2.0
"""Chapter 9.1 of the reference on MariaDB, data source type MYSQL."""
import pytest

from lib import databases
from open_business_data import *  # noqa: F401,F403 (the walk and its tests)


@pytest.fixture(scope='module')
def db():
    return databases.mariadb()
