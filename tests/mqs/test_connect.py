# SPDX-License-Identifier: Apache-2.0
"""Kafka Connect, distributed: a file becomes records and records a file; restarts of the worker lose nothing."""
import json
import subprocess
import urllib.error
import urllib.request

import pytest

from lib import kafka, vendor
from lib.appiad import wait_for

WORKER = '''bootstrap.servers={address}
group.id=connect
listeners=http://127.0.0.1:{port}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
config.storage.topic=connect-configs
offset.storage.topic=connect-offsets
status.storage.topic=connect-status
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=2
status.storage.partitions=1
offset.flush.interval.ms=500
exactly.once.source.support=enabled
session.timeout.ms=6000
heartbeat.interval.ms=500
scheduled.rebalance.max.delay.ms=0
plugin.discovery=service_load
'''


class Worker:
    def __init__(self, mqs, folder):
        self.port, self.folder, self.process = kafka.free_port(), folder, None
        (folder / 'worker.properties').write_text(WORKER.format(address=mqs.address, port=self.port))

    def start(self):
        with open(self.folder / 'log', 'ab') as log:
            self.process = subprocess.Popen([*kafka.JAVA, '-cp', kafka.programs(), 'org.apache.kafka.connect.cli.ConnectDistributed',
                                             str(self.folder / 'worker.properties')], stdout=log, stderr=log)
        wait_for(lambda: self.call('GET', '/connectors') is not None, 60, 'the worker')

    def call(self, method, path, body=None):
        """The answer; None when there is none, or a conflict that passes by."""
        assert self.process.poll() is None, (self.folder / 'log').read_text()[-4000:]
        request = urllib.request.Request(f'http://127.0.0.1:{self.port}{path}', method=method,
                                         data=json.dumps(body).encode() if body else None,
                                         headers={'Content-Type': 'application/json'})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read() or b'{}')
        except urllib.error.HTTPError as e:
            assert e.code in (404, 409, 500, 503), e.read()
            return None
        except OSError:
            return None

    def connector(self, name, **config):
        wait_for(lambda: self.call('PUT', f'/connectors/{name}/config', {k.replace('_', '.'): v for k, v in config.items()}),
                 60, 'the connector ' + name)
        wait_for(lambda: self.running(name), 60, 'the task of ' + name)

    def running(self, name):
        status = self.call('GET', f'/connectors/{name}/status')
        assert not status or 'FAILED' not in json.dumps(status), status
        return status and [t['state'] for t in status['tasks']] == ['RUNNING']

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) in (0, 143)

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def worker(mqs, tmp_path):
    w = Worker(mqs, tmp_path)
    w.start()
    yield w
    w.kill()


def committed(mqs):
    """Values of the topic that are in committed transactions."""
    return json.loads(vendor.run_python('''
import json, sys
from confluent_kafka import Consumer, TopicPartition
c = Consumer({'bootstrap.servers': sys.argv[1], 'group.id': 'look', 'auto.offset.reset': 'earliest', 'enable.partition.eof': True,
              'isolation.level': 'read_committed'})
c.assign([TopicPartition('file-lines', 0, 0)])
got = []
while True:
    m = c.poll(10)
    if m is None or m.error():
        break
    got.append(m.value().decode())
print(json.dumps(got))
''', mqs.address, packages=['confluent-kafka']))


def test_a_file_goes_through_the_broker(worker, mqs, tmp_path):
    source, sink, lines = tmp_path / 'in', tmp_path / 'out', []

    def write(n):
        new = [f'line {len(lines) + i}' for i in range(n)]
        lines.extend(new)
        with open(source, 'a', encoding='utf-8') as f:
            f.writelines(line + '\n' for line in new)

    def arrived():
        return sink.exists() and set(sink.read_text().splitlines()) >= set(lines)

    vendor.run_python('''
import sys
from confluent_kafka.admin import AdminClient, NewTopic
admin = AdminClient({'bootstrap.servers': sys.argv[1]})
admin.create_topics([NewTopic('file-lines', 1, 1)])['file-lines'].result(10)
''', mqs.address, packages=['confluent-kafka'])
    write(100)
    worker.connector('source', connector_class='org.apache.kafka.connect.file.FileStreamSourceConnector', tasks_max='1',
                     file=str(source), topic='file-lines', exactly_once_support='required', transaction_boundary='poll')
    worker.connector('sink', connector_class='org.apache.kafka.connect.file.FileStreamSinkConnector', tasks_max='1', file=str(sink),
                     topics='file-lines', **{'consumer.override.isolation.level': 'read_committed',
                                             'consumer.override.auto.offset.reset': 'earliest',
                                             'consumer.override.session.timeout.ms': '6000'})
    wait_for(arrived, 30, 'the first lines')
    worker.stop()
    write(100)
    worker.start()
    wait_for(arrived, 30, 'the lines behind a restart')
    # After an orderly stop nothing is written twice.
    assert sink.read_text().splitlines() == lines
    worker.kill()
    write(100)
    mqs.kill()
    mqs.start()
    worker.start()
    wait_for(arrived, 60, 'the lines behind a kill')
    assert committed(mqs) == lines
