# SPDX-License-Identifier: Apache-2.0
"""Quotas: each that can be set is enforced."""
import socket
import time

import pytest
import yaml

from lib.wire import SPEC, Wire, errors


@pytest.fixture
def wire(mqs):
    with Wire(mqs) as w:
        yield w


def alter(wire, entity, key, value, **more):
    """Name of the error. entity: {type: name or None}; value None removes."""
    op = {'key': key, 'value': value or 0.0, 'remove': value is None}
    answer = wire.call('AlterClientQuotas', 1, entries=[{
        'entity': [{'entity_type': t, 'entity_name': n} for t, n in entity.items()], 'ops': [op]}], **more)
    return errors()[answer['entries'][0]['error_code']]


def described(wire, *components, strict=False):
    answer = wire.call('DescribeClientQuotas', 1, strict=strict, components=[
        {'entity_type': t, 'match_type': m, 'match': n} for t, m, n in components])
    return sorted((([(e['entity_type'], e['entity_name']) for e in r['entity']], [(v['key'], v['value']) for v in r['values']])
                  for r in answer['entries'] or []), key=repr)


def create(wire, name, parts=1, version=7):
    answer = wire.call('CreateTopics', version, timeout_ms=1000, topics=[
        {'name': name, 'num_partitions': parts, 'replication_factor': 1}])
    return errors()[answer['topics'][0]['error_code']], answer['throttle_time_ms']


def test_what_cannot_be_enforced_is_refused(wire):
    assert alter(wire, {'user': 'x'}, 'connection_creation_rate', 5.0) == 'INVALID_REQUEST'
    assert alter(wire, {'ip': '127.0.0.9'}, 'producer_byte_rate', 5.0) == 'INVALID_REQUEST'
    assert alter(wire, {'user': 'x'}, 'leader_throttle', 5.0) == 'INVALID_REQUEST'
    assert alter(wire, {'user': 'x'}, 'request_percentage', 0.0) == 'INVALID_REQUEST'
    assert alter(wire, {'ip': 'no address'}, 'connection_creation_rate', 5.0) == 'INVALID_REQUEST'
    assert alter(wire, {'ip': '127.0.0.9', 'user': 'x'}, 'connection_creation_rate', 5.0) == 'INVALID_REQUEST'
    assert alter(wire, {'group': 'x'}, 'producer_byte_rate', 5.0) == 'INVALID_REQUEST'
    assert alter(wire, {'ip': '127.0.0.9'}, 'connection_creation_rate', 5.0, validate_only=True) == 'NONE'
    assert described(wire) == []


def test_described_as_set(mqs, wire):
    assert alter(wire, {'user': 'ann', 'client-id': None}, 'request_percentage', 20.0) == 'NONE'
    assert alter(wire, {'user': 'ann', 'client-id': None}, 'controller_mutation_rate', 3.0) == 'NONE'
    assert alter(wire, {'ip': None}, 'connection_creation_rate', 100.0) == 'NONE'
    assert alter(wire, {'ip': '0:0:0:0:0:0:0:9'}, 'connection_creation_rate', 7.0) == 'NONE'
    ann = ([('user', 'ann'), ('client-id', None)], [('request_percentage', 20.0), ('controller_mutation_rate', 3.0)])
    default, nine = [([('ip', n)], [('connection_creation_rate', v)]) for n, v in ((None, 100.0), ('::9', 7.0))]
    def look(w):
        assert described(w, ('user', 2, None)) == [ann]
        assert described(w, ('ip', 1, None)) == [default]
        assert described(w, ('ip', 0, '::9')) == [nine]
        assert len(described(w, ('ip', 2, None), strict=True)) == 2
        assert described(w, ('user', 2, None), ('ip', 2, None)) == []
        assert len(described(w)) == 3
    look(wire)
    mqs.stop()
    mqs.start()
    with Wire(mqs) as again:
        look(again)
        for entity, key in (({'user': 'ann', 'client-id': None}, 'request_percentage'), ({'ip': None}, 'connection_creation_rate'),
                            ({'user': 'ann', 'client-id': None}, 'controller_mutation_rate'),
                            ({'ip': '::9'}, 'connection_creation_rate')):
            assert alter(again, entity, key, None) == 'NONE'
        assert described(again) == []


def test_request_percentage(mqs, wire):
    """A little of a thread: requests that take long make the connection pause."""
    create(wire, 'many', 200)
    busy = {'topics': None, 'include_topic_authorized_operations': True}
    def seconds(w, n):
        begin = time.monotonic()
        for _ in range(n):
            w.call('Metadata', 9, **busy)
        return time.monotonic() - begin
    with Wire(mqs, client='busy') as w, Wire(mqs, client='other') as other:
        free = seconds(w, 10)
        assert alter(wire, {'client-id': 'busy'}, 'request_percentage', 0.02) == 'NONE'
        assert seconds(w, 10) > free * 3 + 0.5
        assert seconds(other, 10) < free * 3 + 0.5
        assert alter(wire, {'client-id': 'busy'}, 'request_percentage', None) == 'NONE'


def test_every_answer_says_so(mqs, wire):
    """throttle_time_ms, in every answer that has it."""
    create(wire, 'told', 200)
    offered = {k['api_key']: k['max_version'] for k in wire.call('ApiVersions', 3)['api_keys']}
    fields = {'Produce': {'acks': -1, 'topic_data': [{'partition_data': [{'index': 0}]}]}, 'FindCoordinator': {
        'coordinator_keys': ['x']}, 'ApiVersions': {'client_software_name': 'x', 'client_software_version': '1'}}
    asked = {}
    assert alter(wire, {'client-id': 'told'}, 'request_percentage', 0.01) == 'NONE'
    with Wire(mqs, client='told') as w:
        # The work for the answer itself counts.
        assert w.call('Metadata', 9, topics=None)['throttle_time_ms'] > 0
        begin = time.monotonic()
        w.call('ApiVersions', 3, **fields['ApiVersions'])
        assert time.monotonic() - begin > 0.3
    for path in sorted((SPEC / 'messages').glob('*.yaml')):
        doc = yaml.safe_load(path.read_text(encoding='utf-8'))
        row = next((r['throttle_time_ms'] for r in doc.get('response', []) if 'throttle_time_ms' in r), None)
        if row and doc.get('key') in offered:
            with Wire(mqs, client='told') as w:
                answer = w.call(doc['name'], offered[doc['key']], **fields.get(doc['name'], {}))
                asked[doc['name']] = answer['throttle_time_ms']
    assert len(asked) > 50 and [n for n, ms in asked.items() if not 0 < ms <= 1000] == [], asked
    with Wire(mqs, client='told') as w:
        assert 'throttle_time_ms' not in w.call('Metadata', 0)
    assert alter(wire, {'client-id': 'told'}, 'request_percentage', None) == 'NONE'
    with Wire(mqs, client='told') as w:
        assert w.call('Metadata', 9, topics=None)['throttle_time_ms'] == 0


def test_request_percentage_of_slow_requests(mqs, wire):
    """Work of the other thread is counted too; whoever goes away before its answer is no trouble."""
    assert alter(wire, {'client-id': 'slow'}, 'request_percentage', 0.1) == 'NONE'
    with Wire(mqs, client='slow') as w:
        begin, n = time.monotonic(), 0
        while time.monotonic() - begin < 10 and (n == 0 or time.monotonic() - last < 0.3):
            last = time.monotonic()
            assert create(w, f'slow-{n}', 3)[0] == 'NONE'
            n += 1
        assert time.monotonic() - last >= 0.3
    for i in range(20):
        with Wire(mqs, client='slow') as w:
            w.send('CreateTopics', 7, timeout_ms=1000, topics=[{'name': f'gone-{i}', 'num_partitions': 1,
                                                                'replication_factor': 1}])
    assert alter(wire, {'client-id': 'slow'}, 'request_percentage', None) == 'NONE'


def test_controller_mutation_rate(mqs, wire):
    assert alter(wire, {'client-id': 'maker'}, 'controller_mutation_rate', 1.0) == 'NONE'
    with Wire(mqs, client='maker') as w:
        # Ten seconds are credited, and what goes beyond is let pass once.
        assert create(w, 'm-0', 8) == ('NONE', 0)
        name, pause = create(w, 'm-1', 4)
        assert name == 'NONE' and pause > 0
    with Wire(mqs, client='maker') as w:
        answer = w.call('CreateTopics', 7, timeout_ms=1000, validate_only=True, topics=[
            {'name': 'm-2', 'num_partitions': 1, 'replication_factor': 1}])
        assert answer['topics'][0]['error_code'] == 0
        name, pause = create(w, 'm-2')
        assert name == 'THROTTLING_QUOTA_EXCEEDED' and 0 < pause <= 3000
    with Wire(mqs, client='maker') as w:
        answer = w.call('DeleteTopics', 6, timeout_ms=1000, topics=[{'name': 'm-0'}])
        assert errors()[answer['responses'][0]['error_code']] == 'THROTTLING_QUOTA_EXCEEDED'
    with Wire(mqs, client='maker') as w:
        answer = w.call('CreatePartitions', 3, timeout_ms=1000, topics=[{'name': 'm-0', 'count': 9, 'assignments': None}])
        assert errors()[answer['results'][0]['error_code']] == 'THROTTLING_QUOTA_EXCEEDED'
    # Clients that do not know the error have to wait only.
    with Wire(mqs, client='maker') as w:
        name, pause = create(w, 'm-3', 1, version=5)
        assert name == 'NONE' and pause > 0
    assert alter(wire, {'client-id': 'maker'}, 'controller_mutation_rate', None) == 'NONE'


def test_connection_creation_rate(mqs, wire):
    def connects():
        with socket.socket() as s:
            s.bind(('127.0.0.7', 0))
            s.settimeout(10)
            s.connect(('127.0.0.1', mqs.port))
            try:
                s.sendall(b'\0\0\0\x0c\0\x12\0\0\0\0\0\1\0\2xy')
                return len(s.recv(10)) > 0
            except ConnectionResetError:
                return False
    assert all(connects() for _ in range(30))
    assert alter(wire, {'ip': '127.0.0.7'}, 'connection_creation_rate', 1.0) == 'NONE'
    got = [connects() for _ in range(30)]
    assert 10 <= sum(got) <= 14 and got[0] and not got[-1], got
    end = time.monotonic() + 10
    while not connects():
        assert time.monotonic() < end
    with Wire(mqs) as w:
        assert alter(w, {'ip': '127.0.0.7'}, 'connection_creation_rate', None) == 'NONE'
    assert all(connects() for _ in range(30))
