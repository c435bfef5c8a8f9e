# SPDX-License-Identifier: Apache-2.0
"""kafka-python: a client that shares no code with librdkafka."""
import pytest

from lib import vendor

HEAD = '''
import sys, time
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (ACL, ACLOperation, ACLPermissionType, KafkaAdminClient, NewPartitions, NewTopic, ResourcePattern,
                         ResourceType)
from kafka import errors
from kafka.structs import OffsetAndMetadata
B = sys.argv[1]

def create(name, partitions=1, **config):
    admin = KafkaAdminClient(bootstrap_servers=B)
    admin.create_topics([NewTopic(name, partitions, 1, topic_configs={k.replace('_', '.'): v for k, v in config.items()})])
    return admin

def member(group, topic, **more):
    c = KafkaConsumer(bootstrap_servers=more.pop('bootstrap_servers', B), group_id=group, auto_offset_reset='earliest',
                      session_timeout_ms=6000, heartbeat_interval_ms=200, fetch_max_wait_ms=100, **more)
    c.subscribe([topic])
    # A leader that learns of partitions while it joins has to join again, and kafka-python 3.0.12 forgets what it is
    # assigned then when a poll ends before: it takes itself for a member that has nothing to do.
    assert c.partitions_for_topic(topic)
    c.got = []
    return c

def until(fine, *members):
    end = time.time() + 30
    while True:
        for c in members:
            for records in c.poll(50).values():
                c.got += [r.value for r in records]
        if fine():
            return
        assert time.time() < end, [(sorted(c.assignment()), len(c.got)) for c in members]

def produce(topic, values, **more):
    p = KafkaProducer(bootstrap_servers=more.pop('bootstrap_servers', B), **more)
    sent = [p.send(topic, key=v, value=v) for v in values]
    p.flush(20)
    p.close()
    return [f.get(5) for f in sent]

def refused(error, fn, *args, **kwargs):
    try:
        fn(*args, **kwargs)
    except error:
        return
    raise SystemExit('not refused with %s' % error)
'''

PACKAGES = ['kafka-python', 'python-snappy', 'lz4', 'zstandard']


def run(mqs, script, *args):
    return vendor.run_python(HEAD + script, mqs.address, *args, packages=PACKAGES)


def test_produce_and_consume(mqs):
    run(mqs, '''
p = KafkaProducer(bootstrap_servers=B, acks='all', compression_type='gzip')
for i in range(500):
    p.send('py', key=str(i).encode(), value=b'v%d' % i, headers=[('h', b'x')], partition=0)
p.flush(20)
c = KafkaConsumer('py', bootstrap_servers=B, group_id='py', auto_offset_reset='earliest', consumer_timeout_ms=8000)
got = []
for m in c:
    got.append((m.offset, m.value, m.headers))
    if len(got) == 500:
        break
assert [g[0] for g in got] == list(range(500)) and got[7][1] == b'v7' and list(got[7][2]) == [('h', b'x')]
c.commit()
c.close()
c = KafkaConsumer(bootstrap_servers=B, group_id='py')
assert c.committed(TopicPartition('py', 0)) == 500
assert c.beginning_offsets([TopicPartition('py', 0)]) == {TopicPartition('py', 0): 0}
assert c.end_offsets([TopicPartition('py', 0)]) == {TopicPartition('py', 0): 500}
c.close()
''')


def test_a_fetch_inside_of_a_batch_gets_the_whole_batch(mqs):
    run(mqs, '''
p = KafkaProducer(bootstrap_servers=B, linger_ms=200)
for i in range(10):
    p.send('mid', value=b'%d' % i, partition=0)
p.flush(10)
c = KafkaConsumer(bootstrap_servers=B, consumer_timeout_ms=8000)
c.assign([TopicPartition('mid', 0)])
c.seek(TopicPartition('mid', 0), 6)
assert [next(c).value for _ in range(4)] == [b'6', b'7', b'8', b'9']
c.close()
''')


@pytest.mark.parametrize('codec', ['gzip', 'snappy', 'lz4', 'zstd'])
def test_compression(mqs, codec):
    run(mqs, '''
codec = sys.argv[2]
create('py-' + codec)
values = [b'%d %s' % (i, b'x' * i) for i in range(300)]
produce('py-' + codec, values, compression_type=codec, linger_ms=50)
c = member(None, 'py-' + codec)
until(lambda: len(c.got) == 300, c)
assert c.got == values
c.close()
''', codec)


@pytest.mark.parametrize('assignor', ['range', 'roundrobin', 'sticky', 'cooperative_sticky'])
def test_members_share_the_partitions(mqs, assignor):
    run(mqs, '''
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
assignor = {'range': RangePartitionAssignor, 'roundrobin': RoundRobinPartitionAssignor, 'sticky': StickyPartitionAssignor,
            'cooperative_sticky': CooperativeStickyAssignor}[sys.argv[2]]
name = 'py-share-' + sys.argv[2]
create(name, 4)
settings = {'partition_assignment_strategy': [assignor]}
a = member(name, name, **settings)
until(lambda: len(a.assignment()) == 4, a)
b = member(name, name, **settings)
until(lambda: len(a.assignment()) == 2 and len(b.assignment()) == 2, a, b)
assert not a.assignment() & b.assignment()
produce(name, [b'%d' % i for i in range(100)])
until(lambda: len(a.got) + len(b.got) >= 100, a, b)
b.close()
until(lambda: len(a.assignment()) == 4, a)
produce(name, [b'%d' % i for i in range(100, 200)])
until(lambda: len(a.got) + len(b.got) >= 200, a)
assert sorted(map(int, a.got + b.got)) == list(range(200))
a.close()
''', assignor)


def test_a_static_member_comes_back(mqs):
    run(mqs, '''
admin = create('py-static', 4)
one, two = (member('py-static', 'py-static', group_instance_id=i) for i in ('one', 'two'))
until(lambda: len(one.assignment()) == 2 and len(two.assignment()) == 2, one, two)
had, generation = two.assignment(), two.group_metadata().generation_id
two.close()
back = member('py-static', 'py-static', group_instance_id='two')
until(lambda: len(back.assignment()) == 2, one, back)
assert back.assignment() == had and back.group_metadata().generation_id == generation
members = admin.describe_groups(['py-static'])['py-static']['members']
assert sorted(m['group_instance_id'] for m in members) == ['one', 'two'], members
one.close()
back.close()
''')


def test_transactions(mqs):
    run(mqs, '''
admin = create('py-txn')
create('py-in')
p = KafkaProducer(bootstrap_servers=B, transactional_id='py')
p.init_transactions()
for n in range(6):
    p.begin_transaction()
    for i in range(3):
        p.send('py-txn', b'%d-%d' % (n, i))
    p.flush(10)
    p.send_offsets_to_transaction({TopicPartition('py-in', 0): OffsetAndMetadata(n, '', -1)}, 'py-txn-group')
    (p.abort_transaction if n % 2 else p.commit_transaction)()
committed, everything = member('py-c', 'py-txn', isolation_level='read_committed'), member('py-e', 'py-txn')
until(lambda: len(committed.got) >= 9 and len(everything.got) >= 18, committed, everything)
assert committed.got == [b'%d-%d' % (n, i) for n in (0, 2, 4) for i in range(3)] and len(everything.got) == 18
assert list(admin.list_group_offsets('py-txn-group').values())[0][TopicPartition('py-in', 0)].offset == 4
fencing = KafkaProducer(bootstrap_servers=B, transactional_id='py')
fencing.init_transactions()
def go_on():
    p.begin_transaction()
    p.send('py-txn', b'late').get(10)
    p.commit_transaction()
refused(errors.KafkaError, go_on)
for c in (committed, everything):
    c.close()
''')


def test_the_last_value_of_a_key_stays(mqs):
    run(mqs, '''
create('py-compact', cleanup_policy='compact', segment_ms='50', min_cleanable_dirty_ratio='0.01', delete_retention_ms='0')
refused(errors.KafkaError, KafkaProducer(bootstrap_servers=B).send('py-compact', b'no key').get, 10)
p = KafkaProducer(bootstrap_servers=B)
for n in range(3):
    for i in range(50):
        p.send('py-compact', key=b'k%d' % i, value=b'%d' % n)
p.send('py-compact', key=b'k7', value=None)
p.flush(10)
end, state, c = time.time() + 30, [], KafkaConsumer(bootstrap_servers=B, fetch_max_wait_ms=100)
tp = TopicPartition('py-compact', 0)
c.assign([tp])
while len(state) != 49:
    assert time.time() < end, len(state)
    # Only records behind the last segment are compacted.
    last = p.send('py-compact', key=b'roll', value=b'x').get(10).offset
    c.seek_to_beginning(tp)
    state = []
    while c.position(tp) <= last:
        state += [r for records in c.poll(100).values() for r in records if r.key != b'roll']
assert all(r.value == b'2' and r.key != b'k7' for r in state)
''')


def test_administration(mqs):
    run(mqs, '''
admin = create('py-adm', 2)
refused(errors.TopicAlreadyExistsError, create, 'py-adm')
assert 'py-adm' in admin.list_topics()
admin.create_partitions({'py-adm': NewPartitions(4)})
assert len(admin.describe_topics(['py-adm'])[0]['partitions']) == 4
produce('py-adm', [b'%d' % i for i in range(100)])
c = member('py-adm', 'py-adm')
until(lambda: len(c.got) == 100, c)
assert admin.describe_groups(['py-adm'])['py-adm']['group_state'] == 'Stable'
c.close()
assert sum(o.offset for o in admin.list_group_offsets('py-adm')['py-adm'].values()) == 100
tp = TopicPartition('py-adm', 0)
admin.alter_group_offsets('py-adm', {tp: OffsetAndMetadata(1, 'note', -1)})
assert admin.list_group_offsets('py-adm')['py-adm'][tp][:2] == (1, 'note')
admin.delete_group_offsets('py-adm', [tp])
assert tp not in admin.list_group_offsets('py-adm')['py-adm']
assert 'py-adm' in [g['group_id'] for g in admin.list_groups()]
admin.delete_groups(['py-adm'])
assert 'py-adm' not in [g['group_id'] for g in admin.list_groups()]
assert admin.delete_records({tp: 3})[tp]['low_watermark'] == 3
assert admin.describe_cluster()['controller_id'] == 1
assert admin.describe_metadata_quorum()['topics'][0]['partitions'][0]['leader_id'] == 1
assert admin.describe_features()
assert admin.describe_log_dirs()
assert admin.list_partition_reassignments() == {}
admin.delete_topics(['py-adm'])
''')


@pytest.mark.parametrize('protocol', ['SASL_PLAINTEXT', 'SASL_SSL'])
@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
def test_sasl(mqs, mechanism, protocol):
    run(mqs, '''
mechanism, protocol, port, ca = sys.argv[2:]
who = dict(bootstrap_servers='localhost:' + port, security_protocol=protocol, ssl_cafile=ca, sasl_mechanism=mechanism,
           sasl_plain_username='key-root', sasl_plain_password='secret-root')
topic = 'py-%s-%s' % (mechanism, protocol)
KafkaAdminClient(**who).create_topics([NewTopic(topic, 1, 1)])
produce(topic, [b'a', b'b'], **who)
c = member(topic, topic, **who)
until(lambda: len(c.got) == 2, c)
c.close()
for wrong in ({'sasl_plain_password': 'wrong'}, {'sasl_plain_username': 'nobody'}):
    refused(errors.KafkaError, KafkaAdminClient, **{**who, **wrong}, bootstrap_timeout_ms=1000)
''', mechanism, protocol, str(mqs.sasl_port if protocol == 'SASL_SSL' else mqs.sasl_plaintext_port), mqs.ca)


def test_denials(mqs):
    run(mqs, '''
who = dict(bootstrap_servers='localhost:' + sys.argv[2], security_protocol='SASL_PLAINTEXT', sasl_mechanism='PLAIN',
           sasl_plain_username='key-low', sasl_plain_password='secret-low')
admin, low = create('py-denied'), KafkaAdminClient(**who)
produce('py-denied', [b'a'])
refused(errors.TopicAuthorizationFailedError, produce, 'py-denied', [b'x'], **who)
def read():
    c = KafkaConsumer(fetch_max_wait_ms=100, **who)
    c.assign([TopicPartition('py-denied', 0)])
    c.seek(TopicPartition('py-denied', 0), 0)
    c.got = []
    # This client waits in silence for a leader of what it may not read.
    until(lambda: c.got or 'py-denied' in c._manager.cluster.unauthorized_topics, c)
    c.close()
    return c.got
assert read() == []
refused(errors.TopicAuthorizationFailedError, low.create_topics, [NewTopic('py-mine', 1, 1)])
assert 'py-denied' not in low.list_topics()
acl = ACL('User:key-low', '*', ACLOperation.READ, ACLPermissionType.ALLOW, ResourcePattern(ResourceType.TOPIC, 'py-denied'))
assert len(low.create_acls([acl])['failed']) == 1
admin.create_acls([acl])
assert read() == [b'a']
refused(errors.TopicAuthorizationFailedError, produce, 'py-denied', [b'x'], **who)
admin.delete_acls([acl])
assert read() == []
''', str(mqs.sasl_plaintext_port))


def test_quotas_slow_down(mqs):
    mqs.quota(client='py-slow', producer_byte_rate=200000, consumer_byte_rate=200000)
    run(mqs, '''
create('py-quota')
begun = time.time()
p = KafkaProducer(bootstrap_servers=B, client_id='py-slow')
for i in range(60):
    p.send('py-quota', b'x' * 10000).get(30)
assert time.time() - begun > 1.5, time.time() - begun
begun = time.time()
c = member('py-quota', 'py-quota', client_id='py-slow', max_partition_fetch_bytes=20000)
until(lambda: len(c.got) == 60, c)
assert time.time() - begun > 1.5, time.time() - begun
c.close()
''')
