# SPDX-License-Identifier: Apache-2.0
"""Bytes on the wire: framing, order of answers, what hostile peers send."""
import binascii
import os
import random
import socket
import struct
import time


def connect(mqs):
    s = socket.create_connection(('127.0.0.1', mqs.port), 10)
    s.settimeout(10)
    return s


def request(key, version, correlation, body=b'', client=b'test'):
    head = struct.pack('>hhih', key, version, correlation, len(client)) + client
    return struct.pack('>i', len(head) + len(body)) + head + body


def read(s):
    size = b''
    while len(size) < 4:
        part = s.recv(4 - len(size))
        if not part:
            return None
        size += part
    n, data = struct.unpack('>i', size)[0], b''
    while len(data) < n:
        part = s.recv(n - len(data))
        if not part:
            return None
        data += part
    return data


def test_unknown_version_of_api_versions_gets_version_0(mqs):
    with connect(mqs) as s:
        s.sendall(request(18, 99, 7))
        answer = read(s)
    correlation, code, n = struct.unpack('>ihi', answer[:10])
    keys = [struct.unpack('>hhh', answer[10 + i * 6:16 + i * 6]) for i in range(n)]
    assert (correlation, code) == (7, 35)
    assert (18, 0, 4) in keys


def test_every_range_begins_at_0(mqs):
    """But those of share groups, whose version 0 was an early one."""
    with connect(mqs) as s:
        s.sendall(request(18, 0, 1))
        answer = read(s)
    n = struct.unpack('>i', answer[6:10])[0]
    keys = [struct.unpack('>hhh', answer[10 + i * 6:16 + i * 6]) for i in range(n)]
    assert n > 45
    assert all(low == (key in range(76, 80)) for key, low, _ in keys)


def test_pipelined_requests_are_answered_in_order(mqs):
    with connect(mqs) as s:
        s.sendall(b''.join(request(18, 0, i) for i in range(500)))
        assert [struct.unpack('>i', read(s)[:4])[0] for _ in range(500)] == list(range(500))


def test_a_request_in_pieces(mqs):
    with connect(mqs) as s:
        for byte in request(18, 0, 3):
            s.sendall(bytes([byte]))
        assert struct.unpack('>i', read(s)[:4])[0] == 3


def test_bad_frames_end_the_connection_only(mqs):
    for data in (struct.pack('>i', -1), struct.pack('>i', 2000000000), struct.pack('>i', 0), b'GET / HTTP/1.1\r\n\r\n',
                 b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', request(999, 0, 1), request(3, 99, 1),
                 request(3, 1, 1, struct.pack('>i', 0x7fffffff)), request(0, 3, 1, b'\xff' * 40)):
        with connect(mqs) as s:
            s.sendall(data + b'\0' * 64)
            try:
                assert read(s) is None
            except ConnectionResetError:
                pass
    assert mqs.process.poll() is None


def test_random_bodies(mqs):
    rnd = random.Random(1)
    for key in list(range(0, 4)) + list(range(8, 52)) + [55, 57, 60, 61, 65, 66, 68, 69, 71, 72, 74, 75]:
        for version in range(0, 14):
            with connect(mqs) as s:
                s.settimeout(0.001)
                s.sendall(request(key, version, 1, rnd.randbytes(rnd.randrange(0, 60))))
                try:
                    s.recv(10)
                except OSError:
                    pass
    assert mqs.process.poll() is None
    with connect(mqs) as s:
        s.sendall(request(18, 0, 1))
        assert read(s)


def test_a_client_that_does_not_read_stalls_nobody(mqs):
    with connect(mqs) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(0.5)
        try:
            for i in range(20000):
                slow.sendall(request(18, 0, i))
        except OSError:
            pass
        begin = time.monotonic()
        with connect(mqs) as s:
            s.sendall(request(18, 0, 1))
            assert read(s)
        assert time.monotonic() - begin < 2


def text(value):
    return struct.pack('>h', len(value)) + value


def test_quotas_slow_down(mqs):
    entry = struct.pack('>i', 1) + text(b'client-id') + text(b'slow')
    quota = struct.pack('>i', 1) + entry + struct.pack('>i', 1) + text(b'producer_byte_rate') + struct.pack('>d?', 1e5, False)
    with connect(mqs) as s:
        s.sendall(request(3, 4, 1, struct.pack('>i', 1) + text(b'quota') + b'\1', b'slow'))
        assert read(s)
        s.sendall(request(49, 0, 2, quota + b'\0'))
        assert struct.unpack('>h', read(s)[12:14])[0] == 0
    # One message of magic 1 with 50 kB: half a second of the quota.
    message = b'\1\0' + struct.pack('>q', 1) + struct.pack('>i', -1) + struct.pack('>i', 50000) + b'x' * 50000
    message = struct.pack('>I', binascii.crc32(message)) + message
    records = struct.pack('>qi', 0, len(message)) + message
    produce = struct.pack('>hi', 1, 1000) + struct.pack('>i', 1) + text(b'quota') + struct.pack('>iii', 1, 0, len(records))
    with connect(mqs) as s:
        begin, pauses = time.monotonic(), []
        for i in range(6):
            s.sendall(request(0, 2, i, produce + records, b'slow'))
            answer = read(s)
            assert struct.unpack('>h', answer[23:25])[0] == 0, answer
            pauses.append(struct.unpack('>i', answer[-4:])[0])
    assert pauses[0] == 0 and max(pauses) > 300, pauses
    assert time.monotonic() - begin > 0.6


def test_health_and_metrics(mqs):
    assert '"status":"ok"' in mqs.get('/health')
    assert 'appia_mqs_api_requests_total{api="ApiVersions"}' in mqs.get('/metrics')
    assert os.path.exists(mqs.dir + '/mqs/state') or os.path.isdir(mqs.dir + '/mqs')
