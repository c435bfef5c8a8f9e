# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from backend import Backend  # noqa: E402
from harness import ENV, GROUP, Gateway, Published  # noqa: E402


class World:
    """One gateway, its published state and its back ends."""

    def __init__(self, folder, **options):
        self.folder = folder
        self.published = Published(folder)
        self.published.write({'put': 'host', 'name': 'test.example', 'group_id': GROUP},
                             {'put': 'host', 'name': 'debug.example', 'group_id': 'group2', 'debugging': True},
                             {'put': 'default', 'group_id': 'default'},
                             {'put': 'app', 'id': 'app1', 'name': 'App 1', 'key': 'key1', 'secret': 'secret1'},
                             {'put': 'app', 'id': 'app2', 'name': 'App 2', 'key': 'key2', 'secret': 'secret2'},
                             {'put': 'app', 'id': 'app3', 'key': 'key3', 'secret': 'secret3', 'disabled': True},
                             {'put': 'appcode', 'code': 'the-code-of-app-1', 'app_id': 'app1'},
                             {'put': 'appcode', 'code': 'the-code-of-app-2', 'app_id': 'app2'},
                             {'put': 'user', 'id': 'user1'}, {'put': 'user', 'id': 'user2', 'disabled': True},
                             {'put': 'ak', 'access': 'ak1', 'secret': 'aksecret1', 'user_id': 'user1'},
                             {'put': 'ak', 'access': 'ak2', 'secret': 'aksecret2', 'user_id': 'user2'})
        self.backend = Backend()
        self.worker = Backend(socket.AF_UNIX, str(folder / 'worker.sock'))
        self.gateway = Gateway(folder, **options)
        self.call = self.gateway.call

    def api(self, path, group=GROUP, **fields):
        fields.setdefault('address', self.backend.address)
        return self.published.api(group, path=path, **fields)

    def authorise(self, api, app='app1', env_id=ENV):
        self.published.write({'put': 'auth', 'env_id': env_id, 'api_id': api, 'app_id': app})

    def close(self):
        self.gateway.close()
        self.backend.close()
        self.worker.close()
        self.published.close()


@pytest.fixture(scope='session')
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tls')
    cert, key = folder / 'cert.pem', folder / 'key.pem'
    subprocess.run(['openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=back.example',
    '-addext',
    'subjectAltName=DNS:back.example,DNS:localhost',
    '-keyout',
    key,
    '-out',
    cert],
    check=True,
     capture_output=True)
    return cert, key


def check_log(gateway):
    """Whatever was sent, nginx itself must have been well."""
    for line in gateway.log().splitlines():
        if 'worker.sock failed' in line:  # tests take the worker away
            continue
        for bad in ('[alert]', '[emerg]', '[crit]', 'signal 11', 'signal 6', 'open socket'):
            assert bad not in line or 'signal 9' in line, line


@pytest.fixture
def make_world(certificate):
    worlds = []

    def make(**options):
        # Short paths: those of Unix sockets are limited to 107 bytes.
        folder = pathlib.Path(tempfile.mkdtemp(prefix='appia-gw-'))
        options.setdefault('cert', certificate)
        worlds.append(World(folder, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()
        check_log(world.gateway)
        shutil.rmtree(world.folder)


@pytest.fixture(scope='module')
def shared(certificate):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='appia-gw-'))
    made = World(folder, cert=certificate)
    yield made
    made.close()
    check_log(made.gateway)
    shutil.rmtree(folder)
