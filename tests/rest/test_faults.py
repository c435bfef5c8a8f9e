# SPDX-License-Identifier: Apache-2.0
"""What holds when processes die, Kafka is away, and when there are too many."""
import os
import signal
import struct
import subprocess
import threading
import time

import pytest

from lib.apic import ok, refused
from lib.appiad import wait_for
from lib.kafka import tool
from lib.mqs import Mqs
from lib.rest import SESSION, Messages, any_kafka
from lib.wire import Wire, error


def contents(got):
    return [m['message']['content'] for m in got]


def restart(messages):
    """kill -9 of the REST interface; the supervisor starts it again."""
    old = messages.platform.children()['appia-mqs-rest']
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: messages.platform.children().get('appia-mqs-rest', old) != old, 30, 'the next process')

    def up():
        return messages.platform.rest('GET', '/v1/topic/t/group/g/messages').status == 401
    wait_for(up, 30, 'the REST interface')


@any_kafka
def test_killed(messages, owner):
    """What was acknowledged is not given again, in order or not; what was not is."""
    topic = messages.topic(owner)
    owner.produce(topic, *'abcdefgh')
    got = owner.take(topic, 8, ack_wait=300)
    assert owner.ack(topic, [got[0], got[1]]) == {'success': 2, 'fail': 0}
    assert owner.ack(topic, [got[6], got[3]]) == {'success': 2, 'fail': 0}
    restart(messages)
    assert owner.ack(topic, got[:3]) == {'success': 0, 'fail': 3}  # of the process before
    again = owner.take(topic, 4)
    assert contents(again) == ['c', 'e', 'f', 'h']
    assert owner.ack(topic, [again[2], again[0]]) == {'success': 2, 'fail': 0}
    restart(messages)
    again = owner.take(topic, 2)
    assert contents(again) == ['e', 'h']
    assert owner.ack(topic, again) == {'success': 2, 'fail': 0} and owner.nothing(topic)
    restart(messages)
    owner.produce(topic, 'i')
    assert contents(owner.take(topic, 1)) == ['i']


class Traffic:
    """A producer and two consumers that go on through faults; with `with`, they end with the scenario."""

    def __init__(self, owner, topic):
        self.owner, self.topic = owner, topic
        self.stored, self.done = set(), set()  # what we were told
        self.unsure = set()  # acknowledged, and nobody told us whether that was taken: it may come again or not
        self.written, self.ended = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=f) for f in (self.write, self.read, self.read)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.written.set()
        self.ended.set()
        for t in self.threads:
            t.join(70)  # a request ends within its own limit

    def left(self):
        return self.stored - self.done - self.unsure

    def write(self):
        n = 0
        while not self.written.wait(0 if len(self.left()) < 50 else 0.05):
            if len(self.left()) >= 50:
                continue
            n += 1
            body = {'messages': [{'content': f'{n}', 'id': f'{n}'}]}
            try:
                r = self.owner.call('POST', f'/v1/topic/{self.topic}/messages', body)
                if r.status == 200 and r.json[0]['state'] == 'success':
                    self.stored.add(f'{n}')
            except OSError:
                pass

    def read(self):
        while not self.ended.is_set():
            try:
                r = self.owner.call('GET', f'/v1/topic/{self.topic}/group/g/messages?time_wait=1&ack_wait=5')
            except OSError:
                continue
            for m in r.json if r.status == 200 else []:
                self.acknowledge(m)

    def acknowledge(self, m):
        content = m['message']['content']
        try:
            if self.owner.ack(self.topic, [m])['success']:
                self.done.add(content)
        except (OSError, AssertionError):
            self.unsure.add(content)


def lag(messages, topic):
    """Messages that the group g has not committed; None: of a partition it has committed nothing."""
    out = tool(messages, 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand', '--describe', '--group', 'g')
    lags = [row[5] for row in map(str.split, out.splitlines()) if row[1:2] == [topic]]
    return None if '-' in lags else sum(map(int, lags))


def test_nothing_is_lost_by_kills(messages, owner):
    """Producers and consumers go on through kills; all that was stored is acknowledged in the end."""
    topic = messages.topic(owner, 2)
    with Traffic(owner, topic) as x:
        for _ in range(3):
            before = len(x.done)
            wait_for(lambda: len(x.done) > before + 20, 60, 'messages that go through')
            restart(messages)
        x.written.set()
        wait_for(lambda: not x.left(), 60, 'all that was stored')
        # Of an acknowledgement that the kill cut off only Kafka knows.
        wait_for(lambda: not x.stored - x.done or lag(messages, topic) == 0, 60, 'acknowledgements of the rest')
    assert len(x.stored) > 60


def test_left_and_joined_again(messages, owner):
    """A group that nobody asked for was left; what was acknowledged out of order is still known."""
    topic = messages.topic(owner)
    owner.produce(topic, *'abcd')
    got = owner.take(topic, 4, ack_wait=1)
    assert owner.ack(topic, [got[2], got[0]]) == {'success': 2, 'fail': 0}
    wait_for(lambda: messages.metric('consumers') == 0, 60, 'the REST interface to leave its groups')
    assert contents(owner.take(topic, 2)) == ['b', 'd']


@pytest.fixture(scope='module')
def alone():
    """A platform whose Kafka can be stopped and started again."""
    broker = Mqs(rest_session=SESSION)
    m = Messages(broker.address, env={'APPIA_MQS_REST_CONNECTIONS': '8', 'APPIA_MQS_REST_GROUPS': '2'})
    m.broker = broker
    yield m
    m.stop()
    if broker.process.poll() is None:
        broker.stop()
    broker.remove()


@pytest.fixture(scope='module')
def user(alone):
    return alone.app('user')


def test_kafka_is_away(alone, user):
    topic = alone.topic(user)
    user.produce(topic, 'before', 'more')
    got = user.take(topic, 2, ack_wait=300)  # the answers that Kafka is away take their time
    alone.broker.kill()
    body = {'messages': [{'content': 'x', 'id': '1'}]}
    acks = {'messages': [{'handler': got[0]['handler'], 'status': 'success'}]}
    for method, path, what in (('POST', f'/v1/topic/{topic}/messages', body),
                               ('POST', f'/v1/topic/{topic}/group/g/messages', acks),
                               ('GET', f'/v1/topic/{topic}/group/g/messages?time_wait=30', None),
                               ('GET', f'/v1/topic/{topic}/group/new/messages?time_wait=30', None)):
        start = time.monotonic()
        r = user.call(method, path, what)
        refused(r, 503, 'APPIA.0503', 'The message broker is unavailable')
        assert r.headers['retry-after'] == '1' and time.monotonic() - start < 20
    alone.broker.start()
    wait_for(lambda: user.call('POST', f'/v1/topic/{topic}/messages', body).status == 200, 30, 'a message')

    def acknowledged():
        # A handler holds through all of it, as long as the process and its place in the group.
        some = user.call('GET', f'/v1/topic/{topic}/group/g/messages?time_wait=1&ack_wait=2')
        return some.status == 200 and any(user.ack(topic, [m])['success'] for m in some.json)
    wait_for(acknowledged, 60, 'an acknowledgement')


def test_waiting_requests_do_not_stop_others(alone, user):
    topic, times = alone.topic(user), []
    assert user.nothing(topic)

    def wait():
        start = time.monotonic()
        assert user.consume(topic, time_wait=5) == []
        times.append(time.monotonic() - start)
    threads = [threading.Thread(target=wait) for _ in range(7)]
    for t in threads:
        t.start()
    start = time.monotonic()
    assert user.produce(alone.topic(user), 'x') == ['success']
    assert time.monotonic() - start < 4
    for t in threads:
        t.join(60)
    # Six may wait; the seventh is told at once that there is nothing.
    assert sorted(t > 4 for t in times) == [False] + [True] * 6


def test_idle_connections_hold_no_places(alone, user):
    """What the front door keeps open leaves places for those who watch."""
    topic = alone.topic(user)
    threads = [threading.Thread(target=user.consume, args=(topic,), kwargs={'time_wait': 1}) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    start = time.monotonic()
    assert alone.metric('waiting') == 0 and time.monotonic() - start < 5


def test_number_of_groups_is_bounded(alone, user):
    topic = alone.topic(user)
    user.produce(topic, 'a')
    wait_for(lambda: alone.metric('groups') == 0, 60, 'the groups of the scenarios before')
    held = [user.take(topic, 1, g, ack_wait=300) for g in ('one', 'two')]
    r = user.call('GET', f'/v1/topic/{topic}/group/three/messages')
    refused(r, 429, 'APPIA.0429')
    assert user.ack(topic, held[0], 'one') == {'success': 1, 'fail': 0}
    assert contents(user.take(topic, 1, 'three')) == ['a']  # in the place of the one that nobody needs
    assert user.ack(topic, held[1], 'two') == {'success': 1, 'fail': 0}


def test_stops_while_requests_wait():
    broker = Mqs(rest_session=SESSION)
    m = Messages(broker.address)
    user, got = m.app('user'), []
    topic = m.topic(user)
    assert user.nothing(topic)
    thread = threading.Thread(target=lambda: got.append(user.call(
        'GET', f'/v1/topic/{topic}/group/g/messages?time_wait=30').status))
    thread.start()
    wait_for(lambda: m.metric('waiting') == 1, 10, 'the waiting request')
    start = time.monotonic()
    m.stop()
    assert time.monotonic() - start < 10
    thread.join(30)
    assert got and got[0] in (200, 503)
    broker.stop()
    broker.remove()


def test_a_topic_made_anew(messages, owner):
    topic = messages.topic(owner)
    owner.produce(topic, *'abc')
    owner.ack(topic, owner.take(topic, 3))
    ok(messages.platform.call('DELETE', messages.TOPICS, query={'name': topic}))
    ok(messages.platform.call('POST', messages.TOPICS, {'name': topic, 'app_id': owner.id, 'access_policy': 'all',
                                                        'partition': 1}))
    wait_for(lambda: owner.produce(topic, 'new') == ['success'], 30, 'the topic')
    got = []

    def arrived():
        got.extend(owner.consume(topic, time_wait=1))
        return 'new' in contents(got)
    wait_for(arrived, 60, 'the message')


def test_a_kafka_client_joins(messages, owner):
    """Kafka moves a partition to it; what is under consumption of the other stays so."""
    topic, group = messages.topic(owner, 2), 'joined'  # nobody else's: who leaves it would move partitions again
    for partition in '01':
        messages.kcat('-P', '-t', topic, '-p', partition, data=b'a\nb\n')
    got = owner.take(topic, 4, group, ack_wait=300)
    with subprocess.Popen(['timeout', '60', 'kcat', '-b', messages.address, '-G', group, '-X', 'auto.offset.reset=earliest', '-u', '-q',
                           '-f', '%p\n', topic],
                          stdout=subprocess.PIPE, text=True) as kcat:
        try:
            moved = int(kcat.stdout.readline())  # it has begun where the group has committed
            for m in got:
                assert owner.ack(topic, [m], group) == ({'success': 0, 'fail': 1} if m['partition'] == moved else
                                                        {'success': 1, 'fail': 0})
            for partition in '01':
                messages.kcat('-P', '-t', topic, '-p', partition, data=b'c\n')
            mine = owner.take(topic, 1, group, ack_wait=300)
            assert (mine[0]['partition'], contents(mine)) == (1 - moved, ['c'])
            assert [kcat.stdout.readline() for _ in range(2)] == [f'{moved}\n'] * 2
            assert owner.nothing(topic, group)
        finally:
            kcat.terminate()
    assert owner.ack(topic, mine, group) == {'success': 1, 'fail': 0}


class Member:
    """A member of a classic group that wants no topic, and joins when it is told to."""

    def __init__(self, messages, group):
        self.wire, self.group, self.id = Wire(None, port=int(messages.address.rsplit(':', 1)[1])), group, ''

    def join(self):
        subscription = struct.pack('>hii', 0, 0, -1)
        self.wire.send('JoinGroup', 3, group_id=self.group, session_timeout_ms=60000, rebalance_timeout_ms=60000,
                       member_id=self.id, protocol_type='consumer',
                       protocols=[{'name': n, 'metadata': subscription} for n in ('range', 'roundrobin')])

    def sync(self):
        answer = self.wire.receive('JoinGroup', 3)
        assert error(answer) == 'NONE'
        self.id = answer['member_id']
        assert error(self.wire.call('SyncGroup', 2, group_id=self.group, generation_id=answer['generation_id'],
                                    member_id=self.id)) == 'NONE'

    def leave(self):
        assert error(self.wire.call('LeaveGroup', 1, group_id=self.group, member_id=self.id)) == 'NONE'
        self.wire.socket.close()


def test_acknowledgements_in_a_long_rebalance(messages, owner):
    """They wait until the partition is ours again, and are taken then."""
    topic, group = messages.topic(owner), 'long'
    for _ in range(3):
        owner.produce(topic, *'0123456789')
    got = owner.take(topic, 30, group, ack_wait=300)
    slow, other = Member(messages, group), Member(messages, group)
    slow.join()
    slow.sync()
    other.join()
    answers, last, pace = [], [time.monotonic()], threading.Event()

    def acknowledge():
        for m in got:
            pace.wait(0.1)  # the interface learns of the rebalance by its heartbeats
            answers.append(owner.ack(topic, [m], group))
            last[0] = time.monotonic()
    thread = threading.Thread(target=acknowledge)
    thread.start()
    # Nobody is in the group again until the slow one is.
    wait_for(lambda: not thread.is_alive() or time.monotonic() - last[0] > 7, 60, 'an acknowledgement that waits')
    assert thread.is_alive()
    pace.set()
    slow.join()
    other.sync()
    slow.sync()
    thread.join(30)
    assert answers == [{'success': 1, 'fail': 0}] * 30
    assert owner.nothing(topic, group)
    slow.leave()
    other.leave()


def test_a_topic_that_kafka_does_not_have(messages, owner):
    topic = messages.topic(owner)
    tool(messages, 'org.apache.kafka.tools.TopicCommand', '--delete', '--topic', topic)
    refused(owner.call('GET', f'/v1/topic/{topic}/group/g/messages'), 400, 'MQS.00400101', 'no topic of this name')


def test_with_a_password():
    """A Kafka where the platform has to log in."""
    app = {'put': 'app', 'id': 'i', 'name': 'n', 'key': 'platform', 'secret': 'its secret', 'project_id': 'p'}
    broker = Mqs(published=[app], administrators='platform', rest_session=SESSION)
    m = Messages(f'127.0.0.1:{broker.sasl_plaintext_port}', env={
        'APPIA_MQS_SECURITY_PROTOCOL': 'sasl_plaintext', 'APPIA_MQS_SASL_MECHANISM': 'SCRAM-SHA-512',
        'APPIA_MQS_SASL_USER': 'platform', 'APPIA_MQS_SASL_PASSWORD': 'its secret'})
    user = m.app('user')
    topic = m.topic(user)
    assert user.produce(topic, 'x') == ['success']
    assert user.ack(topic, user.take(topic, 1)) == {'success': 1, 'fail': 0}
    m.stop()
    broker.stop()
    broker.remove()
