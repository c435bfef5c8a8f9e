# SPDX-License-Identifier: Apache-2.0
"""Kafka's protocol without a client: each message of each version, as spec/kafka/ lays it out.

call() takes what differs from the defaults and returns the answer as a dict; structs are dicts, arrays lists, uuids 16
bytes. batch() makes record batches, records() reads them."""
import functools
import pathlib
import re
import socket
import struct
import time as clock

import yaml

SPEC = pathlib.Path(__file__).resolve().parents[2] / 'spec/kafka'
NUMBERS = {'bool': '?', 'int8': 'b', 'int16': 'h', 'uint16': 'H', 'int32': 'i', 'uint32': 'I', 'int64': 'q', 'float64': 'd'}


def snake(name):
    return re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name).lower()


@functools.cache
def message(name):
    text = (SPEC / 'messages' / (snake(name) + '.yaml')).read_text(encoding='utf-8')
    return yaml.load(text, getattr(yaml, 'CSafeLoader', yaml.SafeLoader))


@functools.cache
def errors():
    rows = yaml.safe_load((SPEC / 'errors.yaml').read_text(encoding='utf-8'))
    return {r['code']: r['name'] for r in rows}


def versions(text):
    if text == 'none':
        return range(0)
    low, sign, top = re.fullmatch(r'(\d+)([+-]?)(\d*)', str(text)).groups()
    return range(int(low), 10000 if sign == '+' else int(top or low) + 1)


class Layout:
    """One side of a message in one version."""

    def __init__(self, doc, section, version):
        self.doc, self.section, self.version = doc, section, version
        self.flexible = version in versions(doc['flexible'])

    @functools.cache
    def rows(self, struct_name):
        """(name, type, array, nullable, tag, default, rows of the struct) of the fields this version has."""
        return self._rows(self.doc[self.section] if struct_name is None else self.doc[self.section + '_structs'][struct_name])

    def _rows(self, lines):
        out = []
        for line in lines:
            name, text = next(iter(line.items()))
            kind, there, *options = text.split(' ')
            options = dict(o.split('=', 1) for o in options)
            if self.version not in versions(there):
                continue
            array = kind.endswith('[]')
            kind = kind.removesuffix('[]')
            known = kind in NUMBERS or kind in ('string', 'bytes', 'records', 'uuid')
            inner = None if known else self._rows(line['of']) if 'of' in line else kind
            out.append((name, kind, array, self.version in versions(options.get('null', 'none')), int(options.get('tag', -1)),
                        options.get('default'), inner))
        return out

    def fields(self, inner):
        return self.rows(inner) if inner is None or isinstance(inner, str) else inner

    # ---- encoding

    def default(self, row):
        _, kind, array, nullable, _, default, inner = row
        if default == 'null':
            return None
        if array:
            return []
        if default is not None:
            return {'true': True, 'false': False}.get(default, default if kind == 'string' else None) \
                if kind in ('bool', 'string') else float(default) if kind == 'float64' else int(default)
        if kind in NUMBERS:
            return 0
        if inner is not None:
            return None if nullable else {}
        return {'string': '', 'bytes': b'', 'records': b'', 'uuid': bytes(16)}[kind]

    def length(self, n, wide):
        if self.flexible:
            return varint(0 if n is None else n + 1)
        return struct.pack('>i' if wide else '>h', -1 if n is None else n)

    def write(self, row, value):
        _, kind, array, nullable, _, _, inner = row
        if array:
            single = (row[0], kind, False, False, -1, None, inner)
            return self.length(None if value is None else len(value), True) + b''.join(self.write(single, v) for v in value or [])
        if kind in NUMBERS:
            return struct.pack('>' + NUMBERS[kind], value)
        if kind == 'uuid':
            return value
        if inner is not None:
            if nullable:
                return b'\xff' if value is None else b'\1' + self.encode(value, inner)
            return self.encode(value, inner)
        data = value.encode() if isinstance(value, str) else value
        return self.length(None if data is None else len(data), kind != 'string') + (data or b'')

    def encode(self, values, inner=None):
        out, tagged, left = b'', [], set(values)
        for row in self.fields(inner):
            left.discard(row[0])
            value = values.get(row[0], self.default(row))
            if row[4] < 0:
                out += self.write(row, value)
            elif row[0] in values:
                tagged.append((row[4], self.write(row, value)))
        assert not left, f'{self.doc["name"]} {self.version} has no {left}'
        if self.flexible:
            out += varint(len(tagged)) + b''.join(varint(t) + varint(len(d)) + d for t, d in sorted(tagged))
        return out

    # ---- decoding

    def read(self, row, src):
        _, kind, array, nullable, _, _, inner = row
        if array:
            n = src.length(self.flexible, True)
            single = (row[0], kind, False, False, -1, None, inner)
            return None if n is None else [self.read(single, src) for _ in range(n)]
        if kind in NUMBERS:
            return src.number(NUMBERS[kind])
        if kind == 'uuid':
            return src.take(16)
        if inner is not None:
            return None if nullable and src.number('b') < 0 else self.decode(src, inner)
        n = src.length(self.flexible, kind != 'string')
        data = None if n is None else src.take(n)
        return data.decode() if kind == 'string' and data is not None else data

    def decode(self, src, inner=None):
        rows = self.fields(inner)
        out = {row[0]: self.read(row, src) if row[4] < 0 else self.default(row) for row in rows}
        if self.flexible:
            tags = {row[4]: row for row in rows if row[4] >= 0}
            for _ in range(src.varint()):
                tag, data = src.varint(), Source(src.take(src.varint()))
                if tag in tags:
                    out[tags[tag][0]] = self.read(tags[tag], data)
        return out


class Source:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert 0 <= n <= len(self.data) - self.at, 'the answer ends too early'
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, form):
        return struct.unpack('>' + form, self.take(struct.calcsize('>' + form)))[0]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def signed(self):
        n = self.varint()
        return n >> 1 ^ -(n & 1)

    def length(self, flexible, wide):
        n = self.varint() - 1 if flexible else self.number('i' if wide else 'h')
        return None if n < 0 else n


def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def signed(n):
    return varint(n << 1 if n >= 0 else (-n << 1) - 1)


# ---- record batches

def _table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0x82f63b78 if n & 1 else n >> 1
        yield n


TABLE = list(_table())


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xffffffff


def batch(values, producer=(-1, -1), sequence=-1, transactional=False, time=None, step=0):
    """A batch of magic 2. values: bytes, or (key, value), or (key, value, {header: value}); each may be None. producer: id
    and epoch; time: of the first record in ms, now by default; step: ms between records."""
    time = clock.time_ns() // 1000000 if time is None else time
    body = b''
    for i, v in enumerate(values):
        key, value, headers = (*v, {})[:3] if isinstance(v, tuple) else (b'k', v, {})
        record = b'\0' + signed(i * step) + signed(i)
        for part in (key, value):
            record += signed(-1) if part is None else signed(len(part)) + part
        record += signed(len(headers))
        for part in (p for pair in headers.items() for p in pair):
            record += signed(-1) if part is None else signed(len(part)) + part
        body += signed(len(record)) + record
    n = len(values)
    rest = struct.pack('>hiqqqhii', 16 if transactional else 0, n - 1, time, time + step * (n - 1), *producer, sequence, n) + body
    head = struct.pack('>ibI', -1, 2, crc32c(rest))
    return struct.pack('>qi', 0, len(head + rest)) + head + rest


def batches(data):
    """(base offset, attributes, producer id, epoch, base sequence, [(offset, key, value)]) of each whole batch."""
    src = Source(data or b'')
    while len(src.data) - src.at >= 12:
        base, size = src.number('q'), src.number('i')
        if len(src.data) - src.at < size:
            return
        b = Source(src.take(size))
        b.take(9)
        attributes, _, _, _ = b.number('h'), b.number('i'), b.number('q'), b.number('q')
        pid, epoch, sequence, n = b.number('q'), b.number('h'), b.number('i'), b.number('i')
        rows = []
        for _ in range(n if attributes & 7 == 0 else 0):
            r = Source(b.take(b.signed()))
            r.take(1)
            r.signed()
            offset = base + r.signed()
            sizes = []
            for _ in range(2):
                size = r.signed()
                sizes.append(None if size < 0 else r.take(size))
            rows.append((offset, *sizes))
        yield base, attributes, pid, epoch, sequence, rows


def records(data, control=False):
    """(offset, key, value) of the records, without control records."""
    return [r for b in batches(data) if control or not b[1] & 32 for r in b[5]]


def offsets_seen(answer, aborted):
    """Offsets a read_committed consumer hands out of a fetched partition: what a client does with aborted_transactions."""
    out, gone, waiting = [], set(), sorted(aborted or [], key=lambda a: a['first_offset'])
    for base, attributes, pid, _, _, rows in batches(answer):
        while waiting and waiting[0]['first_offset'] <= base:
            gone.add(waiting.pop(0)['producer_id'])
        if attributes & 32:
            if rows[0][1][2:4] == b'\0\0':
                gone.discard(pid)
        elif not (attributes & 16 and pid in gone):
            out += [r[0] for r in rows]
    return out


# ---- a connection

class Wire:
    """One connection. mqs: lib.mqs.Mqs."""

    def __init__(self, mqs, client='wire', host='127.0.0.1', port=None):
        self.socket = socket.create_connection((host, port or mqs.port), 30)
        self.socket.settimeout(30)
        self.client, self.correlation = client, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, name, version, **fields):
        doc = message(name)
        layout = Layout(doc, 'request', version)
        self.correlation += 1
        head = struct.pack('>hhih', doc['key'], version, self.correlation, len(self.client)) + self.client.encode()
        if layout.flexible:
            head += b'\0'
        data = head + layout.encode(fields)
        self.socket.sendall(struct.pack('>i', len(data)) + data)

    def _exactly(self, n):
        data = bytearray()
        while len(data) < n:
            part = self.socket.recv(n - len(data))
            if not part:
                raise ConnectionError('the broker closed the connection')
            data += part
        return bytes(data)

    def receive(self, name, version):
        src = Source(self._exactly(struct.unpack('>i', self._exactly(4))[0]))
        assert src.number('i') == self.correlation
        layout = Layout(message(name), 'response', version)
        if layout.flexible and name != 'ApiVersions':
            src.take(1)
        answer = layout.decode(src)
        assert src.at == len(src.data), f'{name} {version}: {len(src.data) - src.at} bytes too many'
        return answer

    def call(self, name, version, **fields):
        self.send(name, version, **fields)
        return self.receive(name, version)

    # ---- what every test does

    def create(self, topic, partitions=1, **config):
        rows = [{'name': k.replace('_', '.'), 'value': str(v)} for k, v in config.items()]
        answer = self.call('CreateTopics', 7, timeout_ms=10000, topics=[
            {'name': topic, 'num_partitions': partitions, 'replication_factor': 1, 'configs': rows}])['topics'][0]
        assert answer['error_code'] == 0, answer
        return answer['topic_id']

    def produce(self, topic, data, partition=0, acks=-1, transaction=None, version=9):
        """The partition's answer, "error" by its name."""
        answer = self.call('Produce', version, transactional_id=transaction, acks=acks, timeout_ms=10000, topic_data=[
            {'name': topic, 'partition_data': [{'index': partition, 'records': data}]}])
        row = answer['responses'][0]['partition_responses'][0]
        return {**row, 'error': errors()[row['error_code']]}

    def fetch(self, topic, offset, partition=0, committed=False, version=12, wait=500, size=1 << 20, **more):
        """The partition's answer, "error" by its name. topic: its id from version 13 on."""
        which = {'topic_id': topic} if version >= 13 else {'topic': topic}
        answer = self.call('Fetch', version, max_wait_ms=wait, min_bytes=1, max_bytes=size, isolation_level=int(committed),
                           topics=[{**which, 'partitions': [{'partition': partition, 'fetch_offset': offset,
                                                             'partition_max_bytes': size, **more}]}])
        row = answer['responses'][0]['partitions'][0] if answer['responses'] else {'error_code': answer['error_code']}
        return {**row, 'error': errors()[row['error_code'] or answer.get('error_code', 0)]}

    def commit(self, group, topic, offset, partition=0, version=8, member='', generation=-1, metadata='', instance=None):
        """Name of the error."""
        who = {'member_id': member, 'generation_id_or_member_epoch': generation} if version else {}
        if instance is not None:
            who['group_instance_id'] = instance
        answer = self.call('OffsetCommit', version, group_id=group, **who, topics=[
            {'name': topic, 'partitions': [{'partition_index': partition, 'committed_offset': offset,
                                            'committed_metadata': metadata}]}])
        return errors()[answer['topics'][0]['partitions'][0]['error_code']]

    def committed(self, group, topic, partition=0, version=8):
        """(offset, metadata) of the group."""
        answer = self.call('OffsetFetch', version, groups=[
            {'group_id': group, 'topics': [{'name': topic, 'partition_indexes': [partition]}]}])['groups'][0]
        row = answer['topics'][0]['partitions'][0]
        return row['committed_offset'], row['metadata']

    def producer(self, transaction=None, timeout=60000, version=4, pid=-1, epoch=-1):
        answer = self.call('InitProducerId', version, transactional_id=transaction, transaction_timeout_ms=timeout,
                           producer_id=pid, producer_epoch=epoch)
        assert answer['error_code'] == 0, answer
        return answer['producer_id'], answer['producer_epoch']


def error(answer):
    return errors()[answer['error_code']]
