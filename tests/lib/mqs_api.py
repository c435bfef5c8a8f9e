# SPDX-License-Identifier: Apache-2.0
"""What scenarios of message integration need again and again. Use: from lib.mqs_api import appiad, kafka, owner."""
import subprocess

import pytest

from lib.apic import app, ok
from lib.appiad import Appiad, store_settings
from lib.kafka import start_apache_kafka

MQS = '/v2/{project_id}/mqs/instances/{instance_id}'
TOPICS = MQS + '/topics'


@pytest.fixture(scope='module', params=['apache', 'embedded'])
def kafka(request):
    if request.param == 'apache':
        k = start_apache_kafka()
    else:
        from lib.mqs import Mqs
        k = Mqs()
    k.engine = request.param
    yield k
    k.stop()


def engine(kafka):
    """Settings with which the control plane finds it."""
    if kafka.engine == 'apache':
        return {'APPIA_MQS_ENGINE': 'kafka', 'APPIA_MQS_BOOTSTRAP_SERVERS': kafka.address}
    return {'APPIA_MQS_PORT': str(kafka.port)}


@pytest.fixture(scope='module')
def appiad(tmp_path_factory, kafka):
    daemon = Appiad(tmp_path_factory.mktemp('a'), {**store_settings(), **engine(kafka),
                                                   'APPIA_MQS_MAX_PARTITIONS': '120'})
    yield daemon
    assert daemon.stop() == 0, 'appiad did not end cleanly; see its log'


@pytest.fixture(scope='module')
def owner(appiad):
    return app(appiad, 'owner of topics')


def create(appiad, owner, name, **fields):
    return ok(appiad.call('POST', TOPICS, {'name': name, 'app_id': owner, 'access_policy': 'all', **fields}))


def listed(appiad, **query):
    return ok(appiad.call('GET', TOPICS, query=query))


def delete(appiad, *names):
    return ok(appiad.call('DELETE', TOPICS, query={'name': ','.join(names)}))


def kcat(kafka, *args, data=b'', seconds=60):
    done = subprocess.run(['kcat', '-b', kafka.address, *args], input=data, capture_output=True, timeout=seconds,
                          check=False)
    assert done.returncode == 0, done.stderr.decode(errors='replace')
    return done.stdout


def produce(kafka, topic, partition, lines, *args):
    """lines: 'key:value'."""
    kcat(kafka, '-P', '-t', topic, '-p', str(partition), '-K', ':', *args, data='\n'.join(lines).encode())
