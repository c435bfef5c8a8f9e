# SPDX-License-Identifier: Apache-2.0
"""Which Kafka the whole platform uses: one elsewhere, or its own broker, also where that wants passwords."""
import os
import shutil
import subprocess
import tempfile

from lib.apic import app, ok
from lib.appiad import BUILD
from lib.mqs import Mqs, free_port
from lib.mqs_api import MQS, TOPICS, create, delete
from lib.platform import Platform

BROKER = ('appia-mqs',)


def status(p):
    return subprocess.run([os.path.join(BUILD, 'src/bin/appia'), 'status'], env=p.env, capture_output=True, text=True, timeout=30,
                          check=False).stdout


def test_kafka_elsewhere():
    """The platform starts no broker of its own."""
    kafka = Mqs()
    p = Platform(env={'APPIA_MQS_ENABLED': 'true', 'APPIA_MQS_ENGINE': 'kafka', 'APPIA_MQS_BOOTSTRAP_SERVERS': kafka.address})
    try:
        assert not set(p.children()) & set(BROKER) and not os.path.exists(p.home + '/mqs')
        assert f'{kafka.address} is managed' in p.summary and 'kcat' not in p.summary
        assert f'broker      elsewhere: {kafka.address}' in status(p)
        i = ok(p.call('GET', MQS))
        assert i['status'] == 'RUNNING' and i['kafka_private_connect_address'] == kafka.address
        create(p, app(p, 'owner'), 'elsewhere', partition=1)
        listing = subprocess.run(['kcat', '-L', '-b', kafka.address], capture_output=True, text=True, timeout=30, check=True).stdout
        assert '"elsewhere" with 1 partitions' in listing
        delete(p, 'elsewhere')
    finally:
        p.stop()
        kafka.stop()
        kafka.remove()


def test_own_broker_with_passwords_only():
    """The listener without passwords is closed: an application that the broker knows as an administrator logs in."""
    ports = {'APPIA_MQS_PORT': str(free_port()), 'APPIA_MQS_SASL_PORT': str(free_port()), 'APPIA_MQS_ENABLED': 'true'}
    home = tempfile.mkdtemp(prefix='ap', dir='/tmp')
    p = Platform(env={**ports, 'APPIA_MQS_REST_PORT': '0'}, home=home)
    try:
        app(p, 'manager', key='key-manager', secret='Secret-of-the-manager1')
        assert ok(p.call('GET', MQS))['ssl_enable']
        address = ok(p.call('GET', MQS))['kafka_private_connect_address']
        assert address == '127.0.0.1:' + ports['APPIA_MQS_SASL_PORT']
        p.stop()
        p.extra.update({'APPIA_MQS_PORT': '0', 'APPIA_MQS_ADMINISTRATORS': 'key-manager', 'APPIA_MQS_SASL_USER': 'key-manager',
                        'APPIA_MQS_SASL_PASSWORD': 'Secret-of-the-manager1', 'APPIA_MQS_SASL_MECHANISM': 'SCRAM-SHA-256'})
        p.start()
        assert ok(p.call('GET', MQS))['status'] == 'RUNNING' and 'kcat' not in p.summary
        create(p, app(p, 'owner'), 'by-password', partition=1)
        assert ok(p.call('GET', TOPICS + '/diskusage'))['broker_list'][0]['status'] == 'Success get info'
        delete(p, 'by-password')
    finally:
        p.stop()
        shutil.rmtree(home)
