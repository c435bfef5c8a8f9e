# SPDX-License-Identifier: Apache-2.0
"""Settings of topics that change or refuse what producers send."""
import time

import pytest

from lib import vendor
from lib.wire import Wire, batch, batches

NUMBERS = {'uncompressed': 0, 'gzip': 1, 'snappy': 2, 'lz4': 3, 'zstd': 4}


@pytest.fixture
def wire(mqs):
    with Wire(mqs) as w:
        yield w


WRITE = '''
import sys
from confluent_kafka import *
_, address, topic, codec = sys.argv
p, bad = Producer({'bootstrap.servers': address, 'compression.type': codec, 'linger.ms': 50, 'enable.idempotence': True}), []
for i in range(300):
    p.produce(topic, key=str(i), value='value %d ' % i * 10, headers={'h': b'x'}, on_delivery=lambda e, m: e and bad.append(e))
assert p.flush(20) == 0 and not bad, bad
c = Consumer({'bootstrap.servers': address, 'group.id': 'g', 'check.crcs': True})
c.assign([TopicPartition(topic, 0, 0)])
got = c.consume(300, 20)
assert [(m.key(), m.value(), m.headers()) for m in got] == [
    (b'%d' % i, b'value %d ' % i * 10, [('h', b'x')]) for i in range(300)]
c.close()
'''


@pytest.mark.parametrize('kind', list(NUMBERS))
def test_compression_type(mqs, wire, kind):
    for codec in ('none', 'gzip', 'snappy', 'lz4', 'zstd'):
        topic = f'kind-{kind}-{codec}'
        wire.create(topic, compression_type=kind)
        vendor.run_python(WRITE, mqs.address, topic, codec, packages=['confluent-kafka'])
        assert {b[1] & 7 for b in batches(wire.fetch(topic, 0)['records'])} == {NUMBERS[kind]}, codec


def test_compression_type_may_change(wire):
    wire.create('changes')
    def codec_of_next():
        at = wire.produce('changes', batch([b'x' * 1000]))['base_offset']
        return [b[1] & 7 for b in batches(wire.fetch('changes', at)['records'])]
    assert codec_of_next() == [0]
    for kind in ('zstd', 'gzip', 'uncompressed'):
        answer = wire.call('IncrementalAlterConfigs', 1, resources=[
            {'resource_type': 2, 'resource_name': 'changes', 'configs': [
                {'name': 'compression.type', 'config_operation': 0, 'value': kind}]}])
        assert answer['responses'][0]['error_code'] == 0
        assert codec_of_next() == [NUMBERS[kind]]


def test_zstandard_is_not_for_old_clients(wire):
    wire.create('new', compression_type='zstd')
    assert wire.produce('new', batch([b'x' * 1000]))['error'] == 'NONE'
    packed = wire.fetch('new', 0)['records']
    for version, error in ((7, 'NONE'), (6, 'UNSUPPORTED_COMPRESSION_TYPE'), (3, 'UNSUPPORTED_COMPRESSION_TYPE')):
        assert wire.produce('new', packed, version=version)['error'] == error
    assert wire.fetch('new', 0, version=10)['error'] == 'NONE'
    for version in (4, 9):
        assert wire.fetch('new', 0, version=version)['error'] == 'UNSUPPORTED_COMPRESSION_TYPE'
    old = wire.call('Fetch', 3, max_wait_ms=0, max_bytes=10000, topics=[
        {'topic': 'new', 'partitions': [{'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 10000}]}])
    assert len(old['responses'][0]['partitions'][0]['records']) > 1000


def test_compressing_anew_hides_no_damage(wire):
    wire.create('damaged', compression_type='gzip')
    data = bytearray(batch([b'x' * 100]))
    data[-5] ^= 1
    assert wire.produce('damaged', bytes(data))['error'] == 'CORRUPT_MESSAGE'
    first, second = batch([b'a']), batch([b'b'])
    assert wire.produce('damaged', first + second[:-1])['error'] == 'CORRUPT_MESSAGE'
    assert wire.produce('damaged', first)['base_offset'] == 0


def test_times_of_records(wire):
    now = int(time.time() * 1000)
    wire.create('times', message_timestamp_after_max_ms=60000, message_timestamp_before_max_ms=60000)
    assert wire.produce('times', batch([b'x'], time=now))['error'] == 'NONE'
    for at in (now - 120000, now + 120000):
        assert wire.produce('times', batch([b'x'], time=at))['error'] == 'INVALID_TIMESTAMP'
    # Of several records each counts.
    assert wire.produce('times', batch([b'x', b'y', b'z'], time=now, step=50000))['error'] == 'INVALID_TIMESTAMP'


def test_the_time_of_appending(wire):
    wire.create('append', message_timestamp_type='LogAppendTime', message_timestamp_before_max_ms=1)
    before = int(time.time() * 1000)
    row = wire.produce('append', batch([b'x', b'y'], time=1000))
    assert row['error'] == 'NONE' and before <= row['log_append_time_ms'] <= int(time.time() * 1000)
    data = wire.fetch('append', 0)['records']
    assert [b[1] & 8 for b in batches(data)] == [8]
    assert int.from_bytes(data[35:43], 'big') == row['log_append_time_ms']
    plain = wire.produce('append', batch([b'x'], time=1000), acks=1)
    assert plain['log_append_time_ms'] >= row['log_append_time_ms']


def test_a_compacted_topic_wants_keys(wire):
    for kind in ('producer', 'zstd'):
        topic = 'compacted-' + kind
        wire.create(topic, cleanup_policy='compact', compression_type=kind)
        assert wire.produce(topic, batch([(b'k', b'v'), (None, b'v')]))['error'] == 'INVALID_RECORD'
        assert wire.produce(topic, batch([(b'k', b'v'), (b'k', None)]))['base_offset'] == 0
