# SPDX-License-Identifier: Apache-2.0
"""Messages and consumer groups: sections 7.4 and 7.5 of the reference, against a Kafka."""
import subprocess
import time

import pytest

from lib import vendor
from lib.apic import ok, refused, user
from lib.appiad import wait_for
from lib.kafka import tool
from lib.mqs_api import MQS, appiad, create, kafka, kcat, owner, produce  # noqa: F401

MESSAGES = MQS + '/messages'
GROUPS = MQS + '/groups'
ALL = {'start_time': 0, 'end_time': 9999999999999}


@pytest.fixture(scope='module')
def topic(appiad, kafka, owner):
    """Ten messages, 0 to 9, in three partitions, and headers on the last."""
    create(appiad, owner, 'topic-test', partition=3)
    for i in range(9):
        produce(kafka, 'topic-test', i % 3, [f'k{i}:value {i}'])
        time.sleep(0.02)
    produce(kafka, 'topic-test', 0, ['k9:value 9'], '-H', 'TAGS=red', '-H', 'message_id=id-9')
    return 'topic-test'


def found(appiad, topic, **query):
    r = ok(appiad.call('GET', MESSAGES, query={'topic': topic, **query}))
    assert r['size'] == len(r['messages'])
    return r


def values(reply):
    return [m['value'] for m in reply['messages']]


def test_by_time(appiad, topic):
    r = found(appiad, topic, **ALL)
    assert values(r) == [f'value {i}' for i in range(9, -1, -1)] and r['total'] == 10
    assert values(found(appiad, topic, asc='true', limit=3, **ALL)) == ['value 0', 'value 1', 'value 2']
    assert values(found(appiad, topic, asc='true', limit=4, offset=8, **ALL)) == ['value 8', 'value 9']
    middle = [m['timestamp'] for m in r['messages']][::-1]
    r = found(appiad, topic, start_time=middle[3], end_time=middle[5], asc='true')
    assert values(r) == ['value 3', 'value 4', 'value 5'] and r['total'] == 3
    assert found(appiad, topic, start_time=1, end_time=2) == {'messages': [], 'total': 0, 'size': 0}


def test_search(appiad, topic):
    assert values(found(appiad, topic, key='k4', **ALL)) == ['value 4']
    r = found(appiad, topic, tag='red', **ALL)
    m = r['messages'][0]
    assert r['total'] == 1 and (m['value'], m['key'], m['tag'], m['message_id'], m['app_id']) == (
        'value 9', 'k9', 'red', 'id-9', '')
    assert values(found(appiad, topic, message_id='id-9', **ALL)) == ['value 9']
    assert values(found(appiad, topic, content='lue 7', **ALL)) == ['value 7']
    assert found(appiad, topic, key='k', **ALL)['total'] == 0


def test_by_offset(appiad, topic):
    r = found(appiad, topic, partition=1, message_offset=2)
    assert r['total'] == 1 and {k: r['messages'][0][k] for k in (
        'topic', 'partition', 'value', 'size', 'huge_message', 'message_offset', 'tag')} == {
        'topic': topic, 'partition': 1, 'value': 'value 7', 'size': 9, 'huge_message': False, 'message_offset': 2,
        'tag': ''}
    assert found(appiad, topic, partition=1, message_offset=99)['total'] == 0


def test_large_and_binary(appiad, kafka, owner):
    create(appiad, owner, 'large', partition=1)
    kcat(kafka, '-P', '-t', 'large', data=b'x' * 5000)
    kcat(kafka, '-P', '-t', 'large', data='ü'.encode() * 600)
    kcat(kafka, '-P', '-t', 'large', data=b'\xff\x00\xfe')
    m = found(appiad, 'large', asc='true', **ALL)['messages']
    assert (m[0]['value'], m[0]['huge_message'], m[0]['size']) == ('x' * 1024, True, 5000)
    assert m[1]['value'] == 'ü' * 512 and m[1]['huge_message']
    assert m[2]['size'] == 3 and not m[2]['huge_message']
    m = found(appiad, 'large', partition=0, message_offset=0)['messages'][0]
    assert m['value'] == 'x' * 5000 and not m['huge_message']
    assert found(appiad, 'large', asc='true', download='true', **ALL)['messages'][0]['value'] == 'x' * 5000


def test_query_refused(appiad, topic):
    for query, code in (({}, 'MQS.00400062'), ({'partition': 3, 'message_offset': 0}, 'MQS.00400800'),
                        ({'partition': 0, 'message_offset': 'x'}, 'MQS.00400800'),
                        ({'start_time': 5, 'end_time': 4}, 'MQS.00400800'), ({**ALL, 'limit': 101}, 'MQS.00400800'),
                        ({**ALL, 'offset': -1}, 'MQS.00400800'), ({'start_time': 'x', 'end_time': 1}, 'MQS.00400800')):
        refused(appiad.call('GET', MESSAGES, query={'topic': topic, **query}), 400, code)
    refused(appiad.call('GET', MESSAGES, query={'topic': 'nothing', **ALL}), 400, 'MQS.00400101')
    _, token = user(appiad, 'message-reader')
    refused(appiad.call('GET', MESSAGES, query={'topic': topic, **ALL}, token=token), 403, 'MQS.00403003')


def test_resend(appiad, kafka, owner):
    create(appiad, owner, 'again', partition=2)
    produce(kafka, 'again', 1, ['key:hello world'], '-H', 'TAGS=red')
    example = {'topic': 'again', 'partition': 1, 'message_offset': 0, 'consumer_key': 'keyA'}
    assert ok(appiad.call('POST', MESSAGES + '/action', example, query={'action_id': 'resend'})) == example
    out = kcat(kafka, '-C', '-e', '-q', '-t', 'again', '-f', '%p %o %k %s %h\n').decode().splitlines()
    assert out == ['1 0 key hello world TAGS=red', '1 1 key hello world TAGS=red,consumer_key=keyA']
    example['message_offset'] = 1
    ok(appiad.call('POST', MESSAGES + '/action', {**example, 'consumer_key': 'b'}, query={'action_id': 'resend'}))
    out = kcat(kafka, '-C', '-e', '-q', '-t', 'again', '-f', '%h\n').decode().splitlines()
    assert out[2] == 'TAGS=red,consumer_key=b'
    for change, code in (({'partition': 2}, 'MQS.00400800'), ({'message_offset': 3}, 'MQS.00400800'),
                         ({'message_offset': -1}, 'MQS.00400800'), ({'message_offset': 0.5}, 'MQS.00400800'),
                         ({'partition': -1}, 'MQS.00400800'), ({'topic': 'nothing'}, 'MQS.00400101')):
        refused(appiad.call('POST', MESSAGES + '/action', {**example, **change}, query={'action_id': 'resend'}), 400,
                code)
    refused(appiad.call('POST', MESSAGES + '/action', example, query={'action_id': 'other'}), 400, 'MQS.00400062')


@pytest.fixture(scope='module')
def group(kafka, topic):
    """A group that has read one message of partition 0 and stopped."""
    tool(kafka, 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', '--group', 'test-consumer-group',
         '--reset-offsets', '--topic', topic + ':0', '--to-offset', '1', '--execute')
    return 'test-consumer-group'


def detail(appiad, name):
    return ok(appiad.call('GET', f'{MQS}/management/groups/{name}'))['group']


def committed(appiad, name):
    return {o['partition']: o['message_current_offset'] for o in detail(appiad, name)['group_message_offsets']}


def test_groups(appiad, kafka, topic, group):
    r = ok(appiad.call('GET', GROUPS))
    assert r['total'] == 1
    assert r['groups'] == [{'group_id': group, 'state': 'Empty', 'coordinator_id': 1, 'lag': 3, 'group_desc': ''}]
    assert detail(appiad, group) == {
        'group_id': group, 'state': 'Empty', 'coordinator_id': 1, 'members': [], 'assignment_strategy': '',
        'group_message_offsets': [{'topic': topic, 'partition': 0, 'lag': 3, 'message_current_offset': 1,
                                   'message_log_end_offset': 4}]}
    for query, total in (({'group': 'CONSUMER'}, 1), ({'group': 'x'}, 0), ({'topic': topic}, 1), ({'topic': 'large'}, 0),
                         ({'offset': 1}, 1)):
        r = ok(appiad.call('GET', GROUPS, query=query))
        assert r['total'] == total and len(r['groups']) == (0 if query == {'offset': 1} else total), query
    refused(appiad.call('GET', GROUPS, query={'limit': 51}), 400, 'MQS.00400062')
    refused(appiad.call('GET', GROUPS, query={'offset': -1}), 400, 'MQS.00400062')
    refused(appiad.call('GET', MQS + '/management/groups/nobody'), 400, 'MQS.00400800')


def test_reset(appiad, topic, group):
    path = '/v2/kafka/{project_id}/mqs/instances/{instance_id}/groups/' + group + '/reset-message-offset'

    def reset(status=204, **body):
        r = appiad.call('PUT', path, {'topic': topic, **body})
        assert r.status == status, r
        return committed(appiad, group)

    assert reset(partition=0, message_offset=10) == {0: 4}
    assert reset(partition=0, message_offset=2) == {0: 2}
    assert reset(message_offset=1) == {0: 1, 1: 1, 2: 1}
    assert reset(partition=-1, message_offset=-5) == {0: 0, 1: 0, 2: 0}
    at = {m['value']: m['timestamp'] for m in found(appiad, topic, limit=100, **ALL)['messages']}
    assert reset(timestamp=at['value 5']) == {0: 2, 1: 2, 2: 1}
    assert reset(timestamp=9999999999999) == {0: 4, 1: 3, 2: 3}
    assert reset(partition=0, timestamp=0) == {0: 0, 1: 3, 2: 3}
    for body, code in (({}, 'MQS.00400062'), ({'message_offset': 1, 'timestamp': 1}, 'MQS.00400062'),
                       ({'partition': 3, 'message_offset': 1}, 'MQS.00400800'),
                       ({'partition': -2, 'message_offset': 1}, 'MQS.00400062'),
                       ({'topic': 'nothing', 'message_offset': 1}, 'MQS.00400101')):
        refused(appiad.call('PUT', path, {'topic': topic, **body}), 400, code)
    body = {'topic': topic, 'message_offset': 1}
    refused(appiad.call('PUT', path.replace('/v2/kafka', '/v2/rabbit'), body), 400, 'MQS.00400800')
    refused(appiad.call('PUT', path.replace(group, 'nobody'), body), 400, 'MQS.00400800')


def test_members(appiad, kafka, topic):
    """A group with a consumer shows it, and is neither reset nor deleted."""
    reader = subprocess.Popen(['kcat', '-b', kafka.address, '-G', 'readers', topic, '-X',
                               'auto.offset.reset=earliest', '-X', 'client.id=my-client'],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def stable():
            r = appiad.call('GET', MQS + '/management/groups/readers')
            return r.status == 200 and r.json['group']['state'] == 'Stable' and r.json['group']
        g = wait_for(stable, 30, 'a stable group')
        m = g['members'][0]
        assert len(g['members']) == 1 and m['client_id'] == 'my-client' and m['host'] == '/127.0.0.1'
        assert m['assignment'] == [{'topic': topic, 'partitions': [0, 1, 2]}] and g['assignment_strategy']
        path = '/v2/kafka/{project_id}/mqs/instances/{instance_id}/groups/readers/reset-message-offset'
        refused(appiad.call('PUT', path, {'topic': topic, 'message_offset': 1}), 400, 'MQS.00400026')
        r = ok(appiad.call('POST', GROUPS + '/batch-delete', {'group_ids': ['readers', 'nobody']}))
        assert [f['group_id'] for f in r['failed_groups']] == ['readers', 'nobody'] and r['total'] == 2
        assert all(f['error_message'] for f in r['failed_groups'])

        def has_read_all():
            offsets = detail(appiad, 'readers')['group_message_offsets']
            return offsets and not any(o['lag'] for o in offsets)
        wait_for(has_read_all, 60, 'a group that has read all')
    finally:
        reader.terminate()
        reader.wait(10)
    wait_for(lambda: detail(appiad, 'readers')['state'] == 'Empty', 60, 'an empty group')
    assert sum(o['lag'] for o in detail(appiad, 'readers')['group_message_offsets']) == 0


CONSUMER = '''
import signal, sys
from confluent_kafka import Consumer
signal.signal(signal.SIGTERM, lambda *_: sys.exit(c.close()))
c = Consumer({'bootstrap.servers': sys.argv[1], 'group.id': 'modern', 'group.protocol': 'consumer', 'client.id': 'new-client',
              'auto.offset.reset': 'earliest', 'auto.commit.interval.ms': 100})
c.subscribe([sys.argv[2]])
while True:
    c.poll(0.1)
'''


def test_members_of_the_new_protocol(appiad, kafka, topic):
    """A group of KIP-848 is a group like any other."""
    reader = subprocess.Popen([vendor.PYTHON, '-c', CONSUMER, kafka.address, topic], env=vendor.python_sdk('confluent-kafka'),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def read_all():
            r = appiad.call('GET', MQS + '/management/groups/modern')
            g = r.status == 200 and r.json['group']
            return g and g['state'] == 'Stable' and len(g['group_message_offsets']) == 3 and not any(
                o['lag'] for o in g['group_message_offsets']) and g
        g = wait_for(read_all, 60, 'a stable group that has read all')
        m = g['members'][0]
        assert len(g['members']) == 1 and m['client_id'] == 'new-client' and m['host'] == '/127.0.0.1' and m['member_id']
        assert m['assignment'] == [{'topic': topic, 'partitions': [0, 1, 2]}]
        assert g['assignment_strategy'] == 'uniform' and g['coordinator_id'] == 1
        listed = ok(appiad.call('GET', GROUPS, query={'group': 'modern', 'topic': topic}))['groups']
        assert [(x['group_id'], x['state'], x['lag']) for x in listed] == [('modern', 'Stable', 0)]
        path = '/v2/kafka/{project_id}/mqs/instances/{instance_id}/groups/modern/reset-message-offset'
        refused(appiad.call('PUT', path, {'topic': topic, 'message_offset': 1}), 400, 'MQS.00400026')
        assert ok(appiad.call('POST', GROUPS + '/batch-delete', ['modern']))['total'] == 1
    finally:
        reader.terminate()
        reader.wait(10)
    wait_for(lambda: detail(appiad, 'modern')['state'] == 'Empty', 60, 'an empty group')
    assert appiad.call('PUT', path, {'topic': topic, 'partition': 1, 'message_offset': 1}).status == 204
    assert committed(appiad, 'modern')[1] == 1
    assert ok(appiad.call('POST', GROUPS + '/batch-delete', ['modern']))['total'] == 0


def test_batch_delete(appiad, group):
    assert ok(appiad.call('POST', GROUPS + '/batch-delete', {'group_ids': [group]})) == {
        'failed_groups': [], 'total': 0}
    refused(appiad.call('GET', f'{MQS}/management/groups/{group}'), 400, 'MQS.00400800')
    assert ok(appiad.call('POST', GROUPS + '/batch-delete', [group]))['total'] == 1
    for body in ([], {}, {'group_ids': 'x'}, [1], {'group_ids': ['a', '']}, ['x'] * 101, 'text'):
        refused(appiad.call('POST', GROUPS + '/batch-delete', body), 400, 'MQS.00400062')
