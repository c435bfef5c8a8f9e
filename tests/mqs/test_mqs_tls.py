# SPDX-License-Identifier: Apache-2.0
"""TLS connections: what one peer does wrong is no trouble of another; records sent by the kernel and without it."""
import pathlib
import socket
import ssl
import struct
import subprocess

import pytest

from lib.mqs import Mqs
from lib.wire import Wire, batch


def connect(mqs):
    context = ssl.create_default_context(cafile=mqs.ca)
    context.check_hostname = False
    return context.wrap_socket(socket.create_connection(('127.0.0.1', mqs.sasl_port), 10))


def versions(s):
    s.sendall(struct.pack('>ihhih', 12, 18, 0, 7, 2) + b'xy')
    return s.recv(65536)[4:8] == b'\0\0\0\7'


def test_a_peer_without_tls_is_no_trouble_of_others(mqs):
    good = [connect(mqs) for _ in range(6)]
    assert all(versions(s) for s in good)
    for data in (b'GET / HTTP/1.0\r\n\r\n', b'\0\0\0\x0c\0\x12\0\0\0\0\0\1\0\2xy', b'\x16\x03\x01\x02\x00\xff' * 100,
                 b'\x15\x03\x01\x00\x02\x02\x28'):
        for _ in range(8):
            with socket.create_connection(('127.0.0.1', mqs.sasl_port), 10) as s:
                s.sendall(data)
                try:
                    while s.recv(1000):
                        pass
                except ConnectionResetError:
                    pass
    for s in good:
        assert versions(s)
        assert versions(s)
        s.close()


def log_in(mqs, wire):
    context = ssl.create_default_context(cafile=mqs.ca)
    context.check_hostname = False
    wire.socket = context.wrap_socket(wire.socket)
    assert wire.call('SaslHandshake', 1, mechanism='PLAIN')['error_code'] == 0
    assert wire.call('SaslAuthenticate', 2, auth_bytes=b'\0key-root\0secret-root')['error_code'] == 0


@pytest.mark.parametrize('why', ['waits', 'pauses'])
def test_requests_behind_a_full_queue_are_answered_without_more_bytes(mqs, why):
    """The broker stops reading in the middle of a TLS record: what OpenSSL has of it by then makes no event of the socket."""
    def versions_of(size):
        return struct.pack('>ihhih', size - 4, 18, 0, 7, size - 14) + bytes(size - 14)
    with Wire(mqs) as plain:
        plain.create('full-' + why)
    mqs.quota(client='pauses', producer_byte_rate=1000)
    with Wire(mqs, client=why, port=mqs.sasl_port) as w:
        log_in(mqs, w)
        w.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        if why == 'waits':
            part = {'partition': 0, 'fetch_offset': 0, 'partition_max_bytes': 1000}
            w.send('Fetch', 4, replica_id=-1, max_wait_ms=500, min_bytes=1, max_bytes=1000,
                   topics=[{'topic': 'full-waits', 'partitions': [part]}])
        else:
            w.send('Produce', 3, acks=1, timeout_ms=1000, topic_data=[
                {'name': 'full-pauses', 'partition_data': [{'index': 0, 'records': batch([bytes(2000)])}]}])
        # 64 requests are read ahead; the last of them is whole with the first bytes of the second record.
        first, second = versions_of(20) * 62 + versions_of(12000), versions_of(2000) * 3
        w.socket.sendall(first[:-2000])
        w.socket.sendall(first[-2000:] + second)
        w.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        for _ in range(1 + 62 + 1 + 3):
            w._exactly(struct.unpack('>i', w._exactly(4))[0])


FAKE = pathlib.Path(__file__).with_name('kernel_tls.c')


@pytest.mark.parametrize('kernel', [False, True])
def test_records_go_by_the_kernel_where_it_encrypts(tmp_path, monkeypatch, kernel):
    """A kernel with the module is not at hand everywhere: a library takes its part, and writes down what it did."""
    if kernel:
        subprocess.run(['cc', '-shared', '-fPIC', '-o', tmp_path / 'fake.so', FAKE, '-ldl'], check=True)
        monkeypatch.setenv('LD_PRELOAD', str(tmp_path / 'fake.so'))
        monkeypatch.setenv('KERNEL_TLS_LOG', str(tmp_path / 'sent'))
        monkeypatch.setenv('ASAN_OPTIONS', 'verify_asan_link_order=0')
    mqs = Mqs(tls=True, published=[
        {'put': 'app', 'id': 'id', 'name': 'a', 'key': 'key', 'secret': 'secret', 'project_id': 'p', 'disabled': False},
        {'put': 'raw', 'key': 'topic_right/t/key', 'value': '{"pub":true,"sub":true,"owner":true,"pub_tags":[],"sub_tags":[]}'}])
    with Wire(mqs) as plain, Wire(mqs, port=mqs.sasl_port) as w:
        plain.create('t', max_message_bytes=10 << 20)
        context = ssl.create_default_context(cafile=mqs.ca)
        context.check_hostname = False
        w.socket = context.wrap_socket(w.socket)
        assert w.call('SaslHandshake', 1, mechanism='PLAIN')['error_code'] == 0
        assert w.call('SaslAuthenticate', 2, auth_bytes=b'\0key\0secret')['error_code'] == 0
        sent = b''
        for i in range(5):
            data = batch([bytes([i]) * 1000000] * 5)
            assert w.produce('t', data)['base_offset'] == i * 5
            sent += plain.fetch('t', i * 5, size=10 << 20)['records']
        assert w.fetch('t', 0, size=64 << 20)['records'] == sent
    mqs.stop()
    mqs.remove()
    if kernel:
        assert sum(map(int, (tmp_path / 'sent').read_text().split())) == len(sent)
