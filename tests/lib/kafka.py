# SPDX-License-Identifier: Apache-2.0
"""Kafkas to manage: Apache Kafka from Maven Central, in a cache outside the tree, and the platform's own broker."""
import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from lib import vendor
from lib.appiad import wait_for

VERSION = '4.2.1'
POM = f'''<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
</dependency><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId>
<version>{VERSION}</version></dependency></dependencies></project>'''
CONFIG = '''process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=3
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def libraries():
    """Folder with Apache Kafka and what it needs."""
    if not shutil.which('java') or not shutil.which('mvn'):
        pytest.skip('Java or Maven is not installed: Apache Kafka cannot be fetched')
    where = os.path.join(vendor.CACHE, 'kafka-' + VERSION)
    with vendor._Lock():
        if not os.path.exists(where):
            with tempfile.TemporaryDirectory() as work:
                with open(os.path.join(work, 'pom.xml'), 'w', encoding='utf-8') as f:
                    f.write(POM)
                made = vendor._run('mvn', '-q', '-B', 'dependency:copy-dependencies',
                                   f'-DoutputDirectory={where}.new', cwd=work)
            if made.returncode:
                shutil.rmtree(where + '.new', ignore_errors=True)
                if 'Could not transfer' in made.stdout or 'Unknown host' in made.stdout or made.returncode == 124:
                    pytest.skip('Maven Central cannot be reached')
                raise AssertionError(made.stdout[-3000:] + made.stderr[-3000:])
            os.rename(where + '.new', where)
    return where


class Kafka:
    """A running Kafka. address: host:port."""

    def __init__(self, address, process, folder, log):
        self.address, self.process, self.folder, self.log = address, process, folder, log
        atexit.register(self.stop)

    def ready(self):
        assert self.process.poll() is None, open(self.log, encoding='utf-8', errors='replace').read()[-4000:]
        host, port = self.address.rsplit(':', 1)
        try:
            socket.create_connection((host, int(port)), 1).close()
            return True
        except OSError:
            return False

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def start_apache_kafka():
    """One node in KRaft mode. Skips where it cannot be fetched."""
    classpath = os.path.join(libraries(), '*')
    folder = tempfile.mkdtemp(prefix='appia-kafka-')
    port, config, log = free_port(), os.path.join(folder, 'server.properties'), os.path.join(folder, 'log')
    with open(config, 'w', encoding='utf-8') as f:
        f.write(CONFIG.format(folder=folder, port=port, controller=free_port()))
    java = ['java', '-Xmx400m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', classpath]
    done = vendor._run(*java, 'kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qk', '-c', config)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(log, 'wb') as out:
        process = subprocess.Popen([*java, 'kafka.Kafka', config], stdout=out, stderr=out)
    kafka = Kafka(f'127.0.0.1:{port}', process, folder, log)
    wait_for(kafka.ready, 60, 'Apache Kafka')
    return kafka


def tool(kafka, name, *args):
    """Output of one of Apache Kafka's own programs: 'org.apache.kafka.tools.TopicCommand'."""
    done = vendor._run('java', '-XX:TieredStopAtLevel=1', '-cp', os.path.join(libraries(), '*'), name,
                       '--bootstrap-server', kafka.address, *args, seconds=60)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
