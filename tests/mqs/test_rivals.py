# SPDX-License-Identifier: Apache-2.0
"""Behaviours that other brokers of this protocol got wrong, one test each."""
import concurrent.futures
import shutil
import struct
import subprocess
import time
import uuid

import pytest

from lib.mqs import Mqs
from lib.wire import Wire, batch, batches, crc32c, error, errors, message, offsets_seen, records

OLDEST, LATEST, NEWEST_TIME = -2, -1, -3


@pytest.fixture
def wire(mqs):
    with Wire(mqs) as w:
        yield w


@pytest.fixture
def own():
    """A broker that a test may kill."""
    broker = Mqs()
    yield broker
    broker.stop()
    broker.remove()


@pytest.fixture
def topic():
    return 't-' + uuid.uuid4().hex[:12]


class Member:
    """A member of a classic group, with a connection of its own."""

    def __init__(self, mqs, group, session=10000, instance=None):
        self.wire, self.group, self.session, self.instance = Wire(mqs), group, session, instance
        self.id, self.generation, self.leader = '', -1, False

    def ask(self):
        self.wire.send('JoinGroup', 7, group_id=self.group, session_timeout_ms=self.session, rebalance_timeout_ms=10000,
                       member_id=self.id, group_instance_id=self.instance, protocol_type='consumer',
                       protocols=[{'name': 'range', 'metadata': b''}])

    def answer(self):
        a = self.wire.receive('JoinGroup', 7)
        self.id = a['member_id'] or self.id
        if error(a) == 'MEMBER_ID_REQUIRED':
            self.ask()
            return self.answer()
        self.generation, self.leader = a['generation_id'], a['leader'] == self.id
        self.members = [m['member_id'] for m in a['members']]
        return error(a)

    def enter(self):
        """The first join of a new member: it waits for the others. Its answer is answer()."""
        self.ask()
        a = self.wire.receive('JoinGroup', 7)
        assert error(a) == 'MEMBER_ID_REQUIRED'
        self.id = a['member_id']
        self.ask()

    def join(self):
        self.ask()
        return self.answer()

    def sync(self):
        rows = [{'member_id': m, 'assignment': m.encode()} for m in self.members] if self.leader else []
        a = self.wire.call('SyncGroup', 5, group_id=self.group, generation_id=self.generation, member_id=self.id,
                           group_instance_id=self.instance, protocol_type='consumer', protocol_name='range', assignments=rows)
        return error(a), a['assignment']

    def heartbeat(self):
        return error(self.wire.call('Heartbeat', 4, group_id=self.group, generation_id=self.generation, member_id=self.id,
                                    group_instance_id=self.instance))

    def leave(self):
        return error(self.wire.call('LeaveGroup', 5, group_id=self.group, members=[{'member_id': self.id}]))

    def commit(self, topic, offset):
        return self.wire.commit(self.group, topic, offset, member=self.id, generation=self.generation, instance=self.instance)


def share(*members):
    """The leader says who gets what, the others hear it."""
    for m in sorted(members, key=lambda m: not m.leader):
        assert m.sync() == ('NONE', m.id.encode())


def until(check, seconds=20):
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)


# ---- reading

def test_a_fetch_inside_of_a_batch_returns_the_whole_batch(wire, topic):
    wire.create(topic)
    for i in range(3):
        wire.produce(topic, batch([b'%d' % (i * 10 + k) for k in range(10)]))
    for version in range(4, 13):
        answer = wire.fetch(topic, 16, version=version)
        got = list(batches(answer['records']))
        assert answer['error'] == 'NONE' and [b[0] for b in got] == [10, 20], version
        assert [r[0] for r in got[0][5]] == list(range(10, 20))
    # KIP-74: the first batch comes even where it is longer than the limit.
    first = list(batches(wire.fetch(topic, 16, size=1)['records']))
    assert first[0][0] == 10 and len(first[0][5]) == 10


def test_offsets_for_times(wire, topic):
    wire.create(topic, retention_ms=-1)
    wire.produce(topic, batch([b'a', b'b', b'c'], time=1000, step=1000))
    wire.produce(topic, batch([b'd', b'e', b'f'], time=9000, step=-1000))

    def at(timestamp, version):
        rows = wire.call('ListOffsets', version, replica_id=-1, topics=[
            {'name': topic, 'partitions': [{'partition_index': 0, 'timestamp': timestamp}]}])['topics'][0]['partitions']
        return rows[0]['offset'], rows[0]['timestamp']
    for version in range(1, 11):
        assert [at(t, version) for t in (0, 1000, 1001, 3000)] == [(0, 1000), (0, 1000), (1, 2000), (2, 3000)], version
        # The first record that is not older, though the next one is.
        assert at(3001, version) == (3, 9000)
        assert at(9001, version) == (-1, -1)
        assert at(OLDEST, version) == (0, -1) and at(LATEST, version) == (6, -1)
    assert at(NEWEST_TIME, 7) == (3, 9000)


def test_a_fetch_that_was_answered_has_no_timeout(mqs, wire, topic):
    wire.create(topic)
    with Wire(mqs) as other:
        other.send('Fetch', 4, max_wait_ms=300, min_bytes=1, max_bytes=1000, topics=[
            {'topic': topic, 'partitions': [{'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 1000}]}])
        wire.produce(topic, batch([b'x']))
        assert len(records(other.receive('Fetch', 4)['responses'][0]['partitions'][0]['records'])) == 1
        time.sleep(0.5)  # the time it would have waited for
        assert other.fetch(topic, 0)['error'] == 'NONE'


# ---- writing

def test_a_record_without_key_on_a_compacted_topic_is_invalid(wire, topic):
    wire.create(topic, cleanup_policy='compact')
    answer = wire.produce(topic, batch([(b'k', b'1'), (None, b'2')]))
    assert (answer['error'], answer['base_offset']) == ('INVALID_RECORD', -1)
    # It says which, so that the client can send the others again.
    assert [e['batch_index'] for e in answer['record_errors']] == [1]
    assert wire.produce(topic, batch([(b'k', b'3')]))['base_offset'] == 0
    assert records(wire.fetch(topic, 0)['records']) == [(0, b'k', b'3')]


def test_max_message_bytes_is_enforced(wire, topic):
    fits = batch([b'x' * 900])
    wire.create(topic, max_message_bytes=len(fits))
    assert wire.produce(topic, fits)['error'] == 'NONE'
    answer = wire.produce(topic, batch([b'x' * 901]))
    assert (answer['error'], answer['base_offset']) == ('MESSAGE_TOO_LARGE', -1)
    # Two batches that fit, in one request.
    assert wire.produce(topic, batch([b'a']) + batch([b'b']))['error'] in ('NONE', 'INVALID_RECORD')
    resource = [{'resource_type': 2, 'resource_name': topic, 'configs': [
        {'name': 'max.message.bytes', 'config_operation': 0, 'value': str(len(fits) + 1)}]}]
    assert wire.call('IncrementalAlterConfigs', 1, resources=resource)['responses'][0]['error_code'] == 0
    assert wire.produce(topic, batch([b'x' * 901]))['error'] == 'NONE'


def test_a_bad_append_poisons_nothing(mqs, wire, topic):
    wire.create(topic)
    good = batch([b'good'])

    def changed(at, form, value, crc=True):
        data = bytearray(good)
        struct.pack_into('>' + form, data, at, value)
        if crc:
            struct.pack_into('>I', data, 17, crc32c(data[21:]))
        return bytes(data)
    bad = [changed(60, 'B', 0xff, crc=False), changed(57, 'i', 7), changed(57, 'i', -1), changed(23, 'i', 5),
           changed(16, 'b', 7), changed(22, 'b', 5), changed(22, 'b', 7), changed(8, 'i', 9), changed(8, 'i', 1 << 30),
           changed(22, 'b', 32), good[:-1], good[:20], b'x', good + good[:30]]
    for n, data in enumerate(bad):
        answer = wire.produce(topic, data)
        assert answer['error'] in ('CORRUPT_MESSAGE', 'INVALID_RECORD', 'INVALID_REQUEST', 'UNSUPPORTED_COMPRESSION_TYPE',
                                   'MESSAGE_TOO_LARGE', 'UNSUPPORTED_FOR_MESSAGE_FORMAT'), (n, answer)
        # The same partition goes on, on this connection and on others.
        assert wire.produce(topic, good)['base_offset'] == 2 * n
        with Wire(mqs) as other:
            assert other.produce(topic, good)['base_offset'] == 2 * n + 1
    assert [r[2] for r in records(wire.fetch(topic, 0)['records'])] == [b'good'] * 2 * len(bad)


def test_a_repeated_batch_is_answered_with_its_first_offset(own, topic):
    with Wire(own) as w:
        w.create(topic)
        p = w.producer()
        sent = [batch([b'%d' % i, b'x'], producer=p, sequence=2 * i) for i in range(5)]
        assert [w.produce(topic, b)['base_offset'] for b in sent] == [0, 2, 4, 6, 8]
        assert [w.produce(topic, b)['base_offset'] for b in sent] == [0, 2, 4, 6, 8]
    own.kill()
    own.start()
    with Wire(own) as w:
        answers = [w.produce(topic, b) for b in sent]
        assert [(a['error'], a['base_offset']) for a in answers] == [('NONE', o) for o in (0, 2, 4, 6, 8)]
        assert len(records(w.fetch(topic, 0)['records'])) == 10


def test_a_gap_in_the_sequence_is_refused(own, topic):
    with Wire(own) as w:
        w.create(topic)
        p = w.producer()
        assert w.produce(topic, batch([b'a', b'b'], producer=p, sequence=0))['error'] == 'NONE'
        for sequence in (3, 1, 1000):
            answer = w.produce(topic, batch([b'x'], producer=p, sequence=sequence))
            assert (answer['error'], answer['base_offset']) == ('OUT_OF_ORDER_SEQUENCE_NUMBER', -1)
    own.kill()
    own.start()
    with Wire(own) as w:
        assert w.produce(topic, batch([b'x'], producer=p, sequence=3))['error'] == 'OUT_OF_ORDER_SEQUENCE_NUMBER'
        assert w.produce(topic, batch([b'c'], producer=p, sequence=2))['base_offset'] == 2
        older = batch([b'x'], producer=(p[0], p[1] - 1), sequence=3)
        assert w.produce(topic, older)['error'] in ('INVALID_RECORD', 'INVALID_PRODUCER_EPOCH')


# ---- topics

def test_create_partitions_answers_for_each_topic(wire, topic):
    names = [topic + '-' + n for n in 'abcd']
    for name in names:
        wire.create(name, 2)
    wanted = [(names[0], 5), (names[1], 1), (topic + '-none', 3), (names[2], 2), (names[3], 3)]
    for version in range(4):
        answer = wire.call('CreatePartitions', version, timeout_ms=10000, validate_only=version < 3, topics=[
            {'name': n, 'count': c, 'assignments': None} for n, c in wanted])
        assert [(r['name'], errors()[r['error_code']]) for r in answer['results']] == [
            (names[0], 'NONE'), (names[1], 'INVALID_PARTITIONS'), (topic + '-none', 'UNKNOWN_TOPIC_OR_PARTITION'),
            (names[2], 'INVALID_PARTITIONS'), (names[3], 'NONE')]
    counts = {t['name']: len(t['partitions']) for t in wire.call('Metadata', 9, topics=[{'name': n} for n in names])['topics']}
    assert list(counts.values()) == [5, 2, 2, 3]


def delete(wire, topic):
    assert wire.call('DeleteTopics', 5, topic_names=[topic], timeout_ms=10000)['responses'][0]['error_code'] == 0


def test_a_topic_that_was_made_anew_has_another_id(mqs, wire, topic):
    old = wire.create(topic)
    for i in range(5):
        wire.produce(topic, batch([b'old']))
    assert wire.fetch(old, 0, version=13)['error'] == 'NONE'
    assert wire.commit('g-' + topic, topic, 5) == 'NONE'

    def in_session(w, session, epoch, topics):
        return w.call('Fetch', 13, max_wait_ms=0, min_bytes=1, max_bytes=1 << 20, session_id=session, session_epoch=epoch,
                      topics=topics)
    with Wire(mqs) as reader:
        wanted = [{'topic_id': old, 'partitions': [{'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 1 << 20}]}]
        session = in_session(reader, 0, 0, wanted)['session_id']
        assert session
        delete(wire, topic)
        new = wire.create(topic)
        assert new != old and wire.call('Metadata', 12, topics=[{'name': topic}])['topics'][0]['topic_id'] == new
        wire.produce(topic, batch([b'new']))
        # Nothing of the new topic for who knows the old one, nothing of the old one for who knows the new one.
        row = in_session(reader, session, 1, [])['responses'][0]['partitions'][0]
        assert errors()[row['error_code']] in ('UNKNOWN_TOPIC_ID', 'INCONSISTENT_TOPIC_ID') and not row['records']
    for version in (13, 15, 16, 17):
        answer = wire.fetch(old, 0, version=version)
        assert answer['error'] == 'UNKNOWN_TOPIC_ID' and not answer['records'], version
        assert [r[2] for r in records(wire.fetch(new, 0, version=version)['records'])] == [b'new']
    assert wire.fetch(new, 5, version=13)['error'] == 'OFFSET_OUT_OF_RANGE'
    stale = wire.call('Produce', 13, acks=-1, timeout_ms=1000, topic_data=[
        {'topic_id': old, 'partition_data': [{'index': 0, 'records': batch([b'x'])}]}])
    assert errors()[stale['responses'][0]['partition_responses'][0]['error_code']] == 'UNKNOWN_TOPIC_ID'
    # Nor does a group go on at an offset of the old one.
    until(lambda: wire.committed('g-' + topic, topic)[0] == -1)


def test_a_fetch_session_stays_with_names_or_with_ids(mqs, topic):
    with Wire(mqs) as w:
        uid = w.create(topic)
        part = [{'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 1000}]
        first = w.call('Fetch', 12, max_wait_ms=0, session_epoch=0, topics=[{'topic': topic, 'partitions': part}])
        assert first['session_id'] and first['error_code'] == 0
        second = w.call('Fetch', 13, max_wait_ms=0, session_id=first['session_id'], session_epoch=1, topics=[
            {'topic_id': uid, 'partitions': part}])
        assert error(second) == 'FETCH_SESSION_TOPIC_ID_ERROR'


def test_topics_of_kafka_connect_are_compacted(wire, topic):
    """A worker makes its three topics and looks whether they are compacted; the settings in one partition."""
    for name, partitions in (('configs', 1), ('offsets', 25), ('status', 5)):
        wire.create(f'{topic}-{name}', partitions, cleanup_policy='compact')
        answer = wire.call('DescribeConfigs', 4, include_synonyms=True, resources=[
            {'resource_type': 2, 'resource_name': f'{topic}-{name}', 'configuration_keys': ['cleanup.policy']}])['results'][0]
        config = answer['configs'][0]
        assert (config['name'], config['value'], config['config_source']) == ('cleanup.policy', 'compact', 1)
        assert [(s['value'], s['source']) for s in config['synonyms']] == [('compact', 1), ('delete', 5)]
        got = wire.call('Metadata', 12, topics=[{'name': f'{topic}-{name}'}])['topics'][0]
        assert len(got['partitions']) == partitions


# ---- groups

def test_metadata_of_an_offset_comes_back(own, topic):
    with Wire(own) as w:
        w.create(topic)
        text = 'größer {"a": 1} \u2713'
        for version in range(0, 10):
            group = f'meta-{version}'
            assert w.commit(group, topic, version, version=version, metadata=text) == 'NONE'
            assert w.committed(group, topic) == (version, text)
        old = w.call('OffsetFetch', 1, group_id='meta-0', topics=[{'name': topic, 'partition_indexes': [0]}])
        assert old['topics'][0]['partitions'][0]['metadata'] == text
        assert w.commit('meta-none', topic, 1, metadata=None) == 'NONE'
        assert w.committed('meta-none', topic) == (1, '')
        assert w.commit('meta-0', topic, 99, metadata='x' * 5000) == 'OFFSET_METADATA_TOO_LARGE'
    own.kill()
    own.start()
    with Wire(own) as w:
        assert [w.committed(f'meta-{v}', topic) for v in range(10)] == [(v, text) for v in range(10)]


def test_no_offset_is_not_offset_0(wire, topic):
    wire.create(topic, 3)
    assert wire.committed('zero-' + topic, topic) == (-1, '')
    assert wire.commit('zero-' + topic, topic, 7, partition=1) == 'NONE'
    for partition, offset in ((0, -1), (1, 7), (2, -1), (77, -1)):
        assert wire.committed('zero-' + topic, topic, partition)[0] == offset
    assert wire.committed('zero-' + topic, 'no-' + topic)[0] == -1
    everything = wire.call('OffsetFetch', 8, groups=[{'group_id': 'zero-' + topic, 'topics': None}])['groups'][0]
    assert [(t['name'], [p['partition_index'] for p in t['partitions']]) for t in everything['topics']] == [(topic, [1])]
    gone = wire.call('OffsetDelete', 0, group_id='zero-' + topic, topics=[
        {'name': topic, 'partitions': [{'partition_index': 1}]}])
    assert gone['error_code'] == 0 and wire.committed('zero-' + topic, topic, 1)[0] == -1
    # A refused Produce names no offset, and a partition that is not there has none.
    assert wire.produce('no-' + topic + '!', batch([b'x']))['base_offset'] == -1
    row = wire.call('ListOffsets', 7, replica_id=-1, topics=[
        {'name': topic, 'partitions': [{'partition_index': 77, 'timestamp': LATEST}]}])['topics'][0]['partitions'][0]
    assert (errors()[row['error_code']], row['offset']) == ('UNKNOWN_TOPIC_OR_PARTITION', -1)


def test_who_assigns_partitions_by_himself_may_commit(wire, topic):
    """Clients of the new protocol name a member id though they are no member; an empty group takes that."""
    wire.create(topic)
    for n, (version, member) in enumerate(((8, ''), (9, str(uuid.uuid4())), (9, str(uuid.uuid4())))):
        assert wire.commit('alone-' + topic, topic, n, version=version, member=member) == 'NONE'
        assert wire.committed('alone-' + topic, topic)[0] == n
    assert wire.commit('alone-' + topic, topic, 9, member='x', generation=5) != 'NONE'


def test_a_member_that_left_and_came_back_costs_two_rebalances(mqs, topic):
    """max.poll.interval.ms has passed: the client leaves, and joins again when it polls."""
    a, b = Member(mqs, 'poll-' + topic), Member(mqs, 'poll-' + topic)
    assert a.join() == 'NONE'
    a.sync()
    b.enter()
    until(lambda: a.heartbeat() == 'REBALANCE_IN_PROGRESS')
    first = (a.join(), b.answer(), a.generation)
    assert first[:2] == ('NONE', 'NONE')
    share(a, b)
    assert b.leave() == 'NONE'
    assert b.heartbeat() == 'UNKNOWN_MEMBER_ID'
    assert a.heartbeat() == 'REBALANCE_IN_PROGRESS'
    assert (a.join(), a.generation, a.sync()[0]) == ('NONE', first[2] + 1, 'NONE')
    assert [a.heartbeat() for _ in range(20)] == ['NONE'] * 20
    b.id = ''
    b.enter()
    until(lambda: a.heartbeat() == 'REBALANCE_IN_PROGRESS')
    assert (a.join(), b.answer(), a.generation) == ('NONE', 'NONE', first[2] + 2)
    share(a, b)
    # That was all.
    for _ in range(20):
        assert (a.heartbeat(), b.heartbeat()) == ('NONE', 'NONE')


def test_commits_during_a_rebalance(mqs, wire, topic):
    wire.create(topic)
    a, b = Member(mqs, 'commit-' + topic), Member(mqs, 'commit-' + topic)
    assert a.join() == 'NONE'
    # The leader has not said yet who gets what.
    assert a.commit(topic, 1) == 'REBALANCE_IN_PROGRESS'
    a.sync()
    assert a.commit(topic, 1) == 'NONE'
    b.enter()
    until(lambda: a.heartbeat() == 'REBALANCE_IN_PROGRESS')
    # Who gives partitions back may still commit what it has read.
    assert a.commit(topic, 2) == 'NONE'
    stranger = {'generation': a.generation, 'member': 'nobody'}
    assert wire.commit(a.group, topic, 99, **stranger) == 'UNKNOWN_MEMBER_ID'
    assert (a.join(), b.answer()) == ('NONE', 'NONE')
    assert a.commit(topic, 99) == 'REBALANCE_IN_PROGRESS'
    assert b.commit(topic, 99) == 'REBALANCE_IN_PROGRESS'
    assert wire.commit(a.group, topic, 99, **stranger) == 'UNKNOWN_MEMBER_ID'
    assert wire.commit(a.group, topic, 99, generation=a.generation - 1, member=a.id) == 'ILLEGAL_GENERATION'
    assert wire.commit(a.group, topic, 99) == 'UNKNOWN_MEMBER_ID'
    share(a, b)
    assert wire.committed(a.group, topic)[0] == 2
    assert (a.commit(topic, 3), b.commit(topic, 4)) == ('NONE', 'NONE')
    assert wire.committed(a.group, topic)[0] == 4


def test_members_that_join_at_once_are_all_known(mqs, topic):
    group = 'many-' + topic
    members = [Member(mqs, group) for _ in range(24)]

    def live(m):
        """As a client does: join, sync, heartbeat; again while the group is in a rebalance."""
        seen, steady, end = [], 0, time.monotonic() + 30
        while steady < 10 and time.monotonic() < end:
            seen.append(m.join())
            if seen[-1] == 'NONE':
                seen.append(m.sync()[0])
            while seen[-1] == 'NONE' and steady < 10:
                seen.append(m.heartbeat())
                steady = steady + 1 if seen[-1] == 'NONE' and m.heartbeat() == 'NONE' else 0
                time.sleep(0.02)
            if steady < 10:
                steady = 0
        return steady, set(seen)
    with concurrent.futures.ThreadPoolExecutor(len(members)) as pool:
        results = list(pool.map(live, members))
    assert {s for s, _ in results} == {10}
    assert not set.union(*(seen for _, seen in results)) - {'NONE', 'REBALANCE_IN_PROGRESS'}
    # All are still there, in one generation; who fell out of step while others joined catches up.
    with Wire(mqs) as w:
        described = w.call('DescribeGroups', 5, groups=[group])['groups'][0]
    assert {m['member_id'] for m in described['members']} == {m.id for m in members}


def test_groups_go_on_after_a_restart_of_the_coordinator(own, topic):
    with Wire(own) as w:
        w.create(topic, 2)
    group = 'again-' + topic
    members = [Member(own, group), Member(own, group)]
    assert members[0].join() == 'NONE'
    members[0].sync()
    members[1].enter()
    until(lambda: members[0].heartbeat() == 'REBALANCE_IN_PROGRESS')
    assert (members[0].join(), members[1].answer()) == ('NONE', 'NONE')
    share(*members)
    assert members[0].commit(topic, 5) == 'NONE'
    own.kill()
    own.start()
    for m in members:
        m.wire = Wire(own)
    # Nobody has to join again, nobody is stuck.
    assert [m.heartbeat() for m in members] == ['NONE', 'NONE']
    assert members[0].wire.committed(group, topic)[0] == 5
    assert members[1].commit(topic, 6) == 'NONE'
    # Death in the middle of a rebalance.
    third = Member(own, group)
    third.enter()
    until(lambda: members[0].heartbeat() == 'REBALANCE_IN_PROGRESS')
    own.kill()
    own.start()
    for m in (*members, third):
        m.wire = Wire(own)
    for m in (*members, third):
        m.ask()
    assert [m.answer() for m in (*members, third)] == ['NONE'] * 3
    share(*members, third)
    assert [m.heartbeat() for m in (*members, third)] == ['NONE'] * 3
    assert members[0].wire.committed(group, topic)[0] == 6


def test_new_groups_go_on_after_a_restart_of_the_coordinator(own, topic):
    with Wire(own) as w:
        uid = w.create(topic, 2)

    def beat(w, member, epoch, **more):
        return w.call('ConsumerGroupHeartbeat', 1, group_id='new-' + topic, member_id=member, member_epoch=epoch, **more)
    with Wire(own) as w:
        me = str(uuid.uuid4())
        first = beat(w, me, 0, rebalance_timeout_ms=10000, subscribed_topic_names=[topic], topic_partitions=[])
        assert error(first) == 'NONE', first
        assert [(p['topic_id'], sorted(p['partitions'])) for p in first['assignment']['topic_partitions']] == [(uid, [0, 1])]
        epoch = first['member_epoch']
        mine = [{'topic_id': uid, 'partitions': [0, 1]}]
        assert error(beat(w, me, epoch, topic_partitions=mine)) == 'NONE'
        assert w.commit('new-' + topic, topic, 3, version=9, member=me, generation=epoch) == 'NONE'
    own.kill()
    own.start()
    with Wire(own) as w:
        again = beat(w, me, epoch, topic_partitions=mine)
        assert (error(again), again['member_epoch']) == ('NONE', epoch)
        assert w.commit('new-' + topic, topic, 4, version=9, member=me, generation=epoch) == 'NONE'
        assert w.commit('new-' + topic, topic, 5, version=9, member=me, generation=epoch - 1) == 'STALE_MEMBER_EPOCH'
        assert w.commit('new-' + topic, topic, 5, version=9, member='nobody', generation=epoch) == 'UNKNOWN_MEMBER_ID'
        assert w.committed('new-' + topic, topic)[0] == 4


# ---- transactions

def end(wire, name, producer, commit, version=3):
    answer = wire.call('EndTxn', version, transactional_id=name, producer_id=producer[0], producer_epoch=producer[1],
                       committed=commit)
    return error(answer), (answer['producer_id'], answer['producer_epoch']) if version >= 5 else producer


def add(wire, name, producer, topic, partition=0):
    answer = wire.call('AddPartitionsToTxn', 3, v3_and_below_transactional_id=name, v3_and_below_producer_id=producer[0],
                       v3_and_below_producer_epoch=producer[1], v3_and_below_topics=[{'name': topic, 'partitions': [partition]}])
    return errors()[answer['results_by_topic_v3_and_below'][0]['results_by_partition'][0]['partition_error_code']]


def write(wire, name, producer, topic, sequence, value=b'v', version=9):
    data = batch([value], producer=producer, sequence=sequence, transactional=True)
    answer = wire.produce(topic, data, transaction=name, version=version)
    return answer['error'], answer['base_offset']


def steadily(call):
    """The last transaction's markers may be under way; clients before Produce 12 know that by another name."""
    result = call()
    while {'CONCURRENT_TRANSACTIONS', 'NOT_ENOUGH_REPLICAS'} & {result, result[0]}:
        time.sleep(0.01)
        result = call()
    return result


def committed_until(wire, topic, offset):
    until(lambda: wire.fetch(topic, 0, committed=True, wait=0)['last_stable_offset'] == offset)


def test_transaction_timeout_above_the_maximum(wire, topic):
    for version in range(6):
        answer = wire.call('InitProducerId', version, transactional_id=topic, transaction_timeout_ms=900001)
        assert (error(answer), answer['producer_id']) == ('INVALID_TRANSACTION_TIMEOUT', -1)
    assert wire.producer(topic, timeout=900000)[0] >= 0


def test_an_abort_covers_its_own_range_only(wire, topic):
    wire.create(topic)
    a, b = wire.producer('a-' + topic), wire.producer('b-' + topic)
    assert wire.produce(topic, batch([b'plain']))['base_offset'] == 0
    for name, p in (('a-', a), ('b-', b)):
        assert add(wire, name + topic, p, topic) == 'NONE'
    assert write(wire, 'a-' + topic, a, topic, 0) == ('NONE', 1)
    assert write(wire, 'b-' + topic, b, topic, 0) == ('NONE', 2)
    assert wire.produce(topic, batch([b'plain']))['base_offset'] == 3
    assert write(wire, 'a-' + topic, a, topic, 1) == ('NONE', 4)
    assert end(wire, 'a-' + topic, a, False)[0] == 'NONE'  # offset 5
    committed_until(wire, topic, 2)
    assert end(wire, 'b-' + topic, b, True)[0] == 'NONE'  # offset 6
    committed_until(wire, topic, 7)
    # The same producer again, this time for good.
    assert steadily(lambda: add(wire, 'a-' + topic, a, topic)) == 'NONE'
    assert write(wire, 'a-' + topic, a, topic, 2) == ('NONE', 7)
    assert end(wire, 'a-' + topic, a, True)[0] == 'NONE'
    committed_until(wire, topic, 9)
    for version in range(4, 13):
        answer = wire.fetch(topic, 0, committed=True, version=version)
        assert [(t['producer_id'], t['first_offset']) for t in answer['aborted_transactions']] == [(a[0], 1)], version
        assert offsets_seen(answer['records'], answer['aborted_transactions']) == [0, 2, 3, 7]
    # Behind its marker the aborted transaction is nobody's business.
    assert wire.fetch(topic, 6, committed=True)['aborted_transactions'] == []
    assert wire.fetch(topic, 0)['aborted_transactions'] is None


def test_aborted_records_do_not_leak(own, topic):
    with Wire(own) as w:
        w.create(topic)
        p = w.producer(topic)
        for i in range(12):
            assert steadily(lambda: add(w, topic, p, topic)) == 'NONE'
            assert write(w, topic, p, topic, i) == ('NONE', 2 * i)
            seen = w.fetch(topic, 2 * i, committed=True, wait=0)
            # An open transaction is not shown.
            assert seen['last_stable_offset'] == 2 * i and not seen['records']
            assert end(w, topic, p, i % 3 == 0)[0] == 'NONE'
            committed_until(w, topic, 2 * i + 2)
        assert steadily(lambda: add(w, topic, p, topic)) == 'NONE'
        assert write(w, topic, p, topic, 12) == ('NONE', 24)
    own.kill()
    own.start()
    with Wire(own) as w:
        for start in range(0, 24, 2):
            answer = w.fetch(topic, start, committed=True, wait=0)
            assert answer['last_stable_offset'] == 24
            assert offsets_seen(answer['records'], answer['aborted_transactions']) == list(range(-start % 6 + start, 24, 6))
        assert end(w, topic, p, False)[0] == 'NONE'
        committed_until(w, topic, 26)
        assert w.fetch(topic, 24, committed=True)['aborted_transactions'] == [{'producer_id': p[0], 'first_offset': 24}]


def test_the_epoch_grows_with_each_transaction(wire, topic):
    """KIP-890: a late request of one transaction does not get into the next one."""
    wire.create(topic)
    old = wire.producer(topic)
    # Produce 12 needs no AddPartitionsToTxn.
    assert write(wire, topic, old, topic, 0, version=12) == ('NONE', 0)
    code, new = end(wire, topic, old, True, version=5)
    assert (code, new) == ('NONE', (old[0], old[1] + 1))
    # Repeated: the same answer. The contrary of what was decided: no.
    assert steadily(lambda: end(wire, topic, old, True, version=5)) == ('NONE', new)
    assert end(wire, topic, old, False, version=5)[0] == 'INVALID_TXN_STATE'
    assert write(wire, topic, old, topic, 1, version=12)[0] in ('INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED')
    assert steadily(lambda: write(wire, topic, new, topic, 0, version=12)) == ('NONE', 2)
    code, last = end(wire, topic, new, False, version=5)
    assert (code, last) == ('NONE', (old[0], old[1] + 2))
    committed_until(wire, topic, 4)
    answer = wire.fetch(topic, 0, committed=True)
    assert offsets_seen(answer['records'], answer['aborted_transactions']) == [0]


def test_a_record_outside_of_its_transaction_is_refused(wire, topic):
    """Else it would hold back all who read what is committed, for ever."""
    wire.create(topic)
    p = wire.producer(topic)
    assert write(wire, topic, p, topic, 0)[0] == 'INVALID_TXN_STATE'
    assert add(wire, topic, p, topic) == 'NONE'
    assert write(wire, topic, p, topic, 0) == ('NONE', 0)
    assert end(wire, topic, p, True)[0] == 'NONE'
    committed_until(wire, topic, 2)
    assert steadily(lambda: write(wire, topic, p, topic, 1))[0] == 'INVALID_TXN_STATE'
    assert wire.fetch(topic, 0, committed=True, wait=0)['last_stable_offset'] == 2


# ---- negotiation

def test_an_unknown_version_of_api_versions_is_answered_in_version_0(mqs):
    with Wire(mqs) as w:
        for version in (5, 99, 32767):
            head = struct.pack('>hhih', 18, version, 7, 4) + b'wire'
            w.socket.sendall(struct.pack('>i', len(head)) + head)
            w.correlation = 7
            answer = w.receive('ApiVersions', 0)
            assert error(answer) == 'UNSUPPORTED_VERSION'
            assert (18, 0, 4) in [tuple(k.values()) for k in answer['api_keys']]
        # The client goes on with what it learned, on the same connection.
        assert w.call('ApiVersions', 4, client_software_name='x', client_software_version='1')['error_code'] == 0


def test_every_version_from_0_on_is_offered(wire):
    answer = wire.call('ApiVersions', 4, client_software_name='x', client_software_version='1')
    assert all(k['min_version'] == (k['api_key'] in range(76, 80)) for k in answer['api_keys'])
    offered = {k['api_key']: k['max_version'] for k in answer['api_keys']}
    want = {'Produce': 13, 'Fetch': 17, 'ListOffsets': 10, 'Metadata': 13, 'OffsetCommit': 9, 'OffsetFetch': 9,
            'FindCoordinator': 6, 'JoinGroup': 9, 'Heartbeat': 4, 'LeaveGroup': 5, 'SyncGroup': 5, 'DescribeGroups': 6,
            'ListGroups': 5, 'SaslHandshake': 1, 'ApiVersions': 4, 'CreateTopics': 7, 'DeleteTopics': 6, 'InitProducerId': 5,
            'AddPartitionsToTxn': 5, 'EndTxn': 5, 'TxnOffsetCommit': 5, 'SaslAuthenticate': 2, 'DescribeLogDirs': 4,
            'DescribeAcls': 3, 'DescribeConfigs': 4, 'ConsumerGroupHeartbeat': 1, 'ConsumerGroupDescribe': 1}
    assert {n: v for n, v in want.items() if offered.get(message(n)['key'], -1) < v} == {}
    levels = {f['name']: f['max_version_level'] for f in answer['finalized_features']}
    assert levels['group.version'] == 1 and levels['transaction.version'] == 2 and levels['metadata.version'] > 0


@pytest.mark.skipif(not shutil.which('kcat'), reason='kcat is not installed')
@pytest.mark.parametrize('codec', ['gzip', 'snappy', 'lz4', 'zstd'])
def test_old_clients_do_compress(mqs, wire, topic, codec):
    """librdkafka up to 2.11 looks for exact old versions, and sends without compression where they are missing."""
    wire.create(topic)
    text = '\n'.join(['the same words again and again'] * 300) + '\n'
    done = subprocess.run(['kcat', '-b', mqs.address, '-P', '-t', topic, '-p', '0', '-z', codec, '-X', 'debug=feature,protocol',
                           '-X', 'enable.idempotence=true'], input=text, capture_output=True, text=True, timeout=30, check=True)
    assert 'Disabling feature' not in done.stderr
    for feature in ('MsgVer1', 'MsgVer2', 'BrokerBalancedConsumer', 'ThrottleTime', 'LZ4', 'ZSTD', 'IdempotentProducer',
                    'OffsetTime', 'SaslHandshake', 'SaslAuthReq', 'BrokerGroupCoordinator', 'ApiVersion'):
        assert f'Enabling feature {feature}' in done.stderr or f' {feature}' in done.stderr, feature
    got = list(batches(wire.fetch(topic, 0)['records']))
    number = {'gzip': 1, 'snappy': 2, 'lz4': 3, 'zstd': 4}[codec]
    assert got and {b[1] & 7 for b in got} == {number}
    assert {b[2] >= 0 for b in got} == {True}


def test_localhost_may_be_ipv6(mqs):
    with Wire(mqs, host='::1') as w:
        broker = w.call('Metadata', 9, topics=[])['brokers'][0]
        assert (broker['host'], broker['port']) == ('127.0.0.1', mqs.port)


# ---- what user interfaces ask for

def test_log_dirs_acls_and_configs_are_answered(wire, topic):
    wire.create(topic, 2)
    wire.produce(topic, batch([b'x' * 100]))
    for version in range(5):
        answer = wire.call('DescribeLogDirs', version, topics=[{'topic': topic, 'partitions': [0, 1]}])
        assert answer.get('error_code', 0) == 0
        parts = answer['results'][0]['topics'][0]['partitions']
        assert {p['partition_index']: p['partition_size'] > 0 for p in parts} == {0: True, 1: False}
        assert wire.call('DescribeLogDirs', version, topics=None)['results'][0]['topics']
    for version in range(4):
        answer = wire.call('DescribeAcls', version, resource_type_filter=1, resource_name_filter=None, principal_filter=None,
                           host_filter=None, operation=1, permission_type=1, **({'pattern_type_filter': 1} if version else {}))
        assert error(answer) in ('NONE', 'SECURITY_DISABLED')
    for version in range(5):
        for kind, name, needed in ((2, topic, 'retention.ms'), (4, '1', 'log.retention.ms')):
            answer = wire.call('DescribeConfigs', version, resources=[
                {'resource_type': kind, 'resource_name': name, 'configuration_keys': None}])['results'][0]
            assert answer['error_code'] == 0, (version, answer)
            rows = {c['name']: c for c in answer['configs']}
            assert needed in rows and len(rows) > 20 and all(c['value'] is not None for c in rows.values())
    for name in ('DescribeCluster', 'ListGroups', 'DescribeQuorum', 'ListTransactions', 'DescribeClientQuotas',
                 'ListPartitionReassignments', 'DescribeUserScramCredentials'):
        fields = {'DescribeQuorum': {'topics': [{'topic_name': '__cluster_metadata', 'partitions': [{'partition_index': 0}]}]},
                  'ListPartitionReassignments': {'topics': None, 'timeout_ms': 1000}}.get(name, {})
        assert wire.call(name, 0, **fields)['error_code'] == 0, name


def test_features_cannot_be_changed(wire):
    for version in (0, 1):
        answer = wire.call('UpdateFeatures', version, feature_updates=[{'feature': 'made.up', 'max_version_level': 1}])
        assert error(answer) == 'INVALID_UPDATE_VERSION'
