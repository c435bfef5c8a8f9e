#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The broker against Apache Kafka (KRaft, one node, heap of 1 GiB) in turn: what is produced and consumed in a second by
librdkafka and by Apache Kafka's own tools, what a record costs the broker, latency at 20,000 records a second, memory.

usage: mqs.py BUILD_DIR [ROUNDS]       prints rows for bench/RESULTS.md

Client and broker share the machine. The page cache is filled first, as on a machine that has run for a while: where memory
is virtual, the first touch of a page costs more than all the rest, and that is nobody's work but the hypervisor's.
"""
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else 'build-release')
os.environ['APPIA_BUILD'] = BUILD
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tests'))
from lib import kafka as apache  # noqa: E402  (needs the build and the path above)
from lib.mqs import Mqs  # noqa: E402

ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
RECORDS = 2_000_000
SIZE = 1024
PARTITIONS = 12
LATENCY_RECORDS = 400_000
TICKS = os.sysconf('SC_CLK_TCK')
BATCHES = ['linger.ms=5', 'batch.size=131072']
QUEUE = ['queue.buffering.max.messages=200000', 'queue.buffering.max.kbytes=262144']


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat', encoding='ascii') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_mib(pid, what='VmRSS'):
    with open(f'/proc/{pid}/status', encoding='ascii') as f:
        return int(re.search(what + r':\s+(\d+)', f.read())[1]) / 1024


def java(name, *args):
    done = subprocess.run(['java', '-cp', os.path.join(apache.libraries(), '*'), name, *args], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def load(*args):
    done = subprocess.run([os.path.join(WORK, 'load'), *args], capture_output=True, text=True, check=False)
    rate, failed = done.stdout.split()
    assert done.returncode == 0 and failed == '0', done.stdout + done.stderr
    return float(rate)


class Measured:
    """One broker under one name, with its values by what was measured."""

    def __init__(self, name, broker, idle_mib):
        self.name, self.broker, self.pid, self.idle = name, broker, broker.process.pid, idle_mib
        self.values, self.topics = {}, 0

    def keep(self, what, value):
        self.values.setdefault(what, []).append(value)

    def timed(self, what, records, action, *args):
        before = cpu_seconds(self.pid)
        self.keep(what, action(*args))
        self.keep(what + ', broker CPU per million', (cpu_seconds(self.pid) - before) / records * 1e6)

    def topic(self):
        self.topics += 1
        name = f'bench-{self.topics}'
        java('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', self.broker.address, '--create', '--topic',
             name, '--partitions', str(PARTITIONS))
        return name

    def drop(self, name):
        java('org.apache.kafka.tools.TopicCommand', '--bootstrap-server', self.broker.address, '--delete', '--topic', name)

    def java_produce(self, topic, acks, records, throughput=-1):
        out = java('org.apache.kafka.tools.ProducerPerformance', '--topic', topic, '--num-records', str(records),
                   '--record-size', str(SIZE), '--throughput', str(throughput), '--producer-props',
                   'bootstrap.servers=' + self.broker.address, f'acks={acks}', 'enable.idempotence=false', *BATCHES)
        return out.strip().splitlines()[-1]

    def java_rate(self, topic, acks):
        return float(re.search(r'([\d.]+) records/sec', self.java_produce(topic, acks, RECORDS))[1])

    def java_consume(self, topic):
        out = java('org.apache.kafka.tools.ConsumerPerformance', '--topic', topic, '--messages', str(RECORDS),
                   '--bootstrap-server', self.broker.address)
        return float(out.strip().splitlines()[-1].split(',')[-1])

    def round(self):
        address = self.broker.address
        for acks in ('1', 'all'):
            topic = self.topic()
            self.timed(f'librdkafka, produce acks={acks}', RECORDS, load, 'produce', address, topic, str(RECORDS),
                       str(SIZE), 'acks=' + acks, *BATCHES, *QUEUE)
            if acks == '1':
                self.timed('librdkafka, consume', RECORDS, load, 'consume', address, topic, str(RECORDS), 'group.id=' + topic,
                           'auto.offset.reset=earliest', 'enable.auto.commit=false')
            self.drop(topic)
        for acks in ('1', 'all'):
            topic = self.topic()
            self.timed(f'Java, produce acks={acks}', RECORDS, self.java_rate, topic, acks)
            if acks == '1':
                self.timed('Java, consume', RECORDS, self.java_consume, topic)
            self.drop(topic)
        topic = self.topic()
        os.sync()  # what was measured before is not written back now
        line = self.java_produce(topic, '1', LATENCY_RECORDS, 20000)
        self.keep('Java, 20,000 records/s, p50 ms', float(re.search(r'(\d+) ms 50th', line)[1]))
        self.keep('Java, 20,000 records/s, p99 ms', float(re.search(r'(\d+) ms 99th', line)[1]))
        self.drop(topic)


def fill_page_cache():
    """Clean pages wherever memory is free."""
    with open('/proc/meminfo', encoding='ascii') as f:
        free = int(re.search(r'MemFree:\s+(\d+)', f.read())[1]) * 1024
    path = os.path.join(WORK, 'holes')
    with open(path, 'wb') as f:
        f.truncate(max(free - (3 << 30), 1 << 30))
    subprocess.run(['cat', path], stdout=subprocess.DEVNULL, check=True)


def start_appia():
    broker = Mqs()
    time.sleep(1)
    return Measured('appia-mqs', broker, resident_mib(broker.process.pid))


def start_kafka():
    broker = apache.start_apache_kafka(['-Xms1g', '-Xmx1g'])
    time.sleep(1)
    return Measured('Apache Kafka', broker, resident_mib(broker.process.pid))


def report(ours, theirs):
    print(f'| {ROUNDS} rounds, median, load {os.getloadavg()[0]:.1f} | appia-mqs | Apache Kafka {apache.VERSION} | ratio |')
    print('|---|---|---|---|')
    for what in ours.values:
        a, b = (statistics.median(m.values[what]) for m in (ours, theirs))
        digits = 2 if 'CPU' in what else 0
        unit = ' s' if 'CPU' in what else ''
        print(f'| {what} | {a:.{digits}f}{unit} | {b:.{digits}f}{unit} | {a / b if b else 0:.2f} |')
    print(f'| resident MiB, idle | {ours.idle:.0f} | {theirs.idle:.0f} | |')
    a, b = (resident_mib(m.pid, 'VmHWM') for m in (ours, theirs))
    print(f'| resident MiB, highest | {a:.0f} | {b:.0f} | |')


def main():
    subprocess.run(['cc', '-O2', '-o', os.path.join(WORK, 'load'), HERE / 'mqs/load.c', '-lrdkafka'], check=True)
    both = [start_appia(), start_kafka()]
    # Apache Kafka's code is compiled by the first round, which is not counted.
    for n in range(ROUNDS + 1):
        for m in both if n % 2 else both[::-1]:
            fill_page_cache()
            m.round()
            if n == 0:
                m.values.clear()
    report(*both)
    for m in both:
        m.broker.stop()
    both[0].broker.remove()


if __name__ == '__main__':
    WORK = tempfile.mkdtemp(prefix='appia-bench-')
    try:
        main()
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
