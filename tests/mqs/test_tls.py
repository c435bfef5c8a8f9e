# SPDX-License-Identifier: Apache-2.0
"""TLS connections: what one peer does wrong is no trouble of another; records sent by the kernel and without it."""
import socket
import ssl
import struct


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
