# SPDX-License-Identifier: Apache-2.0
"""The REST interface logs in to Kafka by SCRAM, also with a librdkafka whose SCRAM Apache Kafka refuses since 4.0."""
import pytest

from lib.apic import refused
from lib.kafka import SECURED, allow_scram, start_apache_kafka
from lib.mqs import Mqs
from lib.mqs import app as published_app
from lib.rest import SESSION, Messages


def settings(protocol, mechanism, **more):
    return {'APPIA_MQS_SECURITY_PROTOCOL': protocol, 'APPIA_MQS_SASL_MECHANISM': mechanism, **more}


@pytest.fixture(scope='module')
def apache():
    kafka = start_apache_kafka(config=SECURED)
    allow_scram(kafka, 'SCRAM-SHA-256')
    yield kafka
    kafka.stop()


@pytest.fixture(scope='module')
def broker():
    mqs = Mqs(tls=True, published=[published_app('admin')], administrators='key-admin', rest_session=SESSION)
    yield mqs
    mqs.stop()
    mqs.remove()


def platform(kafka):
    if not isinstance(kafka, Mqs):
        return Messages(kafka.address, settings('sasl_plaintext', 'SCRAM-SHA-256', APPIA_MQS_SASL_USER='admin',
                                                APPIA_MQS_SASL_PASSWORD='admin-secret'))
    return Messages(f'127.0.0.1:{kafka.sasl_port}', settings(
        'sasl_ssl', 'SCRAM-SHA-512', APPIA_MQS_SASL_USER='key-admin', APPIA_MQS_CA_FILE=kafka.ca,
        APPIA_MQS_SASL_PASSWORD='secret-admin'))


def unavailable(owner, topic):
    refused(owner.call('POST', f'/v1/topic/{topic}/messages', {'messages': [{'content': 'x', 'id': '1'}]}), 503, 'APPIA.0503')


def contents(got):
    return sorted(m['message']['content'] for m in got)


@pytest.mark.parametrize('engine', ['apache', 'broker'])
def test_scram(request, engine):
    messages = platform(request.getfixturevalue(engine))
    try:
        owner = messages.app('owner')
        topic = messages.topic(owner, partitions=2)
        assert owner.produce(topic, 'a', 'b', 'c' * 1000000) == ['success'] * 3
        got = owner.take(topic, 3, ack_wait=300)
        assert contents(got) == ['a', 'b', 'c' * 1000000]
        again = next(m for m in got if m['message']['content'] == 'b')
        assert owner.ack(topic, [m for m in got if m is not again]) == {'success': 2, 'fail': 0}
        assert owner.ack(topic, [again], status='fail') == {'success': 1, 'fail': 0}
        got = owner.take(topic, 1)
        assert contents(got) == ['b'] and owner.ack(topic, got) == {'success': 1, 'fail': 0}
        assert owner.nothing(topic)
        assert len(owner.take(topic, 3, group='another')) == 3
    finally:
        messages.stop()


def test_kafka_comes_back(broker):
    """The connections are made anew, with a login each."""
    messages = platform(broker)
    try:
        owner = messages.app('owner')
        topic = messages.topic(owner)
        owner.produce(topic, 'before')
        owner.take(topic, 1, ack_wait=300)
        broker.stop()
        unavailable(owner, topic)
        broker.start()
        assert owner.produce(topic, 'after') == ['success']
        while 'after' not in contents(owner.take(topic, 1)):
            pass
    finally:
        messages.stop()


def test_a_wrong_password(broker):
    messages = platform(broker)
    try:
        owner = messages.app()
        topic = messages.topic(owner)
        for password, said in (('wrong', None), ('secret-admin', ['success'])):
            messages.platform.stop(keep=True)
            messages.platform.extra['APPIA_MQS_SASL_PASSWORD'] = password
            messages.platform.start()
            if said:
                assert owner.produce(topic, 'x') == said
            else:
                unavailable(owner, topic)
    finally:
        messages.stop()
