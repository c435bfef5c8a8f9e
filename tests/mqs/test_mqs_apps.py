# SPDX-License-Identifier: Apache-2.0
"""Applications log in with their key and secret, and may what the published state says."""
import pytest

from lib import vendor
from lib.mqs import Mqs


@pytest.fixture(scope='module')
def broker():
    apps = [{'put': 'app', 'id': f'id-{n}', 'name': n, 'key': f'key-{n}', 'secret': f'secret-{n}', 'project_id': 'p',
             'disabled': n == 'off'} for n in ('pub', 'sub', 'off')]
    rights = [{'put': 'raw', 'key': f'topic_right/orders/key-{n}',
               'value': '{"pub":%s,"sub":%s,"owner":false,"pub_tags":[],"sub_tags":[]}' % (
                   str(n == 'pub').lower(), str(n == 'sub').lower())} for n in ('pub', 'sub')]
    mqs = Mqs(published=apps + rights)
    yield mqs
    mqs.stop()
    mqs.remove()


SCRIPT = '''
import sys, time
from confluent_kafka import *
from confluent_kafka.admin import *
admin = AdminClient({'bootstrap.servers': sys.argv[1]})
for t in ('orders', 'secret'):
    admin.create_topics([NewTopic(t, 1, 1)])[t].result(10)

def login(app, mechanism, password=None):
    return {'bootstrap.servers': 'localhost:' + sys.argv[2], 'security.protocol': 'SASL_PLAINTEXT',
            'sasl.mechanisms': mechanism, 'sasl.username': 'key-' + app, 'sasl.password': password or 'secret-' + app,
            'log_level': 0}

def produce(topic, **who):
    p, got = Producer({**who, 'message.timeout.ms': 3000}), []
    p.produce(topic, value='x', on_delivery=lambda e, m: got.append(e.name() if e else 'OK'))
    p.flush(10)
    return got[0]

def consume(topic, **who):
    c = Consumer({**who, 'group.id': 'g-' + topic, 'auto.offset.reset': 'earliest'})
    c.subscribe([topic])
    end = time.time() + 10
    while time.time() < end:
        m = c.poll(0.1)
        if m is not None:
            c.close()
            return m.error().name() if m.error() else 'OK'

for mechanism in ('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'):
    pub, sub = login('pub', mechanism), login('sub', mechanism)
    assert produce('orders', **pub) == 'OK'
    assert produce('orders', **sub) == 'TOPIC_AUTHORIZATION_FAILED'
    assert produce('secret', **pub) == 'TOPIC_AUTHORIZATION_FAILED'
    assert consume('orders', **sub) == 'OK'
    assert consume('orders', **pub) == 'TOPIC_AUTHORIZATION_FAILED'
    assert consume('secret', **sub) == 'TOPIC_AUTHORIZATION_FAILED'
    names = AdminClient(sub).list_topics(timeout=10).topics
    assert list(names) == ['orders'], names
    for who in (login('off', mechanism), login('pub', mechanism, 'wrong')):
        try:
            AdminClient(who).list_topics(timeout=1)
            raise SystemExit('logged in')
        except KafkaException:
            pass
'''


def test_apps(broker):
    vendor.run_python(SCRIPT, broker.address, str(broker.sasl_plaintext_port), packages=['confluent-kafka'])
