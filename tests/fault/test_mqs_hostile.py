# SPDX-License-Identifier: Apache-2.0
"""Connections that mean harm, while a producer and a consumer measure what they notice of it."""
import os
import select
import socket
import ssl
import struct
import threading
import time

import pytest

from lib.mqs import Mqs
from lib.wire import Wire, batch

LIMIT = 200
# A broker with sanitizers on a loaded machine; a stalled loop is stalled for the whole attack.
STALL_S = 2.0


class Victim:
    """Writes and reads all the time on one connection, and on new ones; longest: the longest it waited, in s."""

    def __init__(self, mqs):
        self.mqs, self.longest, self.turns, self.trouble = mqs, 0.0, 0, None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def turn(self, wire):
        began = time.monotonic()
        part = {'index': 0, 'records': batch([b'v' * 100])}
        answer = wire.call('Produce', 9, acks=-1, timeout_ms=10000, topic_data=[{'name': 'victim', 'partition_data': [part]}])
        row = answer['responses'][0]['partition_responses'][0]
        assert row['error_code'] == 0, answer
        want = {'partition': 0, 'fetch_offset': row['base_offset'], 'partition_max_bytes': 1 << 20}
        answer = wire.call('Fetch', 11, max_wait_ms=500, min_bytes=1, max_bytes=1 << 20, session_epoch=-1,
                           topics=[{'topic': 'victim', 'partitions': [want]}])
        assert answer['responses'][0]['partitions'][0]['records'], answer
        self.longest = max(self.longest, time.monotonic() - began)
        self.turns += 1

    def run(self):
        try:
            with Wire(self.mqs) as wire:
                while not self.stop.is_set():
                    self.turn(wire)
        except Exception as e:  # pylint: disable=broad-except
            self.trouble = e

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, kind, *_):
        before = self.turns
        end = time.monotonic() + 20
        while self.turns < before + 3 and self.trouble is None and time.monotonic() < end:
            select.select([], [], [], 0.01)
        self.stop.set()
        self.thread.join()
        if kind is None:
            assert self.trouble is None, repr(self.trouble)
            assert self.turns >= before + 3 and self.longest < STALL_S, (self.turns, self.longest)


@pytest.fixture(scope='module')
def mqs():
    broker = Mqs(tls=True, connections=LIMIT)
    with Wire(broker) as wire:
        topic = {'name': 'victim', 'num_partitions': 1, 'replication_factor': 1}
        assert wire.call('CreateTopics', 5, topics=[topic], timeout_ms=10000)['topics'][0]['error_code'] == 0
        big = {'index': 0, 'records': batch([bytes(900000)])}
        topic['name'] = 'big'
        wire.call('CreateTopics', 5, topics=[topic], timeout_ms=10000)
        for _ in range(8):
            wire.call('Produce', 9, acks=-1, timeout_ms=10000, topic_data=[{'name': 'big', 'partition_data': [big]}])
    yield broker
    broker.stop()
    broker.remove()


def connect(port):
    s = socket.create_connection(('127.0.0.1', port), 10)
    s.settimeout(10)
    return s


def ended(s):
    """The broker has closed the connection."""
    try:
        while True:
            if not s.recv(65536):
                return True
    except (ConnectionError, ssl.SSLError):
        return True
    except TimeoutError:
        return False


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()


def metric(mqs, name):
    return int(next(line.split()[1] for line in mqs.get('/metrics').splitlines() if line.startswith(f'appia_mqs_{name} ')))


def wait(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        select.select([], [], [], 0.02)


def frame(key, version, correlation, body=b''):
    data = struct.pack('>hhih', key, version, correlation, -1) + body
    return struct.pack('>i', len(data)) + data


FETCH_BIG = frame(1, 4, 1, struct.pack('>iiiibi', -1, 1000, 1, 50 << 20, 0, 1) + struct.pack('>h', 3) + b'big' +
                  struct.pack('>iiqi', 1, 0, 0, 50 << 20))


def test_bytes_come_one_by_one(mqs):
    with Victim(mqs):
        slow = [connect(mqs.port) for _ in range(50)]
        for i, byte in enumerate(frame(18, 0, 9)):
            for s in slow:
                s.sendall(bytes([byte]))
            select.select([], [], [], 0.01)
        for s in slow:
            assert s.recv(8)[4:] == struct.pack('>i', 9)
            s.close()


@pytest.mark.parametrize('length', [0, 7, -1, -(1 << 31), (1 << 31) - 1, 200 << 20])
def test_impossible_lengths(mqs, length):
    with Victim(mqs):
        for port in (mqs.port, mqs.sasl_plaintext_port):
            with connect(port) as s:
                s.sendall(struct.pack('>i', length) + b'x' * 20)
                assert ended(s)


def test_long_frames_that_never_end(mqs):
    """More of them than mqs.memory holds: they wait for each other, not others for them."""
    with Victim(mqs):
        half = [connect(mqs.port) for _ in range(20)]
        for s in half:
            s.sendall(struct.pack('>i', 90 << 20) + frame(0, 9, 1)[4:] + b'x' * 100000)
        for s in half:
            reset(s)
    wait(lambda: metric(mqs, 'request_memory_bytes') == 0)


def test_memory_that_others_need():
    """Long requests that stop half-way do not keep others' long ones waiting until they count as idle."""
    mqs = Mqs(memory='1M')
    half = [connect(mqs.port) for _ in range(2)]
    for s in half:
        s.sendall(struct.pack('>i', 1 << 19) + frame(0, 9, 1)[4:] + b'x' * 1000)
    wait(lambda: metric(mqs, 'request_memory_bytes') == 1 << 20)
    with Wire(mqs) as wire:
        assert wire.produce('big', batch([bytes(100000)]))['error'] in ('NONE', 'UNKNOWN_TOPIC_OR_PARTITION')
    for s in half:
        s.settimeout(1)
    assert any(ended(s) for s in half)
    for s in half:
        s.close()
    mqs.stop()
    mqs.remove()


def test_before_a_login_frames_are_short(mqs):
    with connect(mqs.sasl_plaintext_port) as s:
        s.sendall(struct.pack('>i', 10 << 20) + b'\0' * 1000)
        assert ended(s)


def test_half_frames(mqs):
    with Victim(mqs):
        for n in range(1, len(FETCH_BIG)):
            s = connect(mqs.port)
            s.sendall(FETCH_BIG[:n])
            if n % 2:
                reset(s)
            else:
                s.close()


def test_a_thousand_requests_at_once(mqs):
    with Victim(mqs):
        many = [connect(mqs.port) for _ in range(5)]
        for s in many:
            threading.Thread(target=s.sendall, args=(b''.join(frame(18, 0, i) for i in range(1000)),)).start()
        for s in many:
            data, at = b'', 0
            for i in range(1000):
                while len(data) - at < 4 or len(data) - at < 4 + struct.unpack_from('>i', data, at)[0]:
                    part = s.recv(1 << 20)
                    assert part
                    data, at = data[at:] + part, 0
                n, correlation = struct.unpack_from('>ii', data, at)
                assert correlation == i
                at += 4 + n
            s.close()


def test_a_thousand_long_polls_of_one_connection(mqs):
    wait_long = FETCH_BIG.replace(struct.pack('>iii', -1, 1000, 1), struct.pack('>iii', -1, 60000, 1 << 30))
    with Victim(mqs):
        s = connect(mqs.port)
        s.settimeout(0.5)
        try:
            s.sendall(wait_long * 1000)
        except TimeoutError:
            pass  # it is not read further
        reset(s)


def cpu_s(mqs):
    with open(f'/proc/{mqs.process.pid}/stat', encoding='ascii') as f:
        return sum(map(int, f.read().rpartition(')')[2].split()[11:13])) / os.sysconf('SC_CLK_TCK')


def test_who_sends_no_more_costs_nothing(mqs):
    n = 70  # answers that fill the buffers between, so that the broker stops reading
    one_batch = FETCH_BIG.replace(struct.pack('>i', 50 << 20), struct.pack('>i', 1000))
    s = connect(mqs.port)
    s.sendall(one_batch * n)
    s.shutdown(socket.SHUT_WR)
    with Wire(mqs) as wire:
        end = wire.call('ListOffsets', 4, replica_id=-1, isolation_level=0, topics=[
            {'name': 'victim', 'partitions': [{'partition_index': 0, 'current_leader_epoch': -1, 'timestamp': -1}]}])
        end = end['topics'][0]['partitions'][0]['offset']
        before = cpu_s(mqs)
        wire.call('Fetch', 4, replica_id=-1, max_wait_ms=2000, min_bytes=1, max_bytes=1000, isolation_level=0, topics=[
            {'topic': 'victim', 'partitions': [{'partition': 0, 'fetch_offset': end, 'partition_max_bytes': 1000}]}])
        assert cpu_s(mqs) - before < 1
    assert ended(s)
    s.close()


def test_more_connections_than_allowed(mqs):
    wait(lambda: metric(mqs, 'connections') == 0)
    refused = metric(mqs, 'connections_refused_total')
    with Victim(mqs):
        many = [connect(mqs.port) for _ in range(LIMIT + 100)]
        wait(lambda: metric(mqs, 'connections_refused_total') - refused >= 100)
        for s in many:
            s.close()
    wait(lambda: metric(mqs, 'connections') == 0)
    with connect(mqs.port) as s:
        s.sendall(frame(18, 0, 5))
        assert s.recv(8)[4:] == struct.pack('>i', 5)


def test_gone_in_the_middle_of_a_fetch(mqs):
    with Victim(mqs):
        for n in range(60):
            s = connect(mqs.port)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(FETCH_BIG * 3)
            s.recv(1 + n * 500)
            reset(s)
        readers = []
        for _ in range(20):  # these take nothing at all
            s = connect(mqs.port)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(FETCH_BIG * 20)
            readers.append(s)
        for s in readers:
            s.recv(100)
            reset(s)


def test_garbage_instead_of_tls(mqs):
    with Victim(mqs):
        for n in range(30):
            s = connect(mqs.sasl_port)
            s.sendall(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + os.urandom(n * 30) if n % 3 else os.urandom(2000))
            if n % 2:
                reset(s)
            else:
                try:
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # closed already
                assert ended(s)
                s.close()
        # The other way round: TLS where there is none, and a handshake that stops half-way.
        context = ssl.create_default_context(cafile=mqs.ca)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(connect(mqs.port), server_hostname='localhost')
        half = [connect(mqs.sasl_port) for _ in range(50)]
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname='localhost')
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        for s in half:
            s.sendall(hello[:len(hello) // 2])
        with context.wrap_socket(connect(mqs.sasl_port), server_hostname='localhost') as s:
            s.sendall(frame(18, 0, 6))
            assert s.recv(8)[4:8] == struct.pack('>i', 6)
            # A record that is damaged inside of a good connection.
            os.write(s.fileno(), b'\x17\x03\x03\x00\x20' + os.urandom(32))
            assert ended(s)
        for s in half:
            reset(s)


def test_logins_that_do_not_end(mqs):
    """Exchanges that were begun, wrong passwords by the hundred, requests without a login."""
    with Victim(mqs):
        for n in range(60):
            s = connect(mqs.sasl_plaintext_port)
            s.sendall(frame(17, 1, 1, struct.pack('>h', 13) + b'SCRAM-SHA-256'))
            s.recv(100)
            text = b'n,,n=nobody%d,r=abcdef' % n
            s.sendall(frame(36, 0, 2, struct.pack('>i', len(text)) + text))
            if n % 3 == 0:
                s.recv(100)
            if n % 2:
                s.sendall(frame(3, 0, 3, struct.pack('>i', 0)))
                assert ended(s)
            reset(s)
