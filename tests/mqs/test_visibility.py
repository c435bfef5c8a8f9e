# SPDX-License-Identifier: Apache-2.0
"""Topics that somebody may not describe are not there for them."""
import json

import pytest

from lib import vendor
from lib.mqs import Mqs


@pytest.fixture(scope='module')
def broker():
    mqs = Mqs(published=[
        {'put': 'app', 'id': 'id-app', 'name': 'app', 'key': 'key-app', 'secret': 'secret', 'project_id': 'p', 'disabled': False},
        {'put': 'raw', 'key': 'topic_right/seen-app/key-app', 'value': json.dumps({
            'pub': False, 'sub': True, 'owner': False, 'pub_tags': [], 'sub_tags': []})}], administrators='root')
    yield mqs
    mqs.stop()
    mqs.remove()


HEAD = '''
import sys, time
from confluent_kafka import *
from confluent_kafka.admin import *
admin = AdminClient({'bootstrap.servers': sys.argv[1]})

def login(name, password='secret'):
    return {'bootstrap.servers': 'localhost:' + sys.argv[2], 'security.protocol': 'SASL_PLAINTEXT', 'log_level': 0,
            'sasl.mechanisms': 'SCRAM-SHA-256', 'sasl.username': name, 'sasl.password': password}

def user(name):
    u = UserScramCredentialUpsertion(name, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096), b'secret')
    next(iter(admin.alter_user_scram_credentials([u]).values())).result(10)

def allow(name, topic, operation=AclOperation.READ, kind=AclPermissionType.ALLOW, host='*', resource=ResourceType.TOPIC):
    rule = AclBinding(resource, topic, ResourcePatternType.LITERAL, 'User:' + name, host, operation, kind)
    for f in admin.create_acls([rule]).values():
        f.result(10)
    return rule

def create(*names):
    for f in admin.create_topics([NewTopic(n, 1, 1) for n in names]).values():
        f.result(10)

def subscriber(who, regex, group):
    c = Consumer({**who, 'group.id': group, 'group.protocol': 'consumer', 'auto.offset.reset': 'earliest'})
    c.subscribe([regex])
    return c

def settles(c, topics, seconds=30):
    end, since = time.time() + seconds, None
    while time.time() < end:
        c.poll(0.1)
        now = sorted(p.topic for p in c.assignment())
        since = since or time.time() if now == sorted(topics) else None
        if since and time.time() - since > 1:
            return
    raise SystemExit(f'{now} instead of {topics}')

def code(future):
    try:
        future.result(10)
    except KafkaException as e:
        return e.args[0].name()
    return 'OK'
'''


def run(broker, script):
    vendor.run_python(HEAD + script, broker.address, str(broker.sasl_plaintext_port), packages=['confluent-kafka'])


def test_regular_expressions(broker):
    run(broker, '''
create('seen-1', 'seen-2', 'seen-app', 'other')
user('ann'); user('root')
allow('ann', 'seen-1'); allow('ann', 'ann', resource=ResourceType.GROUP)
ann = subscriber(login('ann'), '^seen-.*', 'ann')
app = subscriber(login('key-app'), '^seen-.*', 'app')
root = subscriber(login('root'), '^seen-.*', 'root')
nobody = subscriber({'bootstrap.servers': sys.argv[1]}, '^seen-.*', 'nobody')
settles(ann, ['seen-1'])
settles(app, ['seen-app'])
settles(root, ['seen-1', 'seen-2', 'seen-app'])
settles(nobody, ['seen-1', 'seen-2', 'seen-app'])
# A rule makes a topic appear, another one makes it go.
allow('ann', 'seen-2')
settles(ann, ['seen-1', 'seen-2'])
allow('ann', 'seen-1', AclOperation.DESCRIBE, AclPermissionType.DENY)
settles(ann, ['seen-2'])
for c in (ann, app, root, nobody):
    c.close()
''')


def test_names_and_numbers(broker):
    run(broker, '''
user('bob')
allow('bob', 'seen-1', AclOperation.DESCRIBE)
bob = AdminClient(login('bob'))
assert list(bob.list_topics(timeout=10).topics) == ['seen-1']
def answers(name):
    offsets = bob.list_offsets({TopicPartition(name, 0): OffsetSpec.latest()})
    return [bob.list_topics(name, timeout=10).topics[name].error.name(), code(bob.delete_topics([name])[name]),
            code(next(iter(offsets.values()))), code(bob.describe_topics(TopicCollection([name]))[name])]
assert answers('seen-2') == answers('missing') and 'OK' not in answers('missing'), answers('seen-2')
assert answers('missing')[:2] == ['TOPIC_AUTHORIZATION_FAILED'] * 2
# A group is no way to learn of topics either.
allow('bob', 'root', AclOperation.DESCRIBE, resource=ResourceType.GROUP)
root = subscriber(login('root'), '^seen-2$', 'root')
settles(root, ['seen-2'])
assert code(bob.describe_consumer_groups(['root'])['root']) == 'TOPIC_AUTHORIZATION_FAILED'
allow('bob', 'seen-2', AclOperation.DESCRIBE)
assert code(bob.describe_consumer_groups(['root'])['root']) == 'OK'
root.close()
''')
