# SPDX-License-Identifier: Apache-2.0
"""Produce, consume and acknowledge by HTTP: what the interface promises when nothing fails."""
import base64
import json
import pathlib
import threading
import time

import pytest
import yaml

from lib.apic import refused
from lib.appiad import wait_for
from lib.mqs_api import MQS
from lib.rest import any_kafka

ROOT = pathlib.Path(__file__).resolve().parents[2]


def contents(got):
    return [m['message']['content'] for m in got]


def path(topic, group=None):
    return f'/v1/topic/{topic}/group/{group}/messages' if group else f'/v1/topic/{topic}/messages'


def test_produce_consume_acknowledge(messages, owner):
    topic = messages.topic(owner)
    assert owner.produce(topic, 'hello', 'grüß dich "you"', '') == ['success'] * 3
    got = owner.take(topic, 3)
    assert contents(got) == ['hello', 'grüß dich "you"', '']
    assert [m['message']['id'] for m in got] == ['0', '1', '2']
    assert [(m['topic'], m['partition'], m['offset']) for m in got] == [(topic, 0, i) for i in range(3)]
    assert all(abs(m['timestamp'] / 1000 - time.time()) < 60 for m in got)
    assert all(len(base64.b64decode(m['handler']).decode().split('#')) == 4 for m in got)
    assert owner.nothing(topic)  # under consumption
    assert owner.ack(topic, got) == {'success': 3, 'fail': 0}
    assert owner.nothing(topic)
    assert owner.ack(topic, got) == {'success': 0, 'fail': 3}


def test_groups_are_apart(messages, owner):
    topic = messages.topic(owner)
    owner.produce(topic, 'a')
    for group in ('one', 'two'):
        got = owner.take(topic, 1, group)
        assert owner.ack(topic, got, 'two' if group == 'one' else 'one') == {'success': 0, 'fail': 1}
        assert owner.ack(topic, got, group) == {'success': 1, 'fail': 0}
    assert owner.ack(topic, got, 'never-used') == {'success': 0, 'fail': 1}


@any_kafka
def test_given_again_after_ack_wait(messages, owner):
    topic = messages.topic(owner)
    owner.produce(topic, 'a', 'b')
    first = owner.take(topic, 2, ack_wait=1)
    again = owner.take(topic, 2, ack_wait=60)
    assert contents(again) == ['a', 'b'] and not {m['handler'] for m in first} & {m['handler'] for m in again}
    assert owner.ack(topic, first) == {'success': 0, 'fail': 2}  # too late
    assert owner.ack(topic, again) == {'success': 2, 'fail': 0}
    late = owner.produce(topic, 'c') and owner.take(topic, 1, ack_wait=1)
    wait_for(lambda: time.time() * 1000 > late[0]['timestamp'] + 1500, 10, 'the end of the second')
    assert owner.ack(topic, late) == {'success': 0, 'fail': 1}  # too late, though nobody else has it
    assert owner.ack(topic, owner.take(topic, 1)) == {'success': 1, 'fail': 0}


@any_kafka
def test_failed_is_given_again_at_once(messages, owner):
    topic = messages.topic(owner)
    owner.produce(topic, 'a', 'b', 'c')
    got = owner.take(topic, 3, ack_wait=300)
    body = {'messages': [{'handler': got[0]['handler'], 'status': 'success'},
                         {'handler': got[1]['handler'], 'status': 'fail'}, {'handler': 'x', 'status': 'success'},
                         {'handler': got[0]['handler'], 'status': 'success'}]}
    assert owner.call('POST', path(topic, 'g'), body).json == {'success': 2, 'fail': 2}
    again = owner.take(topic, 1)
    assert contents(again) == ['b']
    assert owner.ack(topic, [again[0], got[2]]) == {'success': 2, 'fail': 0}
    assert owner.nothing(topic)


@any_kafka
def test_max_msgs_and_max_bytes(messages, owner):
    topic = messages.topic(owner)
    owner.produce(topic, 'x' * 100, 'y' * 100, 'z' * 100, 'w' * 5000)
    assert contents(owner.take(topic, 4, 'all')) and contents(owner.take(topic, 1, max_msgs=1)) == ['x' * 100]
    assert contents(owner.consume(topic, max_bytes=250)) == ['y' * 100, 'z' * 100]
    assert contents(owner.consume(topic, max_bytes=1)) == ['w' * 5000]  # alone, for else it would never be given


@any_kafka
def test_wait_ends_with_the_first_message(messages, owner):
    topic, got = messages.topic(owner), []
    assert owner.nothing(topic)

    def wait():
        start = time.monotonic()
        got.append((owner.consume(topic, time_wait=30), time.monotonic() - start))
    thread = threading.Thread(target=wait)
    thread.start()
    wait_for(lambda: messages.metric('waiting') == 1, 10, 'a waiting request')
    owner.produce(topic, 'at last')
    thread.join(30)
    assert contents(got[0][0]) == ['at last'] and got[0][1] < 20
    start = time.monotonic()
    assert owner.consume(topic, time_wait=2) == [] and 1.9 < time.monotonic() - start < 10


def test_many_messages_each_once(messages, owner):
    """Through windows that fill and empty, by consumers at the same time that acknowledge out of order."""
    topic, n, seen, faults = messages.topic(owner, 4), 3000, [], []
    messages.kcat('-P', '-t', topic, '-p', '-1', data=b'\n'.join(b'm%d' % i for i in range(n)))

    def work(number):
        try:
            while len(seen) < n:
                got = owner.consume(topic, time_wait=2, ack_wait=120)
                seen.extend(contents(got))
                if got:
                    assert owner.ack(topic, got[::-1] if number % 2 else got) == {'success': len(got), 'fail': 0}
        except AssertionError as e:
            faults.append(e)
            seen.extend([None] * n)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(240)
    assert not faults, faults[0]
    assert sorted(seen) == sorted(f'm{i}' for i in range(n))
    assert owner.nothing(topic)


def test_kafka_clients_share_the_group(messages, owner):
    topic = messages.topic(owner)
    owner.produce(topic, *'abcde')
    got = owner.take(topic, 5, 'shared', ack_wait=2)
    owner.ack(topic, [got[0], got[1], got[3]], 'shared')
    # Nobody asks any more: the group is left (rest_idle) after ack_wait, and kcat goes on behind what is done with.
    out = messages.kcat('-G', 'shared', '-q', '-c', '3', '-f', '%o %s\n', topic)
    assert out.split('\n')[:3] == ['2 c', '3 d', '4 e']


def test_kafka_records(messages, owner):
    topic = messages.topic(owner)
    messages.kcat('-P', '-t', topic, '-K:', '-H', 'TAGS=a || b', data=b'key 1:text\n')
    messages.kcat('-P', '-t', topic, data=b'\xff\xfe\x80')
    got = owner.take(topic, 2)
    assert got[0]['message'] == {'content': 'text', 'key': 'key 1'} and got[0]['tags'] == 'a || b'
    assert got[1]['message'] == {'content': base64.b64encode(b'\xff\xfe\x80').decode(), 'encoding': 'base64'}
    assert 'tags' not in got[1]
    assert owner.produce(topic, 'tagged', tags='x||y') == ['success']
    out = messages.kcat('-C', '-t', topic, '-o', '2', '-c', '1', '-f', '%h %s')
    assert out == f'message_id=0,app_id={owner.id},TAGS=x||y tagged'


@pytest.fixture(scope='module')
def topic(messages, owner):
    return messages.topic(owner)


def message(**fields):
    return {'content': 'x', 'id': '1', **fields}


@pytest.mark.parametrize('body, status, code', [
    (None, 400, 'MQS.00400004'), (b'{', 400, 'MQS.00400005'), (b'[]', 400, 'MQS.00400800'), ({}, 400, 'MQS.00400800'),
    ({'messages': 'x'}, 400, 'MQS.00400800'), ({'messages': []}, 400, 'MQS.00400062'),
    ({'messages': [message(id=str(i)) for i in range(11)]}, 400, 'MQS.00400062'),
    ({'messages': [message(), message()]}, 400, 'MQS.00400062'), ({'messages': [1]}, 400, 'MQS.00400800'),
    ({'messages': [message(content=1)]}, 400, 'MQS.00400800'), ({'messages': [message(id=1)]}, 400, 'MQS.00400800'),
    ({'messages': [message(id='')]}, 400, 'MQS.00400800'), ({'messages': [message(tags=[])]}, 400, 'MQS.00400800'),
    ({'messages': [message(content='x' * 1048577), message(id='2', content='x' * 1048576)]}, 413, 'APPIA.0413'),
    ({'messages': [message(content='x' * (5 << 20))]}, 413, 'APPIA.0413')])
def test_bad_messages(owner, topic, body, status, code):
    refused(owner.call('POST', path(topic), body), status, code)


def test_largest_request(messages, owner):
    topic, text = messages.topic(owner), '"' * 1000000
    assert owner.produce(topic, text, text) == ['success', 'success']
    assert contents(owner.take(topic, 2, max_bytes=2097152)) == [text, text]


@pytest.mark.parametrize('query', [
    'ack_wait=0', 'ack_wait=301', 'ack_wait=x', 'ack_wait=', 'time_wait=0', 'time_wait=31', 'max_msgs=0', 'max_msgs=11',
    'max_bytes=0', 'max_bytes=2097153', 'max_msgs=1.5', 'max_msgs=-1', 'max_msgs=%2B1'])
def test_bad_ranges(owner, topic, query):
    refused(owner.call('GET', path(topic, 'g') + '?' + query), 400, 'MQS.00400800', query.split('=')[0])


@pytest.mark.parametrize('body', [
    {'messages': [{'handler': 'x', 'status': 'maybe'}]}, {'messages': [{'handler': 1, 'status': 'fail'}]},
    {'messages': [{'status': 'fail'}]}, {'messages': [{'handler': 'x'}]}, {'messages': [None]}])
def test_bad_acknowledgements(owner, topic, body):
    refused(owner.call('POST', path(topic, 'g'), body), 400, 'MQS.00400800')


@pytest.mark.parametrize('handler', [
    '', '!', base64.b64encode(b'0#0#1').decode(), base64.b64encode(b'0#0#1#0#0').decode(),
    base64.b64encode(b'0#99999999999999999999#1#0').decode(), base64.b64encode(b'-1#0#1#0').decode(), 'A' * 100000])
def test_unknown_handlers(owner, topic, handler):
    body = {'messages': [{'handler': handler, 'status': 'success'}]}
    assert owner.call('POST', path(topic, 'g'), body).json == {'success': 0, 'fail': 1}


@pytest.mark.parametrize('method, where, status, code', [
    ('POST', '/v1/topic/t/messages/x', 404, 'MQS.00404001'), ('POST', '/v1/topic/t', 404, 'MQS.00404001'),
    ('GET', '/', 404, 'APPIA.0404'), ('GET', '/metrics', 404, 'APPIA.0404'),
    ('GET', '/v1/topic/../../metrics', 404, 'APPIA.0404'), ('GET', '/v1/topic/t/messages', 405, 'MQS.00405001'),
    ('DELETE', '/v1/topic/t/group/g/messages', 405, 'MQS.00405001'),
    ('POST', '/v1/topic/t%20t/messages', 400, 'MQS.00400101'), ('POST', '/v1/topic/%2e%2e/messages', 404, 'APPIA.0404'),
    ('GET', '/v1/topic/t/group/a.b/messages', 400, 'MQS.00400800'),
    ('GET', f'/v1/topic/t/group/{"g" * 250}/messages', 400, 'MQS.00400800')])
def test_paths(owner, method, where, status, code):
    r = owner.call(method, where)
    refused(r, status, code)
    assert r.headers['x-request-id'] == r.json['request_id'] and len(r.json['request_id']) == 32
    if status == 405:
        assert r.headers['allow'] == ('POST' if method == 'GET' else 'GET, POST')


def test_errors_are_json(owner, topic):
    r = owner.call('POST', path(topic), b'{')
    assert r.headers['content-type'] == 'application/json'
    assert list(json.loads(r.body)) == ['error_msg', 'error_code', 'request_id']


def described(spec, schema, value, where=''):
    """What a value has and its schema does not allow."""
    while '$ref' in schema:
        schema = spec['components']['schemas'][schema['$ref'].rsplit('/', 1)[1]]
    if schema['type'] == 'array':
        return [fault for item in value for fault in described(spec, schema['items'], item, where + '[]')]
    if schema['type'] != 'object':
        return [] if value in schema.get('enum', [value]) else [where]
    faults = [f'{where}.{k} is missing' for k in schema['required'] if k not in value]
    for k, v in value.items():
        faults += described(spec, schema['properties'][k], v, f'{where}.{k}') if k in schema['properties'] else [
            f'{where}.{k} is not described']
    return faults


def test_description(messages, owner):
    with open(ROOT / 'spec/dataplane/mqs_rest.yaml', encoding='utf-8') as f:
        spec = yaml.safe_load(f)
    topic, writer = messages.topic(owner), messages.app()
    messages.allow(topic, writer, 'pub', 'red')
    messages.kcat('-P', '-t', topic, '-K:', '-H', 'TAGS=red', data=b'key:\xff')
    produced = writer.call('POST', path(topic), {'messages': [message(tags='red'), message(id='2')]})
    given = owner.call('GET', path(topic, 'g'))
    acks = {'messages': [{'handler': m['handler'], 'status': 'success'} for m in given.json]}
    refusal = owner.call('POST', path(topic), b'')
    assert [m['state'] for m in produced.json] == ['success', 'fail'] and given.json and refusal.status == 400
    for schema, reply in (('States', produced), ('Given', given), ('Error', refusal),
                          ('Acknowledged', owner.call('POST', path(topic, 'g'), acks))):
        assert described(spec, spec['components']['schemas'][schema], reply.json) == []


def test_the_management_api_names_the_address(messages):
    i = messages.platform.call('GET', MQS).json
    assert i['rest_enable'] and i['rest_connect_address'] == f'https://127.0.0.1:{messages.platform.ports["MQS_REST"]}'
    assert f'messages     {i["rest_connect_address"]}/v1/topic/' in messages.platform.output()
    status = messages.platform.cli('status').stdout
    assert 'mqs-rest    ready\n' in status
