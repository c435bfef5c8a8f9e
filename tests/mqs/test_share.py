# SPDX-License-Identifier: Apache-2.0
"""Share groups (KIP-932): what a group has in hand, gives back and is done with, also over restarts."""
import hashlib
import json
import random
import time

import pytest

from lib.mqs import Mqs, app
from lib.wire import Wire, batch, batches, error, errors, records

ACCEPT, RELEASE, REJECT, RENEW = 1, 2, 3, 4


class Share:
    """A member of a share group on a connection of its own."""

    def __init__(self, mqs, group, topics, member='m', wire=None):
        self.wire = wire or Wire(mqs)
        self.group, self.topics, self.member, self.epoch, self.beats = group, topics, member, 0, 0
        self.heartbeat()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.socket.close()

    def heartbeat(self):
        """Joins, or joins again, until the member has partitions: [{topic_id, partitions}]."""
        end, self.beats = time.monotonic() + 20, 0
        while True:
            names = {} if self.beats else {'subscribed_topic_names': list(self.topics)}
            answer = self.wire.call('ShareGroupHeartbeat', 1, group_id=self.group, member_id=self.member,
                                    member_epoch=self.beats, **names)
            assert error(answer) == 'NONE' and time.monotonic() < end, answer
            self.beats = answer['member_epoch']
            if answer['assignment'] and answer['assignment']['topic_partitions']:
                return answer['assignment']['topic_partitions']
            time.sleep(0.05)

    def call(self, name, topic=None, partition=0, acks=(), version=2, epoch=None, **more):
        rows = [{'first_offset': a, 'last_offset': b, 'acknowledge_types': list(t)} for a, b, t in acks]
        topics = [{'topic_id': topic, 'partitions': [{'partition_index': partition, 'acknowledgement_batches': rows}]}]
        epoch = self.epoch if epoch is None else epoch
        answer = self.wire.call(name, version, group_id=self.group, member_id=self.member, share_session_epoch=epoch,
                                topics=topics if topic else [], **more)
        if answer['error_code'] == 0:
            self.epoch = 0 if epoch == -1 else epoch + 1
        return answer

    def fetch(self, topic=None, wait=500, limit=500, exact=False, **more):
        """The one partition that answers, or None."""
        answer = self.call('ShareFetch', topic, max_wait_ms=wait, min_bytes=1, max_bytes=1 << 20, max_records=limit,
                           batch_size=limit, **({'share_acquire_mode': 1} if exact else {}), **more)
        assert error(answer) == 'NONE', answer
        rows = [p for r in answer['responses'] for p in r['partitions']]
        assert len(rows) <= 1 and all(p['error_code'] == 0 for p in rows), answer
        return rows[0] if rows else None

    def take(self, topic=None, wait=500, **more):
        """Acquired ranges with their deliveries, waiting up to 20 s."""
        end = time.monotonic() + 20
        while True:
            row = self.fetch(topic if self.epoch == 0 else None, wait, **more)
            if row and row['acquired_records']:
                return acquired(row)
            assert time.monotonic() < end

    def acknowledge(self, topic, *acks, partition=0, version=2, **more):
        """Name of the partition's error."""
        answer = self.call('ShareAcknowledge', topic, partition, acks, version, **more)
        assert error(answer) == 'NONE', answer
        return errors()[answer['responses'][0]['partitions'][0]['error_code']]


def acquired(row):
    return [(a['first_offset'], a['last_offset'], a['delivery_count']) for a in row['acquired_records']]


def settings(wire, group, **values):
    rows = [{'name': k.replace('_', '.'), 'config_operation': 0, 'value': v} for k, v in values.items()]
    answer = wire.call('IncrementalAlterConfigs', 1, resources=[{'resource_type': 32, 'resource_name': group, 'configs': rows}])
    return error(answer['responses'][0])


def offsets(wire, group, topic, partition=0):
    """(start offset, lag)"""
    answer = wire.call('DescribeShareGroupOffsets', 1, groups=[
        {'group_id': group, 'topics': [{'topic_name': topic, 'partitions': [partition]}]}])['groups'][0]
    assert error(answer) == 'NONE', answer
    row = answer['topics'][0]['partitions'][0]
    assert row['error_code'] == 0, row
    return row['start_offset'], row['lag']


@pytest.fixture
def wire(mqs):
    with Wire(mqs) as w:
        yield w


def fill(wire, topic, *counts, **config):
    """A topic with batches of so many records; its id."""
    made = wire.create(topic, **config)
    for n in counts:
        assert wire.produce(topic, batch([f'v{i}'.encode() for i in range(n)]))['error'] == 'NONE'
    assert settings(wire, 'g-' + topic, share_auto_offset_reset='earliest') == 'NONE'
    return made


def test_records_go_to_one_member_each(mqs, wire):
    topic = fill(wire, 's-one', 5, 5)
    with Share(mqs, 'g-s-one', ['s-one'], 'a') as a, Share(mqs, 'g-s-one', ['s-one'], 'b') as b:
        # Batches are not cut, where only about so many are wished.
        assert a.take(topic, limit=3) == [(0, 4, 1)]
        assert b.take(topic, limit=3) == [(5, 9, 1)]
        assert a.fetch(wait=0) is None and b.fetch(wait=0) is None
        # Others cannot acknowledge what a has; a can, each as it likes.
        assert b.acknowledge(topic, (0, 0, [ACCEPT])) == 'INVALID_RECORD_STATE'
        assert a.acknowledge(topic, (0, 4, [ACCEPT, ACCEPT, RELEASE, REJECT, 0])) == 'NONE'
        assert offsets(wire, 'g-s-one', 's-one') == (2, 6)
        assert a.acknowledge(topic, (3, 3, [ACCEPT])) == 'INVALID_RECORD_STATE'
        # What was given back comes again, to whoever asks.
        assert b.take() == [(2, 2, 2)]
        assert b.acknowledge(topic, (2, 2, [ACCEPT]), (5, 9, [ACCEPT])) == 'NONE'
        assert offsets(wire, 'g-s-one', 's-one') == (10, 0)
        assert a.acknowledge(topic, (0, 1, [ACCEPT])) == 'NONE'  # has been done with for long


def test_records_and_their_bytes(mqs, wire):
    topic = fill(wire, 's-bytes', 2, 3, 4)
    with Share(mqs, 'g-s-bytes', ['s-bytes']) as a:
        row = a.fetch(topic, wait=5000, limit=2) or a.fetch(wait=5000, limit=2)
        assert acquired(row) == [(0, 1, 1)]
        assert [r[0] for r in records(row['records'])] == [0, 1]
        # Never more than wished, and so a batch in two halves.
        row = a.fetch(limit=2, exact=True)
        assert acquired(row) == [(2, 3, 1)] and [r[0] for r in records(row['records'])] == [2, 3, 4]
        # Entries end between batches once they are as long as wished.
        row = a.fetch(limit=100)
        assert acquired(row) == [(4, 8, 1)]
        assert [b[0] for b in batches(row['records'])] == [2, 5]
        assert a.acknowledge(topic, (0, 8, [RELEASE])) == 'NONE'
        answer = a.call('ShareFetch', max_wait_ms=0, min_bytes=1, max_bytes=1 << 20, max_records=100, batch_size=2)
        assert acquired(answer['responses'][0]['partitions'][0]) == [(0, 1, 2), (2, 4, 2), (5, 8, 2)]


def test_acknowledging_with_a_fetch(mqs, wire):
    topic = fill(wire, 's-along', 4, 4)
    with Share(mqs, 'g-s-along', ['s-along']) as a:
        assert a.take(topic, limit=4) == [(0, 3, 1)]
        row = a.fetch(topic, acks=[(0, 1, [ACCEPT]), (2, 3, [RELEASE])], limit=100)
        assert row['acknowledge_error_code'] == 0 and acquired(row) == [(2, 3, 2), (4, 7, 1)]
        row = a.fetch(topic, acks=[(2, 8, [ACCEPT])], wait=0)
        assert errors()[row['acknowledge_error_code']] in ('INVALID_RECORD_STATE', 'INVALID_REQUEST')
        for wrong in ([(2, 3, [])], [(2, 3, [5])], [(3, 2, [1])], [(2, 4, [1, 1])], [(4, 5, [1]), (2, 3, [1])],
                      [(2, 3, [1]), (3, 4, [1])]):
            row = a.fetch(topic, acks=wrong, wait=0)
            assert errors()[row['acknowledge_error_code']] == 'INVALID_REQUEST', wrong
        # Ending a session acknowledges, and gives back the rest.
        row = a.fetch(topic, acks=[(2, 2, [ACCEPT])], epoch=-1)
        assert row['acknowledge_error_code'] == 0 and not row['acquired_records']
        assert a.take(topic) == [(3, 3, 3), (4, 7, 2)]
        assert offsets(wire, 'g-s-along', 's-along')[0] == 3


def test_forgetting(mqs, wire):
    """What is acknowledged and forgotten by one request is not fetched by it."""
    topic = fill(wire, 's-forget', 2, 2)
    with Share(mqs, 'g-s-forget', ['s-forget']) as a:
        assert a.take(topic, limit=2) == [(0, 1, 1)]
        row = a.fetch(topic, acks=[(0, 1, [ACCEPT])], wait=200, forgotten_topics_data=[{'topic_id': topic, 'partitions': [0]}])
        assert row['acknowledge_error_code'] == 0 and not row['acquired_records']
        assert a.fetch(wait=0) is None
        row = a.fetch(topic)
        assert acquired(row) == [(2, 3, 1)]


def test_sessions(mqs, wire):
    topic = fill(wire, 's-sessions', 3)
    with Share(mqs, 'g-s-sessions', ['s-sessions']) as a:
        def code(epoch, name='ShareFetch', **more):
            if name == 'ShareFetch':
                more = {'max_wait_ms': 0, 'max_bytes': 1000, 'max_records': 10, 'batch_size': 10, **more}
            return error(a.call(name, topic, epoch=epoch, **more))
        assert code(1) == 'SHARE_SESSION_NOT_FOUND'
        assert code(-1) == 'SHARE_SESSION_NOT_FOUND'
        assert code(1, 'ShareAcknowledge') == 'SHARE_SESSION_NOT_FOUND'
        assert code(0, 'ShareAcknowledge') == 'INVALID_SHARE_SESSION_EPOCH'
        assert code(0, acks=[(0, 0, [1])]) == 'INVALID_REQUEST'
        assert code(0) == 'NONE'
        assert code(2) == 'INVALID_SHARE_SESSION_EPOCH'
        assert code(2, 'ShareAcknowledge') == 'INVALID_SHARE_SESSION_EPOCH'
        assert code(1, 'ShareAcknowledge') == 'NONE'
        assert code(1) == 'INVALID_SHARE_SESSION_EPOCH'
        assert code(2) == 'NONE'
        assert code(-1, 'ShareAcknowledge') == 'NONE'
        assert code(3) == 'SHARE_SESSION_NOT_FOUND'


def test_a_connection_that_ends_gives_back(mqs, wire):
    topic = fill(wire, 's-gone', 3)
    with Share(mqs, 'g-s-gone', ['s-gone'], 'a') as a:
        assert a.take(topic) == [(0, 2, 1)]
        a.wire.socket.close()
        with Share(mqs, 'g-s-gone', ['s-gone'], 'b') as b:
            assert b.take(topic) == [(0, 2, 2)]


def test_too_many_deliveries(mqs, wire):
    topic = fill(wire, 's-poison', 4)
    with Share(mqs, 'g-s-poison', ['s-poison']) as a:
        for n in range(1, 4):
            assert a.take(topic) == [(0, 3, n)]
            assert a.acknowledge(topic, (0, 3, [RELEASE])) == 'NONE'
        # From here on ever fewer, to save the neighbours of what nobody can digest.
        assert a.take() == [(0, 1, 4)]
        assert a.acknowledge(topic, (0, 1, [RELEASE])) == 'NONE'
        assert a.take() == [(0, 0, 5)]
        assert a.acknowledge(topic, (0, 0, [RELEASE])) == 'NONE'
        assert offsets(wire, 'g-s-poison', 's-poison') == (1, 3)
        assert a.take() == [(1, 1, 5)]
        assert a.take() == [(2, 2, 4)] and a.take() == [(3, 3, 4)]
        assert a.acknowledge(topic, (1, 3, [ACCEPT])) == 'NONE'
        assert offsets(wire, 'g-s-poison', 's-poison') == (4, 0)
        assert a.fetch(wait=0) is None


def test_locks_end(mqs, wire):
    """The one test that has to wait: locks are for 15 s at least."""
    topic = fill(wire, 's-locks', 2)
    assert settings(wire, 'g-s-locks', share_record_lock_duration_ms='15000') == 'NONE'
    with Share(mqs, 'g-s-locks', ['s-locks'], 'a') as a, Share(mqs, 'g-s-locks', ['s-locks'], 'b') as b:
        assert a.take(topic) == [(0, 1, 1)]
        begin = time.monotonic()
        b.fetch(topic, wait=0)
        row = b.fetch(wait=8000)
        assert row is None
        assert a.acknowledge(topic, (1, 1, [RENEW]), is_renew_ack=True) == 'NONE'
        row = b.fetch(wait=30000)
        assert acquired(row) == [(0, 0, 2)] and 14 < time.monotonic() - begin < 19
        a.wire.call('ApiVersions', 0)
        assert a.acknowledge(topic, (0, 0, [ACCEPT])) == 'INVALID_RECORD_STATE'
        assert a.acknowledge(topic, (1, 1, [ACCEPT])) == 'NONE'
        metrics = dict(line.rsplit(' ', 1) for line in mqs.get('/metrics').splitlines() if line.startswith('appia_mqs_share_'))
        assert int(metrics['appia_mqs_share_lock_timeouts_total']) >= 1 and int(metrics['appia_mqs_share_sessions']) >= 2
        assert int(metrics['appia_mqs_share_partitions']) >= 1 and int(metrics['appia_mqs_share_offsets_in_flight']) >= 1


def test_renewing(mqs, wire):
    topic = fill(wire, 's-renew', 2)
    with Share(mqs, 'g-s-renew', ['s-renew']) as a:
        assert a.take(topic) == [(0, 1, 1)]
        answer = a.call('ShareFetch', topic, acks=[(0, 1, [RENEW])], is_renew_ack=True, max_bytes=0)
        assert error(answer) == 'NONE' and answer['acquisition_lock_timeout_ms'] == 30000
        assert answer['responses'][0]['partitions'][0]['acknowledge_error_code'] == 0
        answer = a.call('ShareFetch', topic, acks=[(0, 1, [RENEW])], is_renew_ack=True, max_bytes=0, max_records=1)
        assert error(answer) == 'INVALID_REQUEST'
        assert a.acknowledge(topic, (0, 1, [RENEW])) == 'INVALID_REQUEST'
        assert a.acknowledge(topic, (0, 1, [ACCEPT])) == 'NONE'


def test_waiting(mqs, wire):
    """A fetch waits for records that come, and for those that are given back."""
    topic = fill(wire, 's-waits', 1)
    with Share(mqs, 'g-s-waits', ['s-waits'], 'a') as a, Share(mqs, 'g-s-waits', ['s-waits'], 'b') as b:
        assert a.take(topic) == [(0, 0, 1)]
        b.fetch(topic, wait=0)
        b.wire.send('ShareFetch', 2, group_id=b.group, member_id='b', share_session_epoch=1, max_wait_ms=20000, min_bytes=1,
                    max_bytes=1000, max_records=10, batch_size=10)
        assert a.acknowledge(topic, (0, 0, [RELEASE])) == 'NONE'
        answer = b.wire.receive('ShareFetch', 2)
        assert acquired(answer['responses'][0]['partitions'][0]) == [(0, 0, 2)]
        b.wire.send('ShareFetch', 2, group_id=b.group, member_id='b', share_session_epoch=2, max_wait_ms=20000, min_bytes=1,
                    max_bytes=1000, max_records=10, batch_size=10)
        wire.produce('s-waits', batch([b'x']))
        answer = b.wire.receive('ShareFetch', 2)
        assert acquired(answer['responses'][0]['partitions'][0]) == [(1, 1, 1)]


def test_where_a_group_begins(mqs, wire):
    topic = wire.create('s-begin')
    old = int(time.time() * 1000) - 3600000
    wire.produce('s-begin', batch([b'old'], time=old))
    wire.produce('s-begin', batch([b'new']))
    for group, reset, first in (('g-latest', None, 2), ('g-earliest', 'earliest', 0), ('g-hour', 'by_duration:PT10M', 1),
                                ('g-day', 'by_duration:P1D', 0)):
        if reset:
            assert settings(wire, group, share_auto_offset_reset=reset) == 'NONE'
        with Share(mqs, group, ['s-begin']) as a:
            end = time.monotonic() + 20
            while offsets(wire, group, 's-begin')[0] != first:
                a.fetch(topic if a.epoch == 0 else None, wait=100)
                assert time.monotonic() < end, (group, offsets(wire, group, 's-begin'))
                a.acknowledge(topic, (0, 1, [RELEASE])) if first < 2 and a.epoch > 50 else None
    for wrong in ('none', 'by_duration:', 'by_duration:PT', 'by_duration:-PT1H', ''):
        assert settings(wire, 'g-x', share_auto_offset_reset=wrong) == 'INVALID_CONFIG', wrong


def test_transactions(mqs, wire):
    topic = fill(wire, 's-txn', 1)
    assert settings(wire, 'g-s-txn', share_isolation_level='read_committed') == 'NONE'
    pid, epoch = wire.producer('s-txn-id')

    def transaction(commit, n, sequence):
        added = None
        while added in (None, 'CONCURRENT_TRANSACTIONS'):
            answer = wire.call('AddPartitionsToTxn', 3, v3_and_below_transactional_id='s-txn-id', v3_and_below_producer_id=pid,
                               v3_and_below_producer_epoch=epoch,
                               v3_and_below_topics=[{'name': 's-txn', 'partitions': [0]}])
            row = answer['results_by_topic_v3_and_below'][0]['results_by_partition'][0]
            added = errors()[row['partition_error_code']]
        rows = batch([b'x'] * n, producer=(pid, epoch), sequence=sequence, transactional=True)
        assert wire.produce('s-txn', rows, transaction='s-txn-id')['error'] == 'NONE'
        answer = wire.call('EndTxn', 3, transactional_id='s-txn-id', producer_id=pid, producer_epoch=epoch, committed=commit)
        assert error(answer) == 'NONE'
    transaction(False, 2, 0)   # 1, 2, marker 3
    transaction(True, 2, 2)    # 4, 5, marker 6
    transaction(False, 3, 4)   # 7 to 9, marker 10
    wire.produce('s-txn', batch([b'end']))  # 11
    with Share(mqs, 'g-s-txn', ['s-txn']) as a:
        got = []
        while 11 not in got:
            for first, last, _ in a.take(topic):
                got += range(first, last + 1)
        # Markers may be among what is acquired: nobody is shown them.
        assert set(got) - {3, 6, 10} == {0, 4, 5, 11}
        for o in got:
            assert a.acknowledge(topic, (o, o, [ACCEPT])) == 'NONE'
        assert offsets(wire, 'g-s-txn', 's-txn')[0] == 12
    settings(wire, 'g-s-txn2', share_auto_offset_reset='earliest')
    with Share(mqs, 'g-s-txn2', ['s-txn']) as a:
        got = []
        while 11 not in got:
            for first, last, _ in a.take(topic):
                got += range(first, last + 1)
        assert set(got) - {3, 6, 10} == set(range(12)) - {3, 6, 10}


def test_groups(mqs, wire):
    fill(wire, 's-groups', 1)

    def beat(group='g-s-groups', member='m', epoch=0, **more):
        return wire.call('ShareGroupHeartbeat', 1, group_id=group, member_id=member, member_epoch=epoch, **more)
    names = {'subscribed_topic_names': ['s-groups']}
    assert error(beat(epoch=1)) == 'GROUP_ID_NOT_FOUND'
    assert error(beat()) == error(beat(member='', **names)) == error(beat(epoch=-2, **names)) == 'INVALID_REQUEST'
    with Share(mqs, 'g-s-groups', ['s-groups']) as a:
        assert error(beat(member='x', epoch=1)) == 'UNKNOWN_MEMBER_ID'
        assert error(beat(epoch=a.beats + 1)) == 'FENCED_MEMBER_EPOCH'
        group = wire.call('ShareGroupDescribe', 1, group_ids=['g-s-groups'])['groups'][0]
        assert (error(group), group['group_state'], group['assignor_name']) == ('NONE', 'Stable', 'simple')
        member = group['members'][0]
        assert (member['member_id'], member['client_id'], member['subscribed_topic_names']) == ('m', 'wire', ['s-groups'])
        assert [(t['topic_name'], t['partitions']) for t in member['assignment']['topic_partitions']] == [('s-groups', [0])]
        rows = wire.call('ListGroups', 5, types_filter=['share'], states_filter=[])['groups']
        assert ('g-s-groups', 'share', 'Stable', 'share') in [
            (g['group_id'], g['protocol_type'], g['group_state'], g['group_type']) for g in rows]
        # Not a group of another kind.
        assert error(wire.call('ConsumerGroupDescribe', 1, group_ids=['g-s-groups'])['groups'][0]) == 'GROUP_ID_NOT_FOUND'
        assert wire.call('DescribeGroups', 5, groups=['g-s-groups'])['groups'][0]['group_state'] == 'Dead'
        assert wire.commit('g-s-groups', 's-groups', 1) in ('GROUP_ID_NOT_FOUND', 'UNKNOWN_MEMBER_ID')
        assert error(wire.call('DeleteGroups', 2, groups_names=['g-s-groups'])['results'][0]) == 'NON_EMPTY_GROUP'
        assert error(beat(epoch=-1)) == 'NONE'
        group = wire.call('ShareGroupDescribe', 1, group_ids=['g-s-groups'])['groups'][0]
        assert (group['group_state'], group['members']) == ('Empty', [])
    assert error(wire.call('DeleteGroups', 2, groups_names=['g-s-groups'])['results'][0]) == 'NONE'
    assert error(wire.call('ShareGroupDescribe', 1, group_ids=['g-s-groups'])['groups'][0]) == 'GROUP_ID_NOT_FOUND'


def test_offsets_of_groups(mqs, wire):
    topic = fill(wire, 's-offsets', 10)
    group = 'g-s-offsets'

    def alter(start, name='s-offsets', partition=0):
        answer = wire.call('AlterShareGroupOffsets', 0, group_id=group, topics=[
            {'topic_name': name, 'partitions': [{'partition_index': partition, 'start_offset': start}]}])
        return error(answer) if answer['error_code'] else error(answer['responses'][0]['partitions'][0])

    def delete(name='s-offsets'):
        answer = wire.call('DeleteShareGroupOffsets', 0, group_id=group, topics=[{'topic_name': name}])
        return error(answer) if answer['error_code'] else error(answer['responses'][0])
    assert delete() == 'GROUP_ID_NOT_FOUND'
    with Share(mqs, group, ['s-offsets']) as a:
        assert offsets(wire, group, 's-offsets')[0] == -1
        assert a.take(topic) == [(0, 9, 1)]
        assert a.acknowledge(topic, (3, 4, [ACCEPT])) == 'NONE'
        assert offsets(wire, group, 's-offsets') == (0, 8)
        assert alter(5) == delete() == 'NON_EMPTY_GROUP'
        a.wire.call('ShareGroupHeartbeat', 1, group_id=group, member_id='m', member_epoch=-1)
    assert alter(5, 'nowhere') == delete('nowhere') == alter(5, partition=7) == 'UNKNOWN_TOPIC_OR_PARTITION'
    assert alter(5) == 'NONE' and offsets(wire, group, 's-offsets') == (5, 5)
    answer = wire.call('DescribeShareGroupOffsets', 1, groups=[{'group_id': group, 'topics': None}])['groups'][0]
    assert [(t['topic_name'], t['partitions'][0]['start_offset']) for t in answer['topics']] == [('s-offsets', 5)]
    with Share(mqs, group, ['s-offsets'], 'n') as a:
        assert a.take(topic) == [(5, 9, 1)]
        a.wire.call('ShareGroupHeartbeat', 1, group_id=group, member_id='n', member_epoch=-1)
    assert delete() == 'NONE'
    assert offsets(wire, group, 's-offsets')[0] == -1


def test_assignments(mqs, wire):
    wire.create('s-spread', partitions=4)
    with Share(mqs, 'g-s-spread', ['s-spread'], 'a') as a:
        assert a.heartbeat()[0]['partitions'] == [0, 1, 2, 3]
        members = [a] + [Share(mqs, 'g-s-spread', ['s-spread'], f'b{i}') for i in range(5)]
        got = [m.heartbeat()[0]['partitions'] for m in members]
        assert {p for g in got for p in g} == {0, 1, 2, 3} and all(len(g) in (1, 2) for g in got)
        for m in members[1:]:
            m.wire.socket.close()


def test_trimmed_log(mqs, wire):
    """What retention or DeleteRecords takes is no longer waited for."""
    topic = fill(wire, 's-trim', 4, 4)
    with Share(mqs, 'g-s-trim', ['s-trim']) as a:
        assert a.take(topic, limit=4) == [(0, 3, 1)]
        answer = wire.call('DeleteRecords', 2, timeout_ms=5000, topics=[
            {'name': 's-trim', 'partitions': [{'partition_index': 0, 'offset': 6}]}])
        assert error(answer['topics'][0]['partitions'][0]) == 'NONE'
        assert a.take()[-1] == (6, 7, 1)
        assert a.acknowledge(topic, (0, 3, [ACCEPT])) == 'NONE'


# ---- Apache Kafka's client

@pytest.mark.parametrize('name', ['implicit', 'explicit', 'renew', 'closing', 'transactions', 'administration'])
def test_java(mqs, java, name):
    java.run('ShareScenarios', name, mqs.address)


# ---- this broker's own

def login(broker, name, password='secret'):
    w = Wire(broker, port=broker.sasl_plaintext_port)
    assert error(w.call('SaslHandshake', 1, mechanism='PLAIN')) == 'NONE'
    assert error(w.call('SaslAuthenticate', 2, auth_bytes=f'\0{name}\0{password}'.encode())) == 'NONE'
    return w


@pytest.fixture
def own():
    broker = Mqs(published=[app('root')])
    yield broker
    broker.stop()
    broker.remove()


def test_killed(own):
    """What was acknowledged is not delivered again, what was not is: over kill -9, whatever was under way."""
    done, left, chance = set(), set(range(3000)), random.Random(932)
    with Wire(own) as w:
        topic = fill(w, 's-kill', *[100] * 30)
    for number in range(6):
        with Share(own, 'g-s-kill', ['s-kill'], f'm{number}') as a:
            held = []
            while len(held) < 700:
                held += [o for first, last, _ in a.take(topic, limit=100) for o in range(first, last + 1)]
            # Nothing that an answer said was done with.
            assert not done & set(held) and len(held) == len(set(held))
            chance.shuffle(held)
            for o in held[:250]:
                assert a.acknowledge(topic, (o, o, [ACCEPT])) == 'NONE'
                done.add(o)
            # These may be in time or not.
            for i, o in enumerate(held[250:300]):
                a.wire.send('ShareAcknowledge', 2, group_id='g-s-kill', member_id=a.member, share_session_epoch=a.epoch + i,
                            topics=[{'topic_id': topic, 'partitions': [{'partition_index': 0, 'acknowledgement_batches': [
                                {'first_offset': o, 'last_offset': o, 'acknowledge_types': [ACCEPT]}]}]}])
                left.discard(o)
            own.kill()
        own.start()
    left -= done
    with Share(own, 'g-s-kill', ['s-kill'], 'last') as a:
        got = set()
        while not left <= got:
            for first, last, _ in a.take(topic, limit=100):
                got |= set(range(first, last + 1))
                assert a.acknowledge(topic, (first, last, [ACCEPT])) == 'NONE'
        assert not got & done
    with Wire(own) as w:
        assert offsets(w, 'g-s-kill', 's-kill') == (3000, 0)


def test_restarted(own):
    """Counts of deliveries, start offsets and settings are there again; so are members."""
    with Wire(own) as w:
        topic = fill(w, 's-again', 5)
        assert settings(w, 'g-s-again', share_isolation_level='read_committed', share_record_lock_duration_ms='20000') == 'NONE'
        other = w.create('s-latest')
        w.produce('s-latest', batch([b'x']))
    with Share(own, 'g-s-again', ['s-again'], 'a') as a, Share(own, 'g-latest', ['s-latest'], 'b') as b:
        while b.epoch < 3:
            b.fetch(other if not b.epoch else None, wait=100)
        assert a.take(topic) == [(0, 4, 1)]
        assert a.acknowledge(topic, (1, 1, [ACCEPT]), (3, 3, [RELEASE])) == 'NONE'
        own.kill()
    own.start()
    with Wire(own) as w:
        w.produce('s-latest', batch([b'y']))
        assert offsets(w, 'g-s-again', 's-again') == (0, 4)
        rows = w.call('DescribeConfigs', 4, resources=[{'resource_type': 32, 'resource_name': 'g-s-again',
                                                        'configuration_keys': None}])['results'][0]['configs']
        values = {r['name']: (r['value'], r['config_source'] == 8) for r in rows if r['name'].startswith('share.')}
        assert values == {'share.session.timeout.ms': ('45000', False), 'share.heartbeat.interval.ms': ('5000', False),
                          'share.record.lock.duration.ms': ('20000', True), 'share.isolation.level': ('read_committed', True),
                          'share.auto.offset.reset': ('earliest', True)}
        members = w.call('ShareGroupDescribe', 1, group_ids=['g-s-again'])['groups'][0]['members']
        assert [m['member_id'] for m in members] == ['a']
    with Share(own, 'g-s-again', ['s-again'], 'a') as a, Share(own, 'g-latest', ['s-latest'], 'b') as b:
        assert a.take(topic) == [(0, 0, 2), (2, 4, 2)]
        # What came while it was down counts as new.
        assert b.take(other) == [(1, 1, 1)]
    with Wire(own) as w:
        answer = w.call('DeleteTopics', 6, topics=[{'name': 's-again', 'topic_id': bytes(16)}], timeout_ms=5000)
        assert error(answer['responses'][0]) == 'NONE'
        answer = w.call('DescribeShareGroupOffsets', 1, groups=[{'group_id': 'g-s-again', 'topics': None}])['groups'][0]
        assert answer['topics'] == []


def waiting(member, seconds=30):
    """Sends a fetch that waits."""
    member.wire.send('ShareFetch', 2, group_id=member.group, member_id=member.member, share_session_epoch=member.epoch,
                     max_wait_ms=seconds * 1000, min_bytes=1, max_bytes=1000, max_records=10, batch_size=10)


def test_ends_of_those_who_wait(own):
    with Wire(own) as w:
        topic, other = fill(w, 's-end'), fill(w, 's-gone')
        with Share(own, 'g-s-end', ['s-end']) as a, Share(own, 'g-s-gone', ['s-gone']) as b, Share(own, 'g-s-end', ['s-end'], 'c') as c:
            for member, which in ((a, topic), (b, other), (c, topic)):
                member.fetch(which, wait=0)
                waiting(member)
            # The topic goes.
            answer = w.call('DeleteTopics', 6, topics=[{'name': 's-gone', 'topic_id': bytes(16)}], timeout_ms=5000)
            assert error(answer['responses'][0]) == 'NONE'
            row = b.wire.receive('ShareFetch', 2)['responses'][0]['partitions'][0]
            assert error(row) in ('UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_ID')
            # The client goes, and what comes is for others.
            a.wire.socket.close()
            w.produce('s-end', batch([b'x']))
            end = time.monotonic() + 20
            while True:
                rows = [p for r in c.wire.receive('ShareFetch', 2)['responses'] for p in r['partitions']]
                c.epoch += 1
                if rows and rows[0]['acquired_records']:
                    break
                assert time.monotonic() < end
                waiting(c, 1)
            # The broker goes.
            waiting(c)
            begin = time.monotonic()
            own.stop()
            assert time.monotonic() - begin < 20
    own.start()


def test_tags():
    rights = [{'put': 'raw', 'key': f'topic_right/s-tags/key-{n}', 'value': json.dumps(
        {'pub': True, 'sub': True, 'owner': False, 'pub_tags': [], 'sub_tags': tags})} for n, tags in (('red', ['red']), ('all', []))]
    broker = Mqs(published=[app('red'), app('all')] + rights)
    try:
        with Wire(broker) as w, login(broker, 'key-red', 'secret-red') as red:
            topic = fill(w, 's-tags')
            w.produce('s-tags', batch([(None, b'%d' % i, {b'TAGS': b'red' if i % 3 == 0 else b'blue'}) for i in range(6)]))
            w.produce('s-tags', batch([(None, b'y', {b'TAGS': b'blue'})] * 4))
            w.produce('s-tags', batch([(None, b'z', {b'TAGS': b'red'})]))
            a = Share(broker, 'g-s-tags', ['s-tags'], wire=red)
            got, seen, end = [], [], time.monotonic() + 20
            while 10 not in got:
                row = a.fetch(None if a.epoch else topic)
                for first, last, _ in acquired(row) if row else ():
                    got += range(first, last + 1)
                seen += [r[0] for r in records(row['records'])] if row else []
                assert time.monotonic() < end
            assert seen == [0, 3, 10] and not set(got) & {6, 7, 8, 9}
            assert a.acknowledge(topic, (0, 5, [ACCEPT, 0, 0, ACCEPT, 0, 0]), (10, 10, [ACCEPT])) == 'NONE'
            assert offsets(w, 'g-s-tags', 's-tags') == (11, 0)
    finally:
        broker.stop()
        broker.remove()


def test_rights(own):
    with Wire(own) as w:
        topic = w.create('s-rights')
        w.produce('s-rights', batch([b'x']))
        settings(w, 'g', share_auto_offset_reset='earliest')

        def acl(resource, name, op):
            answer = w.call('CreateAcls', 3, creations=[{
                'resource_type': resource, 'resource_name': name, 'resource_pattern_type': 3, 'principal': 'User:two',
                'host': '*', 'operation': op, 'permission_type': 3}])
            assert error(answer['results'][0]) == 'NONE'
        assert w.call('AlterUserScramCredentials', 0, deletions=[], upsertions=[
            {'name': 'two', 'mechanism': 1, 'iterations': 4096, 'salt': b'salt',
             'salted_password': hashlib.pbkdf2_hmac('sha256', b'secret', b'salt', 4096)}])
        with login(own, 'two') as two:
            def beat():
                return error(two.call('ShareGroupHeartbeat', 1, group_id='g', member_id='m', member_epoch=0,
                                      subscribed_topic_names=['s-rights']))

            def fetch(epoch=0):
                return two.call('ShareFetch', 1, group_id='g', member_id='m', share_session_epoch=epoch, max_wait_ms=0,
                                max_bytes=1000, max_records=10, batch_size=10, topics=[
                                    {'topic_id': topic, 'partitions': [{'partition_index': 0}]}])
            assert beat() == 'GROUP_AUTHORIZATION_FAILED'
            assert error(fetch()) == 'GROUP_AUTHORIZATION_FAILED'
            assert error(two.call('ShareAcknowledge', 1, group_id='g', member_id='m')) == 'GROUP_AUTHORIZATION_FAILED'
            for name in ('ShareGroupDescribe', 'DescribeShareGroupOffsets'):
                rows = {'group_ids': ['g']} if name == 'ShareGroupDescribe' else {'groups': [{'group_id': 'g', 'topics': None}]}
                assert error(two.call(name, 1, **rows)['groups'][0]) == 'GROUP_AUTHORIZATION_FAILED'
            for name in ('AlterShareGroupOffsets', 'DeleteShareGroupOffsets'):
                assert error(two.call(name, 0, group_id='g')) == 'GROUP_AUTHORIZATION_FAILED'
            acl(3, 'g', 3)
            assert beat() == 'TOPIC_AUTHORIZATION_FAILED'
            acl(2, 's-rights', 8)
            assert beat() == 'NONE'
            row = fetch()['responses'][0]['partitions'][0]
            assert error(row) == 'TOPIC_AUTHORIZATION_FAILED' and not row['records']
            acl(2, 's-rights', 3)
            end = time.monotonic() + 10
            while not fetch()['responses'][0]['partitions'][0]['acquired_records']:
                assert time.monotonic() < end
