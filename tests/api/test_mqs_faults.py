# SPDX-License-Identifier: Apache-2.0
"""A Kafka that is down, stands still or babbles: every operation ends in bounded time, with its documented error, and
what began is ended when Kafka is back."""
import concurrent.futures
import json
import os
import signal
import socket
import threading
import time

import pytest

from lib.apic import PUBLIC, app, ok, refused
from lib.appiad import Appiad, store_settings, wait_for
from lib.mqs_api import MQS, TOPICS, appiad, create, delete, kafka, kcat, listed, owner  # noqa: F401

GROUP = '/v2/kafka/{project_id}/mqs/instances/{instance_id}/groups/some-group/reset-message-offset'
FILE = json.dumps({'topics': [{'name': 'imported', 'app_name': 'owner of topics', 'partition': 1}]}).encode()
FORM = b'--b\r\nContent-Disposition: form-data; name="upload_file_name"; filename="t"\r\n\r\n' + FILE + b'\r\n--b--\r\n'
GOING = [f'going-{i}' for i in range(1, 6)]
BOUND = 45  # seconds; a call ends after 30, and what it asked last may take some more
TIMES = {'start_time': 0, 'end_time': 9999999999999}


def asking(owner, topic):
    """(name, arguments of a call) of all operations that ask Kafka. Reading ones first."""
    yield 'messages by time', ('GET', MQS + '/messages', None, None, {'topic': topic, **TIMES})
    yield 'messages by offset', ('GET', MQS + '/messages', None, None, {'topic': topic, 'partition': 0, 'message_offset': 0})
    yield 'disk usage', ('GET', TOPICS + '/diskusage')
    yield 'groups', ('GET', MQS + '/groups')
    yield 'groups of a topic', ('GET', MQS + '/groups', None, None, {'topic': topic})
    yield 'group', ('GET', MQS + '/management/groups/some-group')
    yield 'resend', ('POST', MQS + '/messages/action', {'topic': topic, 'partition': 0, 'message_offset': 0}, None,
                     {'action_id': 'resend'})
    yield 'reset', ('PUT', GROUP, {'topic': topic, 'message_offset': 0})
    yield 'delete groups', ('POST', MQS + '/groups/batch-delete', ['a', 'b', 'c'])
    yield 'create', ('POST', TOPICS, {'name': 'fresh', 'app_id': owner, 'access_policy': 'all', 'partition': 1})
    yield 'update', ('PUT', TOPICS, {'topics': [{'name': topic, 'new_partition_numbers': 3}]})
    yield 'import', ('POST', TOPICS + '/import', FORM, None, None, {'Content-Type': 'multipart/form-data; boundary=b'})
    yield 'delete', ('DELETE', TOPICS, None, None, {'name': 'going-1,going-2,going-3'})
    yield 'batch delete', ('POST', TOPICS + '/delete', {'topics': ['going-4', 'going-5']})


def silent_operations():
    """Those that do without, or say how Kafka is."""
    yield 'instances', ('GET', '/v2/{project_id}/mqs/instances', None, None, {'include_internal': 'true'})
    yield 'instance', ('GET', MQS)
    yield 'topics', ('GET', TOPICS)
    yield 'export', ('GET', TOPICS + '/export')
    yield 'policies', ('GET', TOPICS + '/still/accesspolicy')


def call_all(daemon, calls):
    """{name: (reply, seconds)}, all at the same time."""
    def one(args):
        begin = time.monotonic()
        return daemon.call(*args), time.monotonic() - begin
    daemon.call('GET', TOPICS + '/export')  # logged in before the rest asks for a token; this does not ask Kafka
    calls = dict(calls)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        return dict(zip(calls, pool.map(one, calls.values())))


def check_away(daemon, owner, topic):
    for name, (r, seconds) in call_all(daemon, asking(owner, topic)).items():
        assert seconds < BOUND, f'{name}: {seconds:.0f} s'
        assert r.status == 500 and r.json['error_code'] == 'MQS.005000053', f'{name}: {r}'
    replies = call_all(daemon, silent_operations())
    for name, (r, seconds) in replies.items():
        assert seconds < 20 and r.status == 200, f'{name}: {seconds:.0f} s, {r}'
    assert replies['instance'][0].json['status'] == replies['instances'][0].json['instances'][0]['status'] == 'ERROR'


@pytest.fixture(autouse=True)
def runs_again(request):
    """What a test has done to Kafka ends with it, also when it fails."""
    yield
    if 'kafka' in request.fixturenames:
        k = request.getfixturevalue('kafka')
        k.process.send_signal(signal.SIGCONT)
        if k.engine == 'embedded' and k.killed:
            k.start()


def prepare(appiad, owner):
    """The topics, fresh: a test that failed may have left some, listed or half deleted."""
    rest = {t['name'] for t in listed(appiad)['topics']}
    appiad.call('DELETE', TOPICS, query={'name': ','.join({*rest, 'still', *GOING})})
    create(appiad, owner, 'still', partition=1)
    for name in GOING:
        create(appiad, owner, name, partition=1)


def check_healed(appiad, owner):
    """All can be asked again; what was begun can be ended by asking again."""
    wait_for(lambda: ok(appiad.call('GET', MQS))['status'] == 'RUNNING', 60, 'a running instance')
    wait_for(lambda: appiad.call('GET', TOPICS + '/diskusage').status == 200, 30, 'an answer')
    r = wait_for(lambda: (r := appiad.call('PUT', TOPICS, {'topics': [{'name': 'still', 'new_partition_numbers': 3}]})).status == 204
                 and r, 60, 'the change')
    assert r and [t['partition'] for t in listed(appiad, name='still')['topics']] == [3]
    rest = {t['name'] for t in listed(appiad)['topics']}
    assert 'still' in rest
    # What was to be deleted is not listed any more, and goes when it is asked for again.
    gone = delete(appiad, *rest, *GOING)['topics']
    assert {t['id'] for t in gone if t['success']} >= rest


def test_standing_still(appiad, kafka, owner):
    prepare(appiad, owner)
    kcat(kafka, '-P', '-t', 'still', data=b'hello')
    assert ok(appiad.call('GET', MQS + '/messages', query={'topic': 'still', **TIMES}))['total'] == 1
    kafka.process.send_signal(signal.SIGSTOP)
    try:
        check_away(appiad, owner, 'still')
    finally:
        kafka.process.send_signal(signal.SIGCONT)
    check_healed(appiad, owner)


def test_others_do_not_wait(appiad, kafka, owner):
    """While Kafka stands still and calls wait for it, none of them is in the way of others in the store."""
    prepare(appiad, owner)
    create(appiad, owner, 'other', partition=1)
    waiting = {**{f'update {i}': ('PUT', TOPICS, {'topics': [{'name': 'still', 'retention_time': i}]}) for i in range(1, 5)},
               **{f'delete {name}': ('DELETE', TOPICS, None, None, {'name': name}) for name in GOING}}
    key = ok(appiad.call('GET', f'{PUBLIC}/apps/{owner}'))['key']

    def policies(name):
        return 'POST', f'{TOPICS}/{name}/access-policies/batch-add', {'policies': [
            {'user_name': key, 'app_name': 'x', 'access_policy': 'all'}]}
    kafka.process.send_signal(signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(call_all, appiad, waiting)
            wait_for(lambda: {t['name'] for t in listed(appiad)['topics']}.isdisjoint(GOING), what='deletions that wait')
            replies = call_all(appiad, {
                **{f'app {i}': ('POST', f'{PUBLIC}/apps', {'name': f'beside-{i}'})
                   for i in range(4)},
                'policies': policies('other'), 'policies of the same': policies('still'),
                'update of one that is going': ('PUT', TOPICS, {'topics': [{'name': 'going-1', 'retention_time': 1}]})})
            assert not asked.done()
            for name, (r, seconds) in asked.result().items():
                assert r.status == 500 and r.json['error_code'] == 'MQS.005000053', f'{name}: {r}'
                assert seconds < BOUND, f'{name}: {seconds:.0f} s'
        refused(replies.pop('update of one that is going')[0], 400, 'MQS.00400101')
        for name, (r, seconds) in replies.items():
            assert r.status in (201, 204) and seconds < 3, f'{name}: {seconds:.0f} s, {r}'
    finally:
        kafka.process.send_signal(signal.SIGCONT)
    check_healed(appiad, owner)


def test_stops_while_kafka_stands_still(kafka, tmp_path):
    """The end of the control plane does not wait for Kafka."""
    settings = {'APPIA_MQS_ENGINE': 'kafka', 'APPIA_MQS_BOOTSTRAP_SERVERS': kafka.address}
    daemon = Appiad(tmp_path, {**store_settings(), **settings})
    create(daemon, app(daemon, 'x'), 'ends', partition=1)
    kafka.process.send_signal(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        assert daemon.stop() == 0 and time.monotonic() - begin < 15
    finally:
        kafka.process.send_signal(signal.SIGCONT)


class Peer:
    """Takes connections and does nothing, or says what it likes."""

    def __init__(self, say):
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.address = '127.0.0.1:%d' % self.listener.getsockname()[1]
        self.say, self.kept = say, []
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.kept.append(connection)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        try:
            for part in self.say():
                connection.sendall(part)
                time.sleep(0.2)
        except OSError:
            pass

    def stop(self):
        for s in (self.listener, *self.kept):
            s.close()


@pytest.mark.parametrize('name', ['silent', 'trickling', 'closed', 'garbage', 'huge'])
def test_no_kafka(tmp_path, name):
    says = {'silent': lambda: [], 'trickling': lambda: iter(lambda: b'\0', b''), 'garbage': lambda: [b'HTTP/1.1 400 Bad\r\n\r\n'],
            'huge': lambda: [b'\x7f\xff\xff\xff']}
    peer = Peer(says.get(name, lambda: []))
    if name == 'closed':
        peer.stop()
    daemon = Appiad(tmp_path, {**store_settings(), 'APPIA_MQS_ENGINE': 'kafka', 'APPIA_MQS_BOOTSTRAP_SERVERS': peer.address})
    try:
        code = 'MQS.005000053' if name in ('silent', 'closed') else 'MQS.005000070'
        own = app(daemon, 'owner of topics')
        for what, (r, seconds) in call_all(daemon, asking(own, 'nothing')).items():
            assert seconds < 12, f'{what}: {seconds:.0f} s'
            if r.status == 400:  # refused before Kafka is asked: there is no such topic
                assert r.json['error_code'] == 'MQS.00400101', f'{what}: {r}'
            else:
                assert r.status == 500 and r.json['error_code'] == code, f'{what}: {r}'
        assert ok(daemon.call('GET', MQS))['status'] == 'ERROR'
        assert ok(daemon.call('GET', TOPICS))['total'] == 0
    finally:
        assert daemon.stop() == 0
        peer.stop()


def test_down(appiad, kafka, owner):
    """Last: the Kafka is gone after it, and back only where its data is ours."""
    prepare(appiad, owner)
    if kafka.engine == 'apache':
        kafka.process.kill()
        kafka.process.wait()
    else:
        kafka.kill()
    begin = time.monotonic()
    check_away(appiad, owner, 'still')
    assert time.monotonic() - begin < 60
    refused(appiad.call('POST', TOPICS, {'name': 'more', 'app_id': owner, 'access_policy': 'all', 'partition': 1}), 500,
            'MQS.005000053')
    if kafka.engine == 'embedded':
        kafka.start()
        check_healed(appiad, owner)
    assert os.path.exists(appiad.socket)
