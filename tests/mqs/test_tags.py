# SPDX-License-Identifier: Apache-2.0
"""Tags of records: what applications may publish and see, with clients of four makers."""
import gzip
import json
import struct
import time

import pytest

from lib import vendor
from lib.mqs import Mqs
from lib.wire import Wire, batch, batches, crc32c

APPS = {'all': ([], []), 'a': (['a', 'b'], ['a', 'b']), 'c': (['c'], ['c']), 'rare': (['rare'], ['rare'])}


@pytest.fixture(scope='module')
def broker():
    apps = [{'put': 'app', 'id': f'id-{n}', 'name': n, 'key': f'key-{n}', 'secret': f'secret-{n}', 'project_id': 'p',
             'disabled': False} for n in APPS]
    rights = [{'put': 'raw', 'key': f'topic_right/{t}/key-{n}', 'value': json.dumps({
        'pub': True, 'sub': True, 'owner': False, 'pub_tags': pub, 'sub_tags': sub})}
        for n, (pub, sub) in APPS.items()
        for t in ('pub', 'none', 'gzip', 'snappy', 'lz4', 'zstd', 'txn', 'resent', 'long', 'other', 'blame', 'bomb', 'waits')]
    mqs = Mqs(published=apps + rights)
    yield mqs
    mqs.stop()
    mqs.remove()


HEAD = '''
import sys, time
from confluent_kafka import *
from confluent_kafka.admin import *
B = {'bootstrap.servers': sys.argv[1]}
admin = AdminClient(B)

def create(name):
    admin.create_topics([NewTopic(name, 1, 1)])[name].result(10)

def login(app):
    return {'bootstrap.servers': 'localhost:' + sys.argv[2], 'security.protocol': 'SASL_PLAINTEXT', 'log_level': 0,
            'sasl.mechanisms': 'PLAIN', 'sasl.username': 'key-' + app, 'sasl.password': 'secret-' + app}

def write(topic, records, **who):
    """Records: (value, tags or None, further headers)."""
    p, got = Producer({**B, 'linger.ms': 100, **who}), []
    for value, tags, *more in records:
        headers = ([('TAGS', tags)] if tags is not None else []) + list(more)
        p.produce(topic, value=value, headers=headers, on_delivery=lambda e, m: got.append(e.name() if e else 'OK'))
    assert p.flush(20) == 0
    return got

def end(topic):
    c = Consumer({**B, 'group.id': 'x'})
    at = c.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
    c.close()
    return at

def read(topic, app, start=0, seconds=20, **settings):
    """All that the application sees, until its position is the end."""
    errors = []
    c = Consumer({**login(app), 'group.id': f'{topic}-{app}', 'auto.offset.reset': 'earliest', 'enable.partition.eof': True,
                  'error_cb': errors.append, **settings})
    c.assign([TopicPartition(topic, 0, start)])
    got, until, done = [], time.time() + seconds, False
    while not done:
        assert time.time() < until, ('never at the end', got[-3:])
        m = c.poll(0.1)
        if m is not None and m.error() is None:
            got.append(m.value().decode())
        elif m is not None:
            done = m.error().code() == KafkaError._PARTITION_EOF
            assert done, m.error()
    assert not errors, errors
    c.close()
    return got
'''


def run(broker, script):
    vendor.run_python(HEAD + script, broker.address, str(broker.sasl_plaintext_port), packages=['confluent-kafka'])


def test_publishing(broker):
    run(broker, '''
create('pub')
a = login('a')
assert write('pub', [('1', 'a')], **a) == ['OK']
assert write('pub', [('2', 'a||b'), ('3', 'b')], **a) == ['OK', 'OK']
for tags in ('c', 'a||c', '', '||', None, 'A'):
    assert write('pub', [('x', tags)], **a) == ['INVALID_RECORD'], tags
for codec in ('gzip', 'snappy', 'lz4', 'zstd'):
    assert set(write('pub', [('y' * 100, 'a'), ('x' * 100, 'c'), ('y' * 100, 'a')], **a, **{'compression.type': codec})
               ) == {'INVALID_RECORD'}
assert write('pub', [('4', 'whatever'), ('5', None)], **login('all')) == ['OK', 'OK']
assert read('pub', 'all') == ['1', '2', '3', '4', '5']
assert read('pub', 'a') == ['1', '2', '3']
''')


def login(broker, app):
    w = Wire(broker, port=broker.sasl_plaintext_port)
    assert w.call('SaslHandshake', 1, mechanism='PLAIN')['error_code'] == 0
    assert w.call('SaslAuthenticate', 2, auth_bytes=f'\0key-{app}\0secret-{app}'.encode())['error_code'] == 0
    return w


def test_records_to_blame_are_named(broker):
    """KIP-467; and other partitions of the request are not concerned."""
    tagged = lambda *tags: batch([(b'k', b'v', {b'TAGS': t} if t else {}) for t in tags])
    with Wire(broker) as w:
        w.create('blame')
    with login(broker, 'a') as w:
        row = w.produce('blame', tagged(b'a', b'c', b'b', None))
        assert row['error'] == 'INVALID_RECORD' and row['base_offset'] == -1 and 'tag' in row['error_message']
        assert [r['batch_index'] for r in row['record_errors']] == [1, 3]
        assert all('TAGS' in r['batch_index_error_message'] for r in row['record_errors'])
        answer = w.call('Produce', 9, acks=-1, timeout_ms=10000, topic_data=[
            {'name': n, 'partition_data': [{'index': 0, 'records': tagged(t)}]} for n, t in (('blame', b'c'), ('blame', b'a'))])
        assert [r['partition_responses'][0]['error_code'] for r in answer['responses']] == [87, 0]
        # Versions without headers, and answers without a way to say that there is nothing.
        old = w.call('Fetch', 3, max_wait_ms=0, max_bytes=1000, topics=[
            {'topic': 'blame', 'partitions': [{'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 1000}]}])
        assert old['responses'][0]['partitions'][0]['error_code'] == 35


def test_a_bomb(broker):
    """A megabyte that becomes 256: refused where it has to be looked at, passed by where it was stored."""
    with Wire(broker) as w:
        w.create('bomb')
    bomb = batch([(b'k', b'v')])
    packed = gzip.compress(bytes(256 << 20), 1, mtime=0)
    head = bytearray(bomb[:61])
    struct.pack_into('>h', head, 21, 1)
    rest = bytes(head[21:]) + packed
    data = bytes(head[:8]) + struct.pack('>iibI', len(rest) + 9, -1, 2, crc32c(rest)) + rest
    with login(broker, 'a') as w, login(broker, 'all') as everything:
        assert w.produce('bomb', data)['error'] == 'MESSAGE_TOO_LARGE'
        begin = time.monotonic()
        at = everything.produce('bomb', data)['base_offset']
        row = w.fetch('bomb', at)
        assert row['error'] == 'NONE' and len(row['records']) < 200, row['error']
        assert list(batches(row['records']))[0][:2] == (at, 32)
        assert time.monotonic() - begin < 20
        assert len(everything.fetch('bomb', at, size=4 << 20)['records']) == len(data)


@pytest.mark.parametrize('codec', ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
def test_seeing(broker, codec):
    run(broker, f'''
T = '{codec}'
create(T)
tag = lambda i: ['a', 'c', 'b||c', 'x', None][i % 5]
for n in range(0, 500, 50):
    assert set(write(T, [(str(i), tag(i)) for i in range(n, n + 50)], **{{'compression.type': T}})) == {{'OK'}}
# Whole batches that are not seen, at the end too.
write(T, [(str(i), 'x') for i in range(500, 600)], **{{'compression.type': T}})
want = lambda *tags: [str(i) for i in range(500) if set((tag(i) or '').split('||')) & set(tags)]
assert read(T, 'all') == [str(i) for i in range(600)]
assert read(T, 'a') == want('a', 'b')
assert read(T, 'c') == want('c')
assert read(T, 'rare') == []
# From the middle of a batch.
assert read(T, 'a', start=77) == [v for v in want('a', 'b') if int(v) >= 77]
''')


def test_transactions(broker):
    run(broker, '''
create('txn')
p = Producer({**B, 'transactional.id': 'tags'})
p.init_transactions(10)
for n in range(6):
    p.begin_transaction()
    for tag in ('a', 'c', 'x'):
        p.produce('txn', value=f'{n}-{tag}', headers=[('TAGS', tag)])
        p.flush(10)
    (p.abort_transaction if n % 2 else p.commit_transaction)(10)
for app in ('a', 'c'):
    assert read('txn', app) == [f'{n}-{app}' for n in (0, 2, 4)]
    assert read('txn', app, **{'isolation.level': 'read_uncommitted'}) == [f'{n}-{app}' for n in range(6)]
assert read('txn', 'rare') == []
''')


def test_records_for_one_application(broker):
    run(broker, '''
create('resent')
write('resent', [('before', 'a')])
assert read('resent', 'a') == read('resent', 'all') == ['before']
for app in ('a', 'c', 'all'):
    write('resent', [('for ' + app, 'a', ('consumer_key', 'key-' + app))])
write('resent', [('after', 'a')])
assert read('resent', 'a') == ['before', 'for a', 'after']
assert read('resent', 'all') == ['before', 'for all', 'after']
assert read('resent', 'c') == []
''')
    broker.kill()
    broker.start()
    run(broker, "assert read('resent', 'all') == ['before', 'for all', 'after']")


def test_a_fetch_that_waits_for_the_first_such_record(broker):
    with Wire(broker) as plain, login(broker, 'all') as w, login(broker, 'a') as a:
        plain.create('waits')
        ask = {'max_wait_ms': 20000, 'min_bytes': 1, 'max_bytes': 1 << 20, 'topics': [
            {'topic': 'waits', 'partitions': [{'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]}]}
        w.send('Fetch', 12, **ask)
        a.send('Fetch', 12, **ask)
        plain.produce('waits', batch([(b'k', b'v', {b'TAGS': b'a', b'consumer_key': b'key-a'})]))
        got = [list(batches(x.receive('Fetch', 12)['responses'][0]['partitions'][0]['records'])) for x in (w, a)]
        assert [[b[1] for b in one] for one in got] == [[32], [0]]


def test_a_needle(broker):
    """What is seen is far away: the position goes on, fetch by fetch, and the group's offset with it."""
    run(broker, '''
create('long')
for n in range(0, 20000, 1000):
    assert set(write('long', [('x' * 1000, 'x')] * 1000, **{'compression.type': 'lz4'})) == {'OK'}
write('long', [('needle', 'rare')])
assert read('long', 'rare', seconds=60) == ['needle']
c = Consumer({**login('rare'), 'group.id': 'far', 'auto.offset.reset': 'earliest'})
c.subscribe(['long'])
until = time.time() + 60
while (m := c.poll(1)) is None or m.error():
    assert time.time() < until
assert m.value() == b'needle' and m.offset() == 20000
c.close()
''')


KAFKAJS = '''
const { Kafka, logLevel } = require('kafkajs')
const kafka = new Kafka({ brokers: ['localhost:' + process.argv[2]], logLevel: logLevel.ERROR,
  sasl: { mechanism: 'plain', username: 'key-a', password: 'secret-a' } })
async function main() {
  const consumer = kafka.consumer({ groupId: 'js', maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: ['other'], fromBeginning: true })
  const got = []
  await new Promise((done, fail) => {
    setTimeout(() => fail(new Error('only ' + got)), 60000).unref()
    consumer.run({ eachMessage: async ({ message }) => {
      got.push(message.value.toString())
      if (message.value.toString() === 'last') done()
    } })
  })
  await consumer.disconnect()
  console.log(got.join(','))
}
main().catch(e => { console.error(e); process.exit(1) })
'''
PLATFORMATIC = '''
const { Consumer, stringDeserializers } = require('@platformatic/kafka')
async function main() {
  const consumer = new Consumer({ groupId: 'pl', clientId: 'pl', bootstrapBrokers: ['localhost:' + process.argv[2]],
    deserializers: stringDeserializers, sasl: { mechanism: 'PLAIN', username: 'key-a', password: 'secret-a' } })
  const stream = await consumer.consume({ topics: ['other'], mode: 'earliest', maxWaitTime: 100, autocommit: false })
  const got = []
  setTimeout(() => { console.error('only ' + got); process.exit(1) }, 60000).unref()
  for await (const message of stream) {
    got.push(message.value)
    if (message.value === 'last') break
  }
  console.log(got.join(','))
  await consumer.close(true)
  process.exit(0)
}
main().catch(e => { console.error(e); process.exit(1) })
'''
PYTHON = '''
import sys
from kafka import KafkaConsumer, TopicPartition
c = KafkaConsumer(bootstrap_servers='localhost:' + sys.argv[1], security_protocol='SASL_PLAINTEXT', sasl_mechanism='PLAIN',
                  sasl_plain_username='key-a', sasl_plain_password='secret-a', auto_offset_reset='earliest')
c.assign([TopicPartition('other', 0)])
c.seek_to_beginning()
got = []
for m in c:
    got.append(m.value.decode())
    if got[-1] == 'last':
        break
print(','.join(got))
c.close()
'''


def test_clients_of_other_makers(broker):
    run(broker, '''
create('other')
# In turn: seen at the beginning of a batch, at its end, not at all; then all of it again far behind the first fetches.
for n in range(20):
    write('other', [(f'{n}-0', 'a')] + [('x' * 5000, 'x')] * 20)
    write('other', [('x' * 5000, 'x')] * 20 + [(f'{n}-1', 'a')])
    for _ in range(3):
        write('other', [('x' * 5000, 'x')] * 20)
write('other', [('last', 'a'), ('x', 'x')])
''')
    want = ','.join([f'{n}-{k}' for n in range(20) for k in (0, 1)] + ['last'])
    port = str(broker.sasl_plaintext_port)
    assert vendor.run_python(PYTHON, port, packages=['kafka-python']).strip() == want
    assert vendor.run_node(KAFKAJS, port, packages=['kafkajs']).strip().splitlines()[-1] == want
    assert vendor.run_node(PLATFORMATIC, port, packages=['@platformatic/kafka']).strip().splitlines()[-1] == want
