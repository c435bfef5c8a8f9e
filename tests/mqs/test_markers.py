# SPDX-License-Identifier: Apache-2.0
"""WriteTxnMarkers: an administrator ends transactions that nobody else ends."""
import pytest

from lib.appiad import wait_for
from lib.mqs import Mqs
from lib.wire import Wire, batch, error, errors, offsets_seen


@pytest.fixture
def wire(mqs):
    with Wire(mqs) as w:
        yield w


def hang(w, topic, name, values=(b'lost',), more=True):
    """A transaction whose producer is gone, and a record behind it. (producer id, epoch)"""
    pid, epoch = w.producer(name, timeout=900000)
    row = w.produce(topic, batch(list(values), (pid, epoch), 0, transactional=True), transaction=name, version=12)
    assert row['error'] == 'NONE', row
    if more:
        assert w.produce(topic, batch([b'behind']))['error'] == 'NONE'
    return pid, epoch


def write(w, version, pid, epoch, topics, commit=False, coordinator=0, **more):
    """{(topic, partition): error}. topics: {name: partitions}."""
    answer = w.call('WriteTxnMarkers', version, markers=[
        {'producer_id': pid, 'producer_epoch': epoch, 'transaction_result': commit, 'coordinator_epoch': coordinator, **more,
         'topics': [{'name': t, 'partition_indexes': p} for t, p in topics.items()]}])
    assert [m['producer_id'] for m in answer['markers']] == [pid]
    return {(t['name'], p['partition_index']): errors()[p['error_code']]
            for t in answer['markers'][0]['topics'] for p in t['partitions']}


def seen(w, topic):
    row = w.fetch(topic, 0, committed=True, wait=0)
    return offsets_seen(row['records'], row['aborted_transactions'])


@pytest.mark.parametrize('version', range(3))
@pytest.mark.parametrize('commit', [False, True])
def test_ends(wire, version, commit):
    topic = f'ends-{version}-{commit}'
    wire.create(topic, 2)
    pid, epoch = hang(wire, topic, topic)
    assert seen(wire, topic) == []
    got = write(wire, version, pid, epoch, {topic: [0, 1, 2], 'nothing': [0]}, commit)
    assert got == {(topic, 0): 'NONE', (topic, 1): 'NONE', (topic, 2): 'UNKNOWN_TOPIC_OR_PARTITION',
                   ('nothing', 0): 'UNKNOWN_TOPIC_OR_PARTITION'}
    assert seen(wire, topic) == ([0, 1] if commit else [1])
    producers = wire.call('DescribeProducers', 0, topics=[{'name': topic, 'partition_indexes': [0]}])
    row = producers['topics'][0]['partitions'][0]['active_producers'][0]
    assert (row['producer_id'], row['current_txn_start_offset'], row['coordinator_epoch']) == (pid, -1, 0)


def test_refused(wire):
    wire.create('refused')
    pid, epoch = hang(wire, 'refused', 'refused')
    where = {'refused': [0]}

    def refused(code, *args, **more):
        assert write(wire, 2, *args, where, **more) == {('refused', 0): code}
        assert seen(wire, 'refused') == []
    refused('INVALID_PRODUCER_EPOCH', pid, epoch - 1)
    refused('INVALID_PRODUCER_EPOCH', pid, -2)
    refused('INVALID_REQUEST', -1, epoch)
    # The epoch grows with each transaction from version 2 of transactions on.
    refused('INVALID_PRODUCER_EPOCH', pid, epoch, transaction_version=2)
    assert write(wire, 2, pid, epoch + 1, where, transaction_version=2) == {('refused', 0): 'NONE'}
    assert seen(wire, 'refused') == [1]
    # Sent again because the answer was lost.
    assert write(wire, 2, pid, epoch + 1, where, transaction_version=2) == {('refused', 0): 'NONE'}
    assert write(wire, 2, pid, epoch + 1, where, coordinator=-1) == {('refused', 0): 'TRANSACTION_COORDINATOR_FENCED'}
    assert write(wire, 2, pid, epoch, where) == {('refused', 0): 'INVALID_PRODUCER_EPOCH'}
    assert wire.call('WriteTxnMarkers', 2, markers=[])['markers'] == []
    assert write(wire, 2, pid, epoch, {}) == {}


def test_the_coordinator_goes_on(wire):
    """Neither the end of a transaction that it has open, nor the claim to be a later one, shuts it out."""
    wire.create('goes-on')
    pid, epoch = hang(wire, 'goes-on', 'goes-on')
    assert write(wire, 2, pid, epoch, {'goes-on': [0]}, coordinator=99) == {('goes-on', 0): 'NONE'}
    assert seen(wire, 'goes-on') == [1]
    data = batch([b'more'], (pid, epoch), 1, transactional=True)
    assert wire.produce('goes-on', data, transaction='goes-on', version=12)['error'] == 'NONE'
    assert seen(wire, 'goes-on') == [1]
    answer = wire.call('EndTxn', 5, transactional_id='goes-on', producer_id=pid, producer_epoch=epoch, committed=True)
    assert error(answer) == 'NONE'
    wait_for(lambda: seen(wire, 'goes-on') == [1, 3], what='the marker of the coordinator')


def test_rights(mqs, wire):
    wire.create('rights')
    pid, epoch = hang(wire, 'rights', 'rights')
    for name, code, left in (('low', 'CLUSTER_AUTHORIZATION_FAILED', []), ('root', 'NONE', [1])):
        with Wire(mqs, port=mqs.sasl_plaintext_port) as w:
            assert w.call('SaslHandshake', 1, mechanism='PLAIN')['error_code'] == 0
            login = f'\0key-{name}\0secret-{name}'.encode()
            assert w.call('SaslAuthenticate', 2, auth_bytes=login)['error_code'] == 0
            got = write(w, 2, pid, epoch, {'rights': [0], 'nothing': [7]})
            assert got == {('rights', 0): code, ('nothing', 7): code if left == [] else 'UNKNOWN_TOPIC_OR_PARTITION'}
        assert seen(wire, 'rights') == left


def test_durable():
    mqs = Mqs()
    try:
        with Wire(mqs) as w:
            w.create('durable')
            pid, epoch = hang(w, 'durable', 'durable')
            assert write(w, 2, pid, epoch, {'durable': [0]}) == {('durable', 0): 'NONE'}
        mqs.kill()
        mqs.start()
        with Wire(mqs) as w:
            assert seen(w, 'durable') == [1]
            assert write(w, 2, pid, epoch, {'durable': [0]}, coordinator=-1) == {
                ('durable', 0): 'TRANSACTION_COORDINATOR_FENCED'}
        mqs.stop()
    finally:
        mqs.remove()


def test_too_many(mqs, wire):
    wire.send('WriteTxnMarkers', 2, markers=[{'topics': [{'name': 'x', 'partition_indexes': list(range(20001))}]}])
    assert wire.socket.recv(1) == b''
    with Wire(mqs) as w:
        assert w.call('ApiVersions', 0)['error_code'] == 0
