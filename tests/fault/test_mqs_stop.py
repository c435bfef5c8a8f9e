# SPDX-License-Identifier: Apache-2.0
"""An orderly stop: groups of both protocols go on where they were, and nothing that was acknowledged is lost."""
import pathlib
import subprocess
import threading
import time

import pytest

from lib import vendor
from lib.appiad import wait_for
from lib.mqs import Mqs
from lib.wire import Wire, batch, error, records

CONSUMERS = '''
import sys, threading, time
from confluent_kafka import *
address, protocol = sys.argv[1:]
lines = threading.Lock()
def tell(*what):
    with lines:
        print(*what, flush=True)

def member(name):
    settings = {'bootstrap.servers': address, 'group.id': 'stop-' + protocol, 'group.protocol': protocol,
                'auto.offset.reset': 'earliest', 'enable.auto.commit': False, 'reconnect.backoff.ms': 20,
                'reconnect.backoff.max.ms': 200}
    if protocol == 'classic':
        settings.update({'session.timeout.ms': 30000, 'heartbeat.interval.ms': 500})
    c = Consumer(settings)
    def on(event):
        return lambda c, parts: tell(event, name, *sorted(p.partition for p in parts))
    c.subscribe(['stop'], on_assign=on('assign'), on_revoke=on('revoke'), on_lost=on('lost'))
    while not over.is_set():
        m = c.poll(0.1)
        if m is not None and m.error() is None:
            try:
                c.commit(m, asynchronous=False)
            except KafkaException as e:
                tell('commit', e.args[0].name())
            tell('got', name, m.partition(), m.offset())
    tell('over', name)

over = threading.Event()
threads = [threading.Thread(target=member, args=(n,), daemon=True) for n in 'abc']
for t in threads:
    t.start()
sys.stdin.read()
over.set()
for t in threads:
    t.join(10)
'''


class Group:
    """Three members in a process of their own; lines: what they told."""

    def __init__(self, mqs, protocol):
        self.process = subprocess.Popen([vendor.PYTHON, '-c', CONSUMERS, mqs.address, protocol], text=True,
                                        env=vendor.python_sdk('confluent-kafka'), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lines, self.news = [], threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            with self.news:
                self.lines.append(line.split())
                self.news.notify_all()

    def wait(self, condition, seconds=40):
        with self.news:
            assert self.news.wait_for(lambda: condition(self.lines), seconds), self.lines[-40:]

    def owned(self):
        """Partitions of each member by its callbacks."""
        out = {}
        for line in self.lines:
            if line[0] == 'assign':
                out.setdefault(line[1], set()).update(line[2:])
            elif line[0] in ('revoke', 'lost'):
                out.setdefault(line[1], set()).difference_update(line[2:])
        return out

    def settled(self, _):
        return sorted(len(v) for v in self.owned().values()) == [2, 2, 2]

    def close(self):
        self.process.stdin.close()
        self.process.wait(30)


def beats(mqs, api):
    want = f'appia_mqs_api_requests_total{{api="{api}"}} '
    return sum(int(line.split()[1]) for line in mqs.get('/metrics').splitlines() if line.startswith(want))


@pytest.mark.parametrize('protocol', ['classic', 'consumer'])
@pytest.mark.parametrize('how', ['stop', 'kill'])
def test_members_keep_their_partitions(protocol, how):
    mqs = Mqs(group_heartbeat='500ms')
    with Wire(mqs) as wire:
        wire.create('stop', 6)
    group = Group(mqs, protocol)
    group.wait(group.settled)
    before = len(group.lines)
    for turn in range(3):
        with Wire(mqs) as wire:
            for p in range(6):
                assert wire.produce('stop', batch([b'x'] * 3), p)['error'] == 'NONE'
        group.wait(lambda lines: sum(line[0] == 'got' for line in lines) >= 18 * (turn + 1))
        getattr(mqs, how)()
        mqs.start()
    with Wire(mqs) as wire:
        assert wire.produce('stop', batch([b'last']), 0)['error'] == 'NONE'
    group.wait(lambda lines: ['got', '0', '9'] in [[line[0], *line[2:]] for line in lines if line[0] == 'got'])
    api = 'Heartbeat' if protocol == 'classic' else 'ConsumerGroupHeartbeat'
    wait_for(lambda: beats(mqs, api) >= 6, 30, 'heartbeats of all members')
    moved = [line for line in group.lines[before:] if line[0] in ('assign', 'revoke', 'lost')]
    group.close()
    mqs.stop()
    mqs.remove()
    assert not moved, moved
    assert group.settled(None)


def test_stop_under_load_is_quick_and_honest():
    """Producers that wait for the disk are answered or not; what was answered is there afterwards."""
    mqs = Mqs()
    acked, stop = [0] * 8, threading.Event()
    with Wire(mqs) as wire:
        wire.create('load', 8)

    def write(part):
        try:
            with Wire(mqs) as w:
                while not stop.is_set():
                    assert w.produce('load', batch([b'y' * 200]), part)['error'] == 'NONE'
                    acked[part] += 1
        except (ConnectionError, OSError):
            pass
    threads = [threading.Thread(target=write, args=(p,)) for p in range(8)]
    for t in threads:
        t.start()
    while min(acked) < 20:
        time.sleep(0)
    began = time.monotonic()
    mqs.stop()
    took = time.monotonic() - began
    stop.set()
    for t in threads:
        t.join()
    mqs.start()
    with Wire(mqs) as wire:
        for p in range(8):
            answer = wire.call('ListOffsets', 5, topics=[{'name': 'load', 'partitions': [{'partition_index': p, 'timestamp': -1}]}])
            row = answer['topics'][0]['partitions'][0]
            assert error(row) == 'NONE' and row['offset'] >= acked[p], (row, acked[p])
            assert row['offset'] <= acked[p] + 1
    mqs.stop()
    mqs.remove()
    assert took < 3, took


@pytest.fixture
def slow_disk(tmp_path, monkeypatch):
    """Makes flushes of files whose path has the text slow, and says whether one has begun."""
    source, name = pathlib.Path(__file__).with_name('slow_disk.c'), tmp_path / 'slow'
    subprocess.run(['cc', '-shared', '-fPIC', '-o', tmp_path / 'slow.so', source], check=True)
    monkeypatch.setenv('LD_PRELOAD', str(tmp_path / 'slow.so'))
    monkeypatch.setenv('SLOW_DISK', str(name))
    monkeypatch.setenv('ASAN_OPTIONS', 'verify_asan_link_order=0')

    def slow(text=None):
        if text:
            name.write_text(text)
        return name.with_suffix('.seen').exists()
    return slow


@pytest.mark.parametrize('what', ['groups', 'state'])
def test_what_waits_for_the_disk_is_answered(slow_disk, what):
    """A commit of offsets, or a new topic, that the broker has begun with when it is told to stop."""
    mqs = Mqs()
    with Wire(mqs) as wire:
        wire.create('t')
        assert wire.commit('g', 't', 1) == 'NONE'
        slow_disk('__appia_' + what)
        if what == 'groups':
            wire.send('OffsetCommit', 8, group_id='g', member_id='', generation_id_or_member_epoch=-1, topics=[
                {'name': 't', 'partitions': [{'partition_index': 0, 'committed_offset': 2, 'committed_metadata': ''}]}])
        else:
            wire.send('CreateTopics', 7, timeout_ms=10000, topics=[{'name': 'new', 'num_partitions': 1, 'replication_factor': 1}])
        wait_for(slow_disk, 10, 'a flush')
        mqs.stop()
        if what == 'groups':
            assert error(wire.receive('OffsetCommit', 8)['topics'][0]['partitions'][0]) == 'NONE'
        else:
            assert error(wire.receive('CreateTopics', 7)['topics'][0]) == 'NONE'
    mqs.start()
    with Wire(mqs) as wire:
        if what == 'groups':
            assert wire.committed('g', 't') == (2, '')
        else:
            assert wire.produce('new', batch([b'x']))['error'] == 'NONE'
    mqs.stop()
    mqs.remove()


def test_a_transaction_whose_markers_wait_for_the_disk(slow_disk):
    """They are nobody's request: the stop does not wait for them, the next start ends the transaction."""
    mqs = Mqs()
    with Wire(mqs) as wire:
        wire.create('slow', 2)
        who = wire.producer('id')
        wire.call('AddPartitionsToTxn', 3, v3_and_below_transactional_id='id', v3_and_below_producer_id=who[0],
                  v3_and_below_producer_epoch=who[1], v3_and_below_topics=[{'name': 'slow', 'partitions': [0, 1]}])
        for p in range(2):
            assert wire.produce('slow', batch([b'x'], who, 0, transactional=True), p, transaction='id')['error'] == 'NONE'
        slow_disk('slow-')
        assert error(wire.call('EndTxn', 3, transactional_id='id', producer_id=who[0], producer_epoch=who[1],
                               committed=True)) == 'NONE'
        wait_for(slow_disk, 10, 'a flush')
    mqs.stop()
    mqs.start()
    with Wire(mqs) as wire:
        for p in range(2):
            wait_for(lambda part=p: records(wire.fetch('slow', 0, part, committed=True)['records']), 30, 'the record')
    mqs.stop()
    mqs.remove()
