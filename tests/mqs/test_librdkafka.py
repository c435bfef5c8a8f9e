# SPDX-License-Identifier: Apache-2.0
"""The newest librdkafka that PyPI ships: groups of both protocols, transactions, administration, security."""

import pytest

from lib import vendor

PACKAGES = ['confluent-kafka']
HEAD = '''
import sys, time
from confluent_kafka import *
from confluent_kafka.admin import *
B = {'bootstrap.servers': sys.argv[1], 'topic.metadata.refresh.interval.ms': 200}
# Without the refresh: it makes topics anew that a test has just deleted, where clients may make topics.
admin = AdminClient({**B, 'topic.metadata.refresh.interval.ms': -1})

def create(name, partitions=1, **config):
    admin.create_topics([NewTopic(name, partitions, 1, config={k.replace('_', '.'): v for k, v in config.items()})]
                        )[name].result(10)

def read(n, topic, group, seconds=20, **settings):
    c = Consumer({**B, 'group.id': group, 'auto.offset.reset': 'earliest', **settings})
    c.subscribe([topic])
    got, end = [], time.time() + seconds
    while len(got) < n and time.time() < end:
        m = c.poll(0.1)
        if m is not None and m.error() is None:
            got.append(m)
    if got:
        c.commit(asynchronous=False)
    c.close()
    return got

def write(topic, values, **settings):
    p = Producer({**B, 'linger.ms': 5, **settings})
    bad = []
    for v in values:
        p.produce(topic, key=v, value=v, on_delivery=lambda e, m: bad.append(e) if e else None)
    assert p.flush(20) == 0
    return bad

def code(fn, *args):
    try:
        fn(*args)
    except KafkaException as e:
        return e.args[0].name()
    return 'OK'
'''


def run(mqs, script, *args):
    return vendor.run_python(HEAD + script, mqs.address, *args, packages=PACKAGES)


@pytest.mark.parametrize('protocol', ['classic', 'consumer'])
def test_group_shares_the_partitions(mqs, protocol):
    run(mqs, '''
protocol = sys.argv[2]
create('share-' + protocol, 4)
settings = {**B, 'group.id': 'share-' + protocol, 'auto.offset.reset': 'earliest',
            **({'group.protocol': protocol} if protocol == 'consumer' else {})}
a, b = Consumer(settings), Consumer(settings)
a.subscribe(['share-' + protocol])
end = time.time() + 20
while len(a.assignment()) != 4 and time.time() < end:
    a.poll(0.05)
assert len(a.assignment()) == 4
b.subscribe(['share-' + protocol])
end = time.time() + 30
while not (len(a.assignment()) == 2 and len(b.assignment()) == 2) and time.time() < end:
    a.poll(0.05)
    b.poll(0.05)
assert len(a.assignment()) == 2 and len(b.assignment()) == 2
assert not set(p.partition for p in a.assignment()) & set(p.partition for p in b.assignment())
b.close()
end = time.time() + 30
while len(a.assignment()) != 4 and time.time() < end:
    a.poll(0.05)
assert len(a.assignment()) == 4
a.close()
''', protocol)


@pytest.mark.parametrize('codec', ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
def test_compression(mqs, codec):
    run(mqs, '''
codec = sys.argv[2]
create('rd-' + codec)
values = [('%d ' % i) + 'x' * i for i in range(300)]
assert write('rd-' + codec, values, **{'compression.codec': codec}) == []
assert [m.value().decode() for m in read(300, 'rd-' + codec, 'rd-' + codec)] == values
''', codec)


def test_a_cooperative_rebalance_takes_only_what_moves(mqs):
    run(mqs, '''
create('coop', 4)
settings = {**B, 'group.id': 'coop', 'partition.assignment.strategy': 'cooperative-sticky', 'session.timeout.ms': 6000,
            'heartbeat.interval.ms': 200}
a, b, lost = Consumer(settings), Consumer(settings), []
a.subscribe(['coop'], on_revoke=lambda c, parts: lost.extend(p.partition for p in parts))
end = time.time() + 30
while len(a.assignment()) != 4 and time.time() < end:
    a.poll(0.05)
b.subscribe(['coop'])
while not (len(a.assignment()) == 2 and len(b.assignment()) == 2) and time.time() < end:
    a.poll(0.05)
    b.poll(0.05)
assert sorted(lost) == sorted(p.partition for p in b.assignment()), lost
b.close()
while len(a.assignment()) != 4 and time.time() < end:
    a.poll(0.05)
assert len(a.assignment()) == 4 and len(lost) == 2
a.close()
''')


@pytest.mark.parametrize('protocol', ['classic', 'consumer'])
def test_a_static_member_comes_back(mqs, protocol):
    run(mqs, '''
protocol = sys.argv[2]
topic = 'static-' + protocol
create(topic, 4)
lost = []
def member(name, **more):
    c = Consumer({**B, 'group.id': topic, 'group.instance.id': name,
                  **({'session.timeout.ms': 30000, 'heartbeat.interval.ms': 200} if protocol == 'classic' else
                     {'group.protocol': protocol})})
    c.subscribe([topic], **more)
    return c
one, two = member('one', on_revoke=lambda c, parts: lost.extend(parts)), member('two')
def both(a, b):
    end = time.time() + 30
    while not (len(a.assignment()) == 2 and len(b.assignment()) == 2):
        a.poll(0.05)
        b.poll(0.05)
        assert time.time() < end
both(one, two)
had = sorted(p.partition for p in two.assignment())
del lost[:]
two.close()
back = member('two')
both(one, back)
assert sorted(p.partition for p in back.assignment()) == had and lost == []
if hasattr(admin, 'describe_consumer_groups'):
    members = next(iter(admin.describe_consumer_groups([topic]).values())).result(10).members
    assert sorted(m.group_instance_id for m in members) == ['one', 'two']
one.close()
back.close()
''', protocol)


def test_the_last_value_of_a_key_stays(mqs):
    run(mqs, '''
create('rd-compact', cleanup_policy='compact', segment_ms='50', min_cleanable_dirty_ratio='0.01', delete_retention_ms='0')
p = Producer(B)
for n in range(3):
    for i in range(50):
        p.produce('rd-compact', key=f'k{i}', value=str(n))
p.produce('rd-compact', key='k7', value=None)
p.flush(10)
end, state = time.time() + 30, []
while len(state) != 49:
    assert time.time() < end, len(state)
    # Only records behind the last segment are compacted.
    p.produce('rd-compact', key='roll', value='x')
    p.flush(10)
    c = Consumer({**B, 'group.id': 'rd-compact', 'auto.offset.reset': 'earliest', 'enable.partition.eof': True})
    c.assign([TopicPartition('rd-compact', 0, 0)])
    state = []
    while (m := c.poll(10)) is not None and m.error() is None:
        if m.key() != b'roll':
            state.append(m)
    c.close()
assert all(m.value() == b'2' and m.key() != b'k7' for m in state)
''')


def test_quotas_slow_down(mqs):
    mqs.quota(client='rd-slow', producer_byte_rate=200000, consumer_byte_rate=200000)
    run(mqs, '''
create('rd-quota')
told, slow = [], {'client.id': 'rd-slow', 'throttle_cb': lambda e: told.append(e.throttle_time)}
begun, p = time.time(), Producer({**B, **slow, 'linger.ms': 0})
for i in range(60):
    p.produce('rd-quota', value='x' * 10000)
    p.flush(30)
assert told and time.time() - begun > 1.5, (told, time.time() - begun)
begun = time.time()
del told[:]
assert len(read(60, 'rd-quota', 'rd-quota', **slow, **{'fetch.message.max.bytes': 20000})) == 60
assert told and time.time() - begun > 1.5, (told, time.time() - begun)
''')


def test_aborted_records_are_not_seen(mqs):
    run(mqs, '''
create('txn')
p = Producer({**B, 'transactional.id': 't'})
p.init_transactions(10)
for n in range(6):
    p.begin_transaction()
    for i in range(3):
        p.produce('txn', value=f'{n}-{i}')
    p.flush(10)
    (p.abort_transaction if n % 2 else p.commit_transaction)(10)
want = [f'{n}-{i}'.encode() for n in (0, 2, 4) for i in range(3)]
assert [m.value() for m in read(9, 'txn', 'committed')] == want
assert len(read(18, 'txn', 'all', **{'isolation.level': 'read_uncommitted'})) == 18
''')


def test_offsets_in_a_transaction(mqs):
    run(mqs, '''
create('eos-in'); create('eos-out')
write('eos-in', ['a', 'b', 'c'])
c = Consumer({**B, 'group.id': 'eos', 'auto.offset.reset': 'earliest', 'enable.auto.commit': False})
c.subscribe(['eos-in'])
n, end = 0, time.time() + 20
while n < 3 and time.time() < end:
    n += c.poll(0.1) is not None
p = Producer({**B, 'transactional.id': 'eos'})
p.init_transactions(10)
at = lambda: c.committed([TopicPartition('eos-in', 0)], timeout=10)[0].offset
p.begin_transaction()
p.produce('eos-out', value='x')
p.send_offsets_to_transaction(c.position(c.assignment()), c.consumer_group_metadata(), 10)
p.abort_transaction(10)
assert at() < 0
p.begin_transaction()
p.produce('eos-out', value='y')
p.send_offsets_to_transaction(c.position(c.assignment()), c.consumer_group_metadata(), 10)
p.commit_transaction(10)
assert at() == 3
assert [m.value() for m in read(1, 'eos-out', 'out')] == [b'y']
c.close()
''')


def test_a_new_instance_fences_the_old_one(mqs):
    run(mqs, '''
create('fence')
a, b = (Producer({**B, 'transactional.id': 'fence'}) for _ in range(2))
a.init_transactions(10)
a.begin_transaction()
a.produce('fence', value='a')
a.flush(10)
b.init_transactions(20)
assert code(a.commit_transaction, 10) in ('_FENCED', 'PRODUCER_FENCED', 'INVALID_PRODUCER_EPOCH')
b.begin_transaction()
b.produce('fence', value='b')
b.commit_transaction(10)
assert [m.value() for m in read(1, 'fence', 'fence')] == [b'b']
''')


def test_transaction_timeout_above_the_maximum(mqs):
    run(mqs, '''
p = Producer({**B, 'transactional.id': 'long', 'transaction.timeout.ms': 2000000})
assert code(p.init_transactions, 5) == 'INVALID_TRANSACTION_TIMEOUT'
''')


def test_records_without_key_on_a_compacted_topic(mqs):
    run(mqs, '''
create('compact', cleanup_policy='compact')
p, got = Producer(B), []
p.produce('compact', value='x', on_delivery=lambda e, m: got.append(e))
p.flush(10)
assert got[0].name() == 'INVALID_RECORD', got
''')


def test_max_message_bytes(mqs):
    run(mqs, '''
create('small', max_message_bytes='1000')
p, got = Producer(B), []
p.produce('small', value='x' * 5000, on_delivery=lambda e, m: got.append(e))
p.flush(10)
assert got[0].name() == 'MSG_SIZE_TOO_LARGE', got
''')


def test_administration(mqs):
    run(mqs, '''
one = lambda d: next(iter(d.values())).result(10)
create('adm', 2)
assert code(create, 'adm') == 'TOPIC_ALREADY_EXISTS'
assert code(create, 'no/name') == 'TOPIC_EXCEPTION'
write('adm', [str(i) for i in range(100)])
assert len(read(100, 'adm', 'adm')) == 100
r = lambda **kw: ConfigResource('topic', 'adm', **kw)
entry = lambda v, op: ConfigEntry('retention.ms', v, incremental_operation=op)
one(admin.incremental_alter_configs([r(incremental_configs=[entry('5000', AlterConfigOpType.SET)])]))
v = one(admin.describe_configs([r()]))['retention.ms']
assert (v.value, v.is_default) == ('5000', False)
one(admin.incremental_alter_configs([r(incremental_configs=[entry(None, AlterConfigOpType.DELETE)])]))
assert one(admin.describe_configs([r()]))['retention.ms'].value == '259200000'
bad = r(incremental_configs=[entry('x', AlterConfigOpType.SET)])
assert code(lambda: one(admin.incremental_alter_configs([bad]))) == 'INVALID_CONFIG'
end = one(admin.list_offsets({TopicPartition('adm', 0): OffsetSpec.latest()})).offset
assert one(admin.delete_records([TopicPartition('adm', 0, end)])).low_watermark == end
assert one(admin.list_offsets({TopicPartition('adm', 0): OffsetSpec.earliest()})).offset == end
one(admin.create_partitions([NewPartitions('adm', 5)]))
assert len(admin.list_topics('adm', 10).topics['adm'].partitions) == 5
assert code(lambda: one(admin.create_partitions([NewPartitions('adm', 5)]))) == 'INVALID_PARTITIONS'
assert one(admin.describe_consumer_groups(['adm'])).state.name == 'EMPTY'
assert 'adm' in [g.group_id for g in admin.list_consumer_groups().result(10).valid]
one(admin.delete_consumer_groups(['adm']))
assert 'adm' not in [g.group_id for g in admin.list_consumer_groups().result(10).valid]
old = one(admin.describe_topics(TopicCollection(['adm']))).topic_id
one(admin.delete_topics(['adm']))
create('adm')
assert str(one(admin.describe_topics(TopicCollection(['adm']))).topic_id) != str(old)
assert read(1, 'adm', 'again', 2) == []
assert admin.describe_cluster().result(10).controller.id == 1
''')


USERS = '''
def user(name, password, mechanism=ScramMechanism.SCRAM_SHA_256):
    u = UserScramCredentialUpsertion(name, ScramCredentialInfo(mechanism, 4096), password.encode())
    next(iter(admin.alter_user_scram_credentials([u]).values())).result(10)

def login(name, password, mechanism, protocol='SASL_SSL'):
    port = sys.argv[2] if protocol == 'SASL_SSL' else sys.argv[4]
    return {'bootstrap.servers': 'localhost:' + port, 'security.protocol': protocol, 'sasl.mechanisms': mechanism,
            'sasl.username': name, 'sasl.password': password, 'ssl.ca.location': sys.argv[3], 'log_level': 0,
            'ssl.endpoint.identification.algorithm': 'none'}
'''


def secure(mqs, script):
    return run(mqs, USERS + script, str(mqs.sasl_port), mqs.ca, str(mqs.sasl_plaintext_port))


@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
def test_sasl(mqs, mechanism):
    secure(mqs, f'''
user('root', 'secret', ScramMechanism.SCRAM_SHA_256)
user('root', 'secret', ScramMechanism.SCRAM_SHA_512)
for protocol in ('SASL_SSL', 'SASL_PLAINTEXT'):
    who = login('root', 'secret', '{mechanism}', protocol)
    assert AdminClient(who).list_topics(timeout=10).brokers[1].port == int(who['bootstrap.servers'].split(':')[1])
    for name, password in (('root', 'wrong'), ('nobody', 'secret')):
        try:
            AdminClient(login(name, password, '{mechanism}', protocol)).list_topics(timeout=1)
            raise SystemExit('logged in with a wrong password')
        except KafkaException:
            pass
''')


def test_records_over_tls(mqs):
    secure(mqs, '''
user('root', 'secret')
create('tls', 2)
who = login('root', 'secret', 'PLAIN')
assert write('tls', [str(i) + 'x' * 20000 for i in range(300)], **who) == []
assert len(read(300, 'tls', 'tls', **who)) == 300
''')


def test_rights(mqs):
    secure(mqs, '''
user('ann', 'secret')
create('ann-topic'); create('other')
who = login('ann', 'secret', 'SCRAM-SHA-256')
def produce(topic):
    p, got = Producer({**who, 'message.timeout.ms': 5000}), []
    p.produce(topic, value='x', on_delivery=lambda e, m: got.append(e))
    p.flush(10)
    return got[0] and got[0].name()
assert produce('other') == 'TOPIC_AUTHORIZATION_FAILED'
rule = lambda op, allow=AclPermissionType.ALLOW: AclBinding(ResourceType.TOPIC, 'ann-', ResourcePatternType.PREFIXED,
                                                            'User:ann', '*', op, allow)
for f in admin.create_acls([rule(AclOperation.WRITE)]).values():
    f.result(10)
assert produce('ann-topic') is None
assert produce('other') == 'TOPIC_AUTHORIZATION_FAILED'
every = AclBindingFilter(ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY,
                         AclPermissionType.ANY)
assert [a.name for a in admin.describe_acls(every).result(10)] == ['ann-']
for f in admin.create_acls([rule(AclOperation.WRITE, AclPermissionType.DENY)]).values():
    f.result(10)
assert produce('ann-topic') == 'TOPIC_AUTHORIZATION_FAILED'
ann = AdminClient(who)
refused = code(lambda: ann.create_topics([NewTopic('mine', 1, 1)])['mine'].result(10))
assert refused == 'TOPIC_AUTHORIZATION_FAILED', refused
for f in admin.delete_acls([every]).values():
    assert len(f.result(10)) == 2
''')


def test_nothing_is_lost_by_kill_9(mqs):
    run(mqs, "create('killed', 2); assert write('killed', [str(i) for i in range(2000)]) == []; read(500, 'killed', 'k')")
    mqs.kill()
    mqs.start()
    run(mqs, '''
assert len(read(2000, 'killed', 'fresh')) == 2000
assert 'k' in [g.group_id for g in admin.list_consumer_groups().result(10).valid]
assert sum(max(p.offset, 0) for p in Consumer({**B, 'group.id': 'k'}).committed(
    [TopicPartition('killed', i) for i in range(2)], timeout=10)) >= 500
assert write('killed', ['more']) == []
''')


def test_restart_is_clean(mqs):
    mqs.stop()
    mqs.start()
    run(mqs, "assert len(read(2001, 'killed', 'after')) == 2001")
