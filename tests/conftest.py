# SPDX-License-Identifier: Apache-2.0
import os
import uuid

import pytest

from lib.appiad import Appiad


def store_settings():
    """SQLite, or with APPIA_TEST_STORE=postgresql a fresh database on a private server."""
    if os.environ.get('APPIA_TEST_STORE') != 'postgresql':
        return {}
    from lib.databases import postgres
    server, name = postgres(), 't' + uuid.uuid4().hex
    server.sql(f'CREATE DATABASE {name}')
    c = server.content
    return {'APPIA_STORE_URL': f'postgresql://{c["user_name"]}:{c["password"]}@{c["host"]}:{c["port"]}/{name}'}


@pytest.fixture(scope='module')
def appiad(tmp_path_factory):
    """A control plane of its own for each scenario file."""
    # Unix socket paths are short: not below pytest's deep directories.
    daemon = Appiad(tmp_path_factory.mktemp('a'), store_settings())
    yield daemon
    assert daemon.stop() == 0, 'appiad did not end cleanly; see its log'
