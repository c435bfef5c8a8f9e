# SPDX-License-Identifier: Apache-2.0
"""A back end that records what it receives, byte for byte. What it answers depends on the path."""
import json
import os
import socket
import threading
import time


class Backend:
    def __init__(self, family=socket.AF_INET, path=None, ssl_context=None):
        self.requests = []
        self.connections = 0
        self.path = path
        self.ssl = ssl_context
        self.open = set()
        self.lock = threading.Lock()
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_INET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.sock.bind(('127.0.0.1', 0))
            self.port = self.sock.getsockname()[1]
            self.address = f'127.0.0.1:{self.port}'
        else:
            self.sock.bind(path)
        self.sock.listen(512)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        with self.lock:
            self.connections += 1
            number = self.connections
        try:
            if self.ssl:
                conn = self.ssl.wrap_socket(conn, server_side=True)
            self.open.add(conn)
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) if not self.path else None
            reader = conn.makefile('rb')
            while self.one(conn, reader, number):
                pass
        except (OSError, ValueError):
            pass
        finally:
            self.open.discard(conn)
            conn.close()

    def one(self, conn, reader, number):
        head = b''
        while not head.endswith(b'\r\n\r\n'):
            line = reader.readline()
            if not line:
                return False
            head += line
        lines = head.decode('latin-1').split('\r\n')
        method, target, version = lines[0].split(' ')
        headers = [tuple(h.split(': ', 1)) for h in lines[1:] if h]
        get = {k.lower(): v for k, v in headers}
        record = {'method': method, 'target': target, 'headers': headers, 'get': get, 'connection': number,
                  'head': head, 'time': time.time(), 'server_name': getattr(conn, 'sni', None)}
        path = target.split('?')[0]
        if path == '/early':
            self.requests.append(record)
            conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly')
            time.sleep(0.2)
            return False
        record['body'] = reader.read(int(get.get('content-length', 0)))
        self.requests.append(record)
        return self.answer(conn, path, record)

    def answer(self, conn, path, record):
        parts = path.split('/')
        if path == '/chunked':
            conn.sendall(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n')
            time.sleep(0.02)
            conn.sendall(b'6;x=y\r\n world\r\n0\r\nX-Trailer: 1\r\n\r\n')
            return True
        if path == '/until-close':
            conn.sendall(b'HTTP/1.1 200 OK\r\n\r\nuntil the end')
            return False
        if path == '/interim':
            conn.sendall(b'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n'
                         b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
            return True
        if parts[1] == 'raw':
            conn.sendall(RAW[parts[2]])
            return False if parts[2] in ('garbage', 'short', 'bad-chunk') else True
        if path == '/reset':
            return False
        if parts[1] == 'slow':
            time.sleep(float(parts[2]))
        if path == '/websocket':
            conn.sendall(b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
            conn.sendall(b'hello:' + conn.recv(100))
            return False
        status = int(parts[2]) if parts[1] == 'status' else 200
        if parts[1] == 'bytes':
            body = b'x' * int(parts[2])
        else:
            body = json.dumps({'method': record['method'], 'target': record['target'], 'headers': record['headers'],
                               'body_bytes': len(record['body'])}).encode()
        head = f'HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n'
        if path == '/forged':
            head += ('X-Request-Id: forged\r\nX-Accel-Redirect: /etc/passwd\r\nServer: secret/1.0\r\n'
                     'Access-Control-Allow-Origin: https://one.example\r\nX-Mine: 1\r\n')
        if status not in (204, 304):
            head += f'Content-Length: {len(body)}\r\n'
        if path == '/close':
            head += 'Connection: close\r\n'
        if record['method'] == 'HEAD' or status in (204, 304):
            body = b''
        conn.sendall(head.encode() + b'\r\n' + body)
        return path != '/close'

    @property
    def last(self):
        return self.requests[-1]

    def drop_connections(self):
        for conn in list(self.open):
            try:
                conn.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        self.drop_connections()
        if self.path and os.path.exists(self.path):
            os.unlink(self.path)


RAW = {
    'garbage': b'nothing of HTTP\r\n\r\n',
    'two-lengths': b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!',
    'odd-coding': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'too-long': b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
    'after-chunks': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
                    b'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged',
    'both': b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'short': b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this',
    'bad-chunk': b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n',
    'uninvited': b'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
}
