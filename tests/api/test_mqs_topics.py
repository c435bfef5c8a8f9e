# SPDX-License-Identifier: Apache-2.0
"""Topics and access policies: sections 7.2 and 7.3 of the reference, against a Kafka."""
import concurrent.futures
import json
import os
import sqlite3
import subprocess

import pytest

from lib.apic import PUBLIC, app, member, ok, refused, user
from lib.appiad import BUILD, Appiad, store_settings
from lib.kafka import tool
from lib.mqs_api import TOPICS, appiad, create, delete, kafka, listed, owner  # noqa: F401

EXAMPLE = {'partition': 3, 'access_policy': 'all', 'replication': 3, 'retention_time': 72, 'sync_replication': False,
           'sync_message_flush': False, 'tag': '11 || 22 || aa || bb&11 || 22 || aa || bb', 'description': 'test',
           'sensitive_word': 'sss || ddd'}


OURS = ('retention.ms', 'flush.messages', 'min.insync.replicas')


def kafka_topics(kafka):
    """Name to (partitions, settings), as Kafka itself says by its own tool."""
    out = tool(kafka, 'org.apache.kafka.tools.TopicCommand', '--describe')
    found = {}
    for line in out.splitlines():
        if 'PartitionCount:' in line:
            f = dict(p.split(': ', 1) for p in line.split('\t') if ': ' in p)
            # Since Apache Kafka 4.1 the cluster's own min.insync.replicas stands at every topic.
            configs = (c for c in f.get('Configs', '').strip().split(',') if c != 'min.insync.replicas=1')
            found[f['Topic'].strip()] = (int(f['PartitionCount']), dict(
                c.split('=', 1) for c in configs if c.split('=')[0] in OURS))
    return found


def test_documented_example(appiad, kafka, owner):
    assert ok(appiad.call('POST', TOPICS, {'name': 'topic-test-2', 'app_id': owner, **EXAMPLE})) == {
        'name': 'topic-test-2'}
    page = listed(appiad)
    assert page['total'] == page['size'] == 1 and page['permissions'] == ['modify']
    assert page['max_partitions'] == 120 and page['remain_partitions'] == 117
    t = page['topics'][0]
    assert {k: t[k] for k in EXAMPLE if k in t} == {k: v for k, v in EXAMPLE.items() if k in t}
    assert t['app_id'] == owner and t['app_name'] == 'owner of topics' and t['topic_type'] == 0
    assert t['permissions'] == ['read', 'access', 'delete', 'modify'] and t['external_configs'] == {}
    assert kafka_topics(kafka)['topic-test-2'] == (3, {'retention.ms': str(72 * 3600000)})
    body = {'topics': [{'name': 'topic-test-2', 'retention_time': 24, 'sync_replication': True,
                        'sync_message_flush': True, 'description': '', 'sensitive_word': '',
                        'new_partition_numbers': 5}]}
    assert appiad.call('PUT', TOPICS, body).status == 204
    assert kafka_topics(kafka)['topic-test-2'] == (5, {'retention.ms': str(24 * 3600000), 'flush.messages': '1'})
    t = listed(appiad)['topics'][0]
    assert (t['retention_time'], t['partition'], t['description'], t['sync_message_flush']) == (24, 5, '', True)
    body = {'topics': [{'name': 'topic-test-2', 'sync_message_flush': False}]}
    assert appiad.call('PUT', TOPICS, body).status == 204
    assert kafka_topics(kafka)['topic-test-2'][1] == {'retention.ms': str(24 * 3600000)}
    assert listed(appiad)['topics'][0]['retention_time'] == 24
    assert delete(appiad, 'topic-test-2') == {'topics': [{'id': 'topic-test-2', 'success': True}]}
    assert listed(appiad)['total'] == 0 and 'topic-test-2' not in kafka_topics(kafka)


def test_application_by_key(appiad, owner):
    key = ok(appiad.call('GET', f'{PUBLIC}/apps/{owner}'))['key']
    create(appiad, key, 'by-key')
    assert listed(appiad, name='by-key')['topics'][0]['app_id'] == owner
    delete(appiad, 'by-key')


@pytest.mark.parametrize('wrong,code', [
    ({'name': '1topic'}, 'MQS.00400062'), ({'name': 'ab'}, 'MQS.00400062'), ({'name': 'a' * 201}, 'MQS.00400062'),
    ({'name': 'a.b.c'}, 'MQS.00400062'), ({'partition': 0}, 'MQS.00400062'), ({'partition': 101}, 'MQS.00400062'),
    ({'retention_time': 169}, 'MQS.00400062'), ({'access_policy': 'none'}, 'MQS.00400062'),
    ({'replication': 0}, 'MQS.00400062'), ({'app_id': 'nobody'}, 'MQS.00400800'),
    ({'description': '=1+1'}, 'MQS.00400800'), ({'description': '＠x'}, 'MQS.00400800'),
    ({'description': 'x' * 1001}, 'MQS.00400062'), ({'tag': 'a b'}, 'MQS.00400800'), ({'tag': 'x' * 49}, 'MQS.00400800'),
    ({'tag': 'a&b&c'}, 'MQS.00400800'), ({'name': '__consumer_offsets'}, 'MQS.00400062')])
def test_refused(appiad, owner, wrong, code):
    body = {'name': 'never-made', 'app_id': owner, 'access_policy': 'all', **wrong}
    refused(appiad.call('POST', TOPICS, body), 400, code)
    assert listed(appiad)['total'] == 0


def test_twice_and_quota(appiad, owner):
    create(appiad, owner, 'first', partition=100)
    refused(appiad.call('POST', TOPICS, {'name': 'first', 'app_id': owner, 'access_policy': 'all'}), 400,
            'MQS.00400101')
    refused(appiad.call('POST', TOPICS, {'name': 'second', 'app_id': owner, 'access_policy': 'all', 'partition': 21}),
            400, 'MQS.00400102', '20')
    for change, code in (({'new_partition_numbers': 99}, 'MQS.00400102'), ({'retention_time': 0}, 'MQS.00400062'),
                         ({'description': '@'}, 'MQS.00400800'), ({'name': 'nothing'}, 'MQS.00400101')):
        refused(appiad.call('PUT', TOPICS, {'topics': [{'name': 'first', **change}]}), 400, code)
    refused(appiad.call('DELETE', TOPICS, query={'name': 'nothing'}), 400, 'MQS.00400101')
    refused(appiad.call('DELETE', TOPICS, query={'name': ','}), 400, 'MQS.00400800')
    assert ok(appiad.call('POST', TOPICS + '/delete', {'topics': ['nothing', 'first']})) == {
        'topics': [{'id': 'nothing', 'success': False}, {'id': 'first', 'success': True}]}


def test_list(appiad, owner):
    other = app(appiad, 'Other owner')
    names = [f'list-{i}' for i in range(4)]
    for i, name in enumerate(names):
        create(appiad, other if i == 3 else owner, name, partition=1, access_policy='pub' if i == 0 else 'all')
    assert listed(appiad)['total'] == 4
    assert [t['name'] for t in listed(appiad, limit=2, offset=1)['topics']] == ['list-2', 'list-1']
    assert listed(appiad, limit=2, offset=9)['size'] == 0
    assert [t['name'] for t in listed(appiad, app_name='other')['topics']] == ['list-3']
    assert [t['name'] for t in listed(appiad, name='ST-1')['topics']] == ['list-1']
    assert [t['name'] for t in listed(appiad, access_policy='pub')['topics']] == ['list-0']
    for query in ({'limit': 'x'}, {'limit': '0'}, {'offset': '-1'}):
        refused(appiad.call('GET', TOPICS, query=query), 400, 'MQS.00400800')
    delete(appiad, *names)


def test_permissions(appiad, owner):
    create(appiad, owner, 'guarded', partition=1)
    someone, token = user(appiad, 'topic-user')
    body = {'name': 'foreign', 'app_id': owner, 'access_policy': 'all'}
    refused(appiad.call('POST', TOPICS, body, token=token), 403, 'MQS.00403003')
    refused(appiad.call('PUT', TOPICS, {'topics': [{'name': 'guarded'}]}, token=token), 403, 'MQS.00403003')
    refused(appiad.call('DELETE', TOPICS, query={'name': 'guarded'}, token=token), 403, 'MQS.00403003')
    refused(appiad.call('GET', TOPICS + '/guarded/accesspolicy', token=token), 403, 'MQS.00403003')
    assert ok(appiad.call('GET', TOPICS, token=token))['total'] == 0
    member(appiad, owner, someone, 'read')
    page = ok(appiad.call('GET', TOPICS, token=token))
    assert [t['permissions'] for t in page['topics']] == [['read']]
    refused(appiad.call('POST', TOPICS + '/guarded/access-policies/batch-add', {'policies': []}, token=token), 403,
            'MQS.00403003')
    member(appiad, owner, someone, 'delete')
    assert ok(appiad.call('DELETE', TOPICS, query={'name': 'guarded'}, token=token))['topics'][0]['success']


def check_published(appiad):
    """The brokers read what is stored."""
    done = subprocess.run([os.path.join(BUILD, 'src/bin/appia'), 'published', 'verify'], capture_output=True, text=True,
                          timeout=60, check=False, env={**os.environ, **appiad.env, 'APPIA_HOME': appiad.home})
    assert '0 differences' in done.stdout, done.stdout + done.stderr


def test_policies(appiad, owner):
    create(appiad, owner, 'topic-test-mqs', partition=1, tag='x')
    reader = app(appiad, 'app-uve7')
    key = ok(appiad.call('GET', f'{PUBLIC}/apps/{reader}'))['key']
    own = ok(appiad.call('GET', f'{PUBLIC}/apps/{owner}'))['key']
    path = TOPICS + '/topic-test-mqs'
    assert appiad.call('POST', path + '/access-policies/batch-add', {'policies': [
        {'user_name': key, 'app_name': 'app-uve7', 'access_policy': 'sub', 'tag': '123&abc'}]}).status == 204
    got = ok(appiad.call('GET', path + '/accesspolicy'))
    assert got == {'name': 'topic-test-mqs', 'operation': 'topic-test-mqs', 'total': 2, 'size': 2, 'policies': [
        {'owner': True, 'user_name': own, 'access_policy': 'all', 'app_name': 'owner of topics', 'tag': 'x'},
        {'owner': False, 'user_name': key, 'access_policy': 'sub', 'app_name': 'app-uve7', 'tag': '123&abc'}]}
    assert ok(appiad.call('GET', path + '/accesspolicy', query={'limit': 1, 'offset': 1}))['policies'][0][
        'user_name'] == key
    example = {'topics': [{'name': 'topic-test-mqs', 'policies': [
        {'owner': True, 'access_policy': 'pub', 'app_name': 'app-dhytest', 'tag': '', 'app_id': owner}],
        'sensitive_word': '', 'description': ''}]}
    assert appiad.call('POST', TOPICS + '/accesspolicy', example).status == 204
    got = ok(appiad.call('GET', path + '/accesspolicy'))
    assert [(p['user_name'], p['access_policy'], p['tag']) for p in got['policies']] == [(own, 'pub', '')]
    check_published(appiad)
    bad = {'user_name': key, 'app_name': 'x', 'access_policy': 'sub'}
    for change, code in (({'user_name': 'nobody'}, 'MQS.00400800'), ({'tag': 'ä'}, 'MQS.00400800'),
                         ({'access_policy': 'x'}, 'MQS.00400062'), ({'tag': 'a' * 1001}, 'MQS.00400062')):
        refused(appiad.call('POST', path + '/access-policies/batch-add', {'policies': [{**bad, **change}]}), 400, code)
    refused(appiad.call('GET', TOPICS + '/nothing/accesspolicy'), 400, 'MQS.00400101')
    delete(appiad, 'topic-test-mqs')


def test_application_with_topics_stays(appiad):
    holder = app(appiad, 'holder')
    create(appiad, holder, 'held', partition=1)
    refused(appiad.call('DELETE', f'{PUBLIC}/apps/{holder}'), 400, 'ROMA.14014')
    delete(appiad, 'held')
    assert appiad.call('DELETE', f'{PUBLIC}/apps/{holder}').status == 200


def test_foreign_topic_of_kafka(appiad, kafka, owner):
    tool(kafka, 'org.apache.kafka.tools.TopicCommand', '--create', '--topic', 'elsewhere')
    refused(appiad.call('POST', TOPICS, {'name': 'elsewhere', 'app_id': owner, 'access_policy': 'all'}), 400,
            'MQS.00400101')
    assert listed(appiad)['total'] == 0


def test_kafka_away(appiad, tmp_path):
    """Nobody listens: a refusal at once, and nothing is left behind when Kafka comes to know nothing of it."""
    away = Appiad(tmp_path, {**store_settings(), 'APPIA_MQS_ENGINE': 'kafka',
                             'APPIA_MQS_BOOTSTRAP_SERVERS': '127.0.0.1:1'})
    try:
        own = app(away, 'someone')
        refused(away.call('POST', TOPICS, {'name': 'lost', 'app_id': own, 'access_policy': 'all'}), 500,
                'MQS.005000053')
        assert ok(away.call('GET', TOPICS))['size'] == 0
    finally:
        assert away.stop() == 0


def test_healing(appiad, kafka, owner):
    """What a crash left between the rows and Kafka is ended by the next list."""
    if os.environ.get('APPIA_TEST_STORE') == 'postgresql':
        pytest.skip('the rows are changed in the SQLite file')
    create(appiad, owner, 'half-made', partition=1)
    create(appiad, owner, 'half-gone', partition=1)
    create(appiad, owner, 'never-there', partition=1)
    delete(appiad, 'never-there')
    create(appiad, owner, 'half-changed', partition=1)
    tool(kafka, 'org.apache.kafka.tools.TopicCommand', '--alter', '--topic', 'half-changed', '--partitions', '4')
    db = sqlite3.connect(os.path.join(appiad.home, 'appia.db'), timeout=10)
    db.execute("UPDATE mqs_topic SET state = 'creating', updated_ms = 1 WHERE name = 'half-made'")
    db.execute("UPDATE mqs_topic SET state = 'deleting', updated_ms = 1 WHERE name = 'half-gone'")
    # A change that was recorded and not made, and one of which Kafka has made a part.
    db.execute("UPDATE mqs_topic SET state = 'changing', retention_hours = 7, updated_ms = 1 WHERE name = 'half-changed'")
    db.execute("INSERT INTO mqs_topic SELECT 'never-there', instance_id, app_id, 'creating', 1, 1, 1, 0, 0, '', '', 1, 1"
               " FROM mqs_topic WHERE name = 'half-made'")
    db.commit()
    assert {t['name']: t['partition'] for t in listed(appiad)['topics']} == {'half-made': 1, 'half-changed': 4}
    assert kafka_topics(kafka)['half-changed'] == (4, {'retention.ms': str(7 * 3600000)})
    assert set(kafka_topics(kafka)) >= {'half-made'} and 'half-gone' not in kafka_topics(kafka)
    assert dict(db.execute('SELECT name, state FROM mqs_topic')) == {'half-made': 'ready', 'half-changed': 'ready'}
    db.close()
    delete(appiad, 'half-made', 'half-changed')


def test_at_the_same_time(appiad, kafka, owner):
    """Calls at the same time do not refuse each other; of changes of one topic, one wins in the row and in Kafka."""
    create(appiad, owner, 'contended', partition=1)
    names = [f'beside-{i}' for i in range(8)]
    for turn in range(3):
        calls = [('PUT', TOPICS, {'topics': [{'name': 'contended', 'retention_time': 10 * turn + i,
                                              'new_partition_numbers': 8 * turn + i}]}) for i in range(1, 9)]
        if turn % 2 == 0:
            calls += [('POST', TOPICS, {'name': n, 'app_id': owner, 'access_policy': 'all', 'partition': 1}) for n in names]
        else:
            calls += [('DELETE', TOPICS, None, None, {'name': n}) for n in names]
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for call, r in zip(calls, pool.map(lambda c: appiad.call(*c), calls)):
                # Who asks for fewer partitions than another has just made is refused; nobody for the store.
                late = call[0] == 'PUT' and r.status == 400 and r.json['error_code'] == 'MQS.00400102'
                assert r.status in (200, 201, 204) or late, f'{call}: {r}'
        row = listed(appiad, name='contended')['topics'][0]
        partitions, settings = kafka_topics(kafka)['contended']
        assert partitions == row['partition'] == 8 * turn + 8
        assert settings['retention.ms'] == str(row['retention_time'] * 3600000)
    delete(appiad, 'contended', *names)


def upload(appiad, data, **query):
    """The file as a form."""
    body = b'--b\r\nContent-Disposition: form-data; name="upload_file_name"; filename="topics.json"\r\n\r\n' + (
        data if isinstance(data, bytes) else json.dumps(data).encode()) + b'\r\n--b--\r\n'
    return appiad.call('POST', TOPICS + '/import', body, query=query,
                       headers={'Content-Type': 'multipart/form-data; boundary=b'})


def test_export_and_import(appiad, kafka, owner):
    reader = app(appiad, 'reader of topics')
    key = ok(appiad.call('GET', f'{PUBLIC}/apps/{reader}'))['key']
    create(appiad, owner, 'moved-1', partition=2, retention_time=5, tag='a', description='first')
    create(appiad, owner, 'moved-2', partition=1, access_policy='pub', sync_message_flush=True)
    assert appiad.call('POST', TOPICS + '/moved-1/access-policies/batch-add', {'policies': [
        {'user_name': key, 'app_name': 'x', 'access_policy': 'sub', 'tag': 'b'}]}).status == 204
    r = appiad.call('GET', TOPICS + '/export')
    assert r.status == 200 and 'attachment' in r.headers['content-disposition']
    data = r.json
    assert [t['name'] for t in data['topics']] == ['moved-1', 'moved-2'] and data['version'] == '1.0'
    assert data['topics'][0]['policies'][1] == {'app_name': 'reader of topics', 'access_policy': 'sub', 'tag': 'b',
                                                'owner': False}
    assert appiad.call('GET', TOPICS + '/export', query={'name': 'moved-2'}).json['topics'] == data['topics'][1:]
    refused(appiad.call('GET', TOPICS + '/export', query={'name': 'nothing'}), 400, 'MQS.00400101')
    refused(upload(appiad, data), 400, 'MQS.00400101')
    delete(appiad, 'moved-2')
    refused(upload(appiad, data, mode='AddNew'), 400, 'MQS.00400101')
    assert listed(appiad)['total'] == 1
    data['topics'][0].update(partition=4, retention_time=6)
    assert upload(appiad, data, mode='Merge').status == 204
    assert kafka_topics(kafka)['moved-1'] == (4, {'retention.ms': str(6 * 3600000)})
    assert kafka_topics(kafka)['moved-2'][1]['flush.messages'] == '1'
    assert appiad.call('GET', TOPICS + '/export').json == data
    delete(appiad, 'moved-1', 'moved-2')
    assert upload(appiad, data, prefix='copy of ').status == 204
    assert {t['app_name'] for t in listed(appiad)['topics']} == {'copy of owner of topics'}
    delete(appiad, 'moved-1', 'moved-2')


def test_import_refused(appiad, owner):
    good = {'name': 'imported', 'app_name': 'owner of topics', 'partition': 1}
    for data in (b'x', {}, {'topics': []}, {'topics': 1}, {'topics': [1]}, {'topics': [good, good]},
                 *({'topics': [good | change]} for change in (
                     {'name': 'a.b'}, {'name': 5}, {'app_name': ''}, {'app_name': 'nobody'}, {'partition': 101},
                     {'partition': 'x'}, {'replication': 0}, {'retention_time': 169}, {'sync_message_flush': 1},
                     {'description': 'x' * 1001}, {'policies': [1]},
                     {'policies': [{'app_name': 'owner of topics', 'access_policy': 'x'}]}))):
        refused(upload(appiad, data), 400, 'MQS.00400062')
    refused(upload(appiad, {'topics': [good]}, mode='Other'), 400, 'MQS.00400062')
    refused(appiad.call('POST', TOPICS + '/import', b''), 400, 'MQS.00400062')
    for place, status in (('{project_id}', 403), ('{instance_id}', 404)):
        r = appiad.call('POST', TOPICS.replace(place, 'x') + '/import',
                        b'--b\r\nContent-Disposition: form-data; name="upload_file_name"\r\n\r\n{}\r\n--b--\r\n',
                        headers={'Content-Type': 'multipart/form-data; boundary=b'})
        assert r.status == status, r
    assert listed(appiad)['total'] == 0
