# SPDX-License-Identifier: Apache-2.0
"""Kafkas to manage: Apache Kafka from Maven Central, in a cache outside the tree, and the platform's own broker."""
import atexit
import base64
import hashlib
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from lib import vendor
from lib.appiad import wait_for

VERSION = '4.2.1'
KAFKA = 'org.apache.kafka'
PARTS = ((KAFKA, 'kafka_2.13', VERSION), (KAFKA, 'kafka-tools', VERSION), (KAFKA, 'kafka-streams', VERSION),
         (KAFKA, 'connect-runtime', VERSION), (KAFKA, 'connect-file', '4.2.0'),  # there is no newer one
         ('org.slf4j', 'slf4j-simple', '1.7.36'))
POM = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>' \
    '<groupId>test</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging><dependencies>' \
    + ''.join(f'<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>'
              '</dependency>' for group, name, version in PARTS) + '</dependencies></project>'
# Short-lived programs: what a JVM does to become fast costs them more than it gives.
JAVA = ('java', '-Xmx400m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1',
        '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn')
SOURCES = pathlib.Path(__file__).resolve().parents[1] / 'mqs/java'
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
group.min.session.timeout.ms=1000
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
    where = os.path.join(vendor.CACHE, f'kafka-{VERSION}-{len(PARTS)}')
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


SMALL_JVM = ['-Xmx400m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']


SECURED = CONFIG.replace('PLAINTEXT://', 'SASL_PLAINTEXT://', 1) + '''listener.security.protocol.map=\
CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
inter.broker.listener.name=SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \
  username="admin" password="admin-secret" user_admin="admin-secret" user_key-one="secret-one" user_key-two="secret-two";
listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:admin;User:ANONYMOUS
'''


def start_apache_kafka(options=None, config=CONFIG):
    """One node in KRaft mode. options: of its JVM; config: SECURED for users admin, key-one and key-two, who log in by
    PLAIN, and an authoriser. Skips where it cannot be fetched."""
    classpath = os.path.join(libraries(), '*')
    folder = tempfile.mkdtemp(prefix='appia-kafka-')
    port, text, log = free_port(), config, os.path.join(folder, 'log')
    config = os.path.join(folder, 'server.properties')
    with open(config, 'w', encoding='utf-8') as f:
        f.write(text.format(folder=folder, port=port, controller=free_port()))
    java = [*JAVA, '-cp', classpath]
    done = vendor._run(*java, 'kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qk', '-c', config)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(log, 'wb') as out:
        process = subprocess.Popen([*java, 'kafka.Kafka', config], stdout=out, stderr=out)
    kafka = Kafka(f'127.0.0.1:{port}', process, folder, log)
    wait_for(kafka.ready, 60, 'Apache Kafka')
    return kafka


def allow_scram(kafka, mechanism):
    """Lets the administrator of a Kafka with SECURED log in by SCRAM too."""
    path = os.path.join(kafka.folder, 'admin.properties')
    with open(path, 'w', encoding='ascii') as f:
        f.write('security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config=org.apache.kafka.common.security.'
                'plain.PlainLoginModule required username="admin" password="admin-secret";\n')
    tool(kafka, 'kafka.admin.ConfigCommand', '--command-config', path, '--alter', '--entity-type', 'users', '--entity-name',
         'admin', '--add-config', f'{mechanism}=[password=admin-secret]')


def tool(kafka, name, *args):
    """Output of one of Apache Kafka's own programs: 'org.apache.kafka.tools.TopicCommand'."""
    done = vendor._run(*JAVA, '-cp', os.path.join(libraries(), '*'), name,
                       '--bootstrap-server', kafka.address, *args, seconds=60)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def programs():
    """Class path of the tests' own Java programs, compiled."""
    sources = sorted(SOURCES.glob('*.java'))
    mark = hashlib.sha256(b''.join(s.read_bytes() for s in sources)).hexdigest()[:16]
    jars = libraries()
    where = os.path.join(vendor.CACHE, f'java-{VERSION}-{mark}')
    with vendor._Lock():
        if not os.path.exists(where):
            done = vendor._run('javac', '-nowarn', '-d', where + '.new', '-cp', os.path.join(jars, '*'), *map(str, sources))
            assert done.returncode == 0, done.stdout + done.stderr
            os.rename(where + '.new', where)
    return where + ':' + os.path.join(jars, '*')


class Java:
    """One JVM that runs Apache Kafka's programs and the tests' own, one after the other."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='appia-java-')
        with open(os.path.join(self.folder, 'errors'), 'wb') as errors:
            self.process = subprocess.Popen([*JAVA, '-cp', programs(), 'Toolbox'], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=errors, text=True)
        atexit.register(self.stop)

    def file(self, name, **settings):
        """Path of a new file of settings."""
        path = os.path.join(self.folder, name)
        with open(path, 'w', encoding='utf-8') as f:
            f.writelines(f'{k.replace("_", ".")}={v}\n' for k, v in settings.items())
        return path

    def try_run(self, name, *args, text='', seconds=90):
        """Exit code, output, errors."""
        words = (base64.b64encode(w.encode()).decode() for w in (text, name, *map(str, args)))
        self.process.stdin.write(' '.join(words) + '\n')
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        if not ready:
            subprocess.run(['jcmd', str(self.process.pid), 'Thread.print'], check=False)
            self.process.kill()
            raise AssertionError(f'{name}: no answer in {seconds} s')
        line = self.process.stdout.readline()
        assert line, open(os.path.join(self.folder, 'errors'), encoding='utf-8').read()[-4000:]
        code, out, errors = line.rstrip('\n').split(' ')
        return int(code), base64.b64decode(out).decode(), base64.b64decode(errors).decode()

    def run(self, name, *args, text='', seconds=90):
        code, out, errors = self.try_run(name, *args, text=text, seconds=seconds)
        assert code == 0, f'{name} {args}: exit code {code}\n{out[-5000:]}{errors[-5000:]}'
        return out

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
