# SPDX-License-Identifier: Apache-2.0
"""The command line tools of Apache Kafka 4.x. They run in one JVM."""
import json
import re

import pytest

from lib import kafka
from lib.wire import Wire, batch

TOOLS = 'org.apache.kafka.tools.'
SCRAM = 'org.apache.kafka.common.security.scram.ScramLoginModule'
PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule'


class Tools:
    def __init__(self, mqs, java):
        self.mqs, self.java = mqs, java

    def __call__(self, name, *args, text='', **kwargs):
        return self.java.run(self.name(name), '--bootstrap-server', self.mqs.address, *args, text=text, **kwargs)

    def refused(self, name, *args, text=''):
        code, out, errors = self.java.try_run(self.name(name), '--bootstrap-server', self.mqs.address, *args, text=text)
        assert code != 0, out
        return out + errors

    @staticmethod
    def name(name):
        return 'kafka.admin.ConfigCommand' if name == 'ConfigCommand' else TOOLS + name

    def create(self, topic, partitions=1, **config):
        options = [w for k, v in config.items() for w in ('--config', f'{k.replace("_", ".")}={v}')]
        self('TopicCommand', '--create', '--topic', topic, '--partitions', partitions, *options)

    def write(self, topic, lines, *args):
        self('ConsoleProducer', '--topic', topic, *args, text=''.join(f'{line}\n' for line in lines))

    def read(self, topic, n, *args):
        return self('consumer.ConsoleConsumer', '--topic', topic, '--from-beginning', '--max-messages', n, '--timeout-ms',
                    20000, *args).splitlines()

    def login(self, user, password, mechanism, protocol):
        """Address and file of settings for a user."""
        module = PLAIN if mechanism == 'PLAIN' else SCRAM
        settings = {'security_protocol': protocol, 'sasl_mechanism': mechanism, 'sasl_jaas_config':
                    f'{module} required username="{user}" password="{password}";'}
        port = self.mqs.sasl_plaintext_port
        if protocol == 'SASL_SSL':
            settings.update(ssl_truststore_type='PEM', ssl_truststore_location=self.mqs.ca)
            port = self.mqs.sasl_port
        return f'localhost:{port}', self.java.file(f'{user}-{mechanism}-{protocol}', **settings)


@pytest.fixture(scope='module')
def tools(mqs, java):
    return Tools(mqs, java)


def test_topics(tools):
    tools.create('t', 3, **{'retention_ms': 3600000})
    assert 't' in tools('TopicCommand', '--list').splitlines()
    out = tools('TopicCommand', '--describe', '--topic', 't')
    assert 'PartitionCount: 3' in out and 'retention.ms=3600000' in out and 'Leader: 1' in out and 'Isr: 1' in out
    tools('TopicCommand', '--alter', '--topic', 't', '--partitions', 5)
    assert 'PartitionCount: 5' in tools('TopicCommand', '--describe', '--topic', 't')
    assert tools('TopicCommand', '--describe', '--under-replicated-partitions').strip() == ''
    assert tools('TopicCommand', '--describe', '--unavailable-partitions').strip() == ''
    assert 'the topic exists' in tools.refused('TopicCommand', '--create', '--topic', 't')
    assert 'more partitions' in tools.refused('TopicCommand', '--alter', '--topic', 't', '--partitions', 2)
    assert 'Unknown topic config name' in tools.refused('TopicCommand', '--create', '--topic', 'u', '--config', 'no.such=1')
    tools('TopicCommand', '--delete', '--topic', 't')
    assert 't' not in tools('TopicCommand', '--list').splitlines()


@pytest.mark.parametrize('codec', ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
def test_console(tools, codec):
    lines = [f'k{i}:v{i} {codec}' for i in range(200)]
    tools.create('console-' + codec)
    tools.write('console-' + codec, lines, '--compression-codec', codec, '--reader-property', 'parse.key=true',
                '--reader-property', 'key.separator=:', '--reader-property', 'parse.headers=false')
    assert tools.read('console-' + codec, 200, '--formatter-property', 'print.key=true', '--formatter-property',
                      'key.separator=:', '--formatter-property', 'print.headers=false') == lines
    out = tools('GetOffsetShell', '--topic', 'console-' + codec)
    assert out.split() == [f'console-{codec}:0:200']


def test_consumer_groups(tools):
    tools.create('cg', 2)
    tools.write('cg', (f'{i}:{i}' for i in range(100)), '--reader-property', 'parse.key=true', '--reader-property', 'key.separator=:')
    for protocol in ('classic', 'consumer'):
        group = 'cg-' + protocol
        assert len(tools.read('cg', 100, '--group', group, '--command-property', 'group.protocol=' + protocol)) == 100
        command = ['consumer.group.ConsumerGroupCommand', '--group', group]
        rows = [r.split() for r in tools(*command, '--describe').splitlines() if r.startswith(group)]
        assert sorted(r[1:3] for r in rows) == [['cg', '0'], ['cg', '1']]
        assert sum(int(r[3]) for r in rows) == 100 and all(r[5] == '0' for r in rows)
        assert 'Empty' in tools(*command, '--describe', '--state')
        out = tools('consumer.group.ConsumerGroupCommand', '--list', '--state')
        assert re.search(rf'{group} +Empty', out), out
        assert group in tools('consumer.group.ConsumerGroupCommand', '--list', '--type', protocol)
        out = tools('GroupsCommand', '--list')
        assert re.search(rf'{group} +{"Consumer" if protocol == "consumer" else "Classic"} +consumer', out), out
        for to, total in (('--to-earliest', 0), ('--to-latest', 100), ('--shift-by=-10', 80),
                          ('--to-datetime=2020-01-01T00:00:00.000', 0), ('--by-duration=PT0S', 100), ('--to-offset=7', 14)):
            out = tools(*command, '--reset-offsets', '--topic', 'cg', *to.split('='), '--execute')
            assert sum(int(r.split()[3]) for r in out.splitlines() if r.startswith(group)) == total, out
        assert len(tools('consumer.ConsoleConsumer', '--topic', 'cg', '--group', group, '--max-messages', 86, '--timeout-ms', 20000,
                         '--command-property', 'group.protocol=' + protocol).splitlines()) == 86
        tools(*command, '--delete-offsets', '--topic', 'cg:0')
        assert len([r for r in tools(*command, '--describe').splitlines() if r.startswith(group)]) == 1
        tools(*command, '--delete')
        assert group not in tools('consumer.group.ConsumerGroupCommand', '--list')


def test_configs(tools):
    tools.create('conf')
    topic = ['ConfigCommand', '--entity-type', 'topics', '--entity-name', 'conf']
    tools(*topic, '--alter', '--add-config', 'retention.ms=1234567,cleanup.policy=[compact,delete]')
    out = tools(*topic, '--describe')
    assert 'retention.ms=1234567' in out and 'cleanup.policy=compact,delete' in out
    tools(*topic, '--alter', '--delete-config', 'retention.ms')
    assert 'retention.ms' not in tools(*topic, '--describe')
    assert 'retention.ms=259200000' in tools(*topic, '--describe', '--all')
    assert 'InvalidConfigurationException' in tools.refused(*topic, '--alter', '--add-config', 'retention.ms=x')
    assert 'log.retention.ms' in tools('ConfigCommand', '--entity-type', 'brokers', '--entity-name', 1, '--describe', '--all')
    tools('ConfigCommand', '--entity-type', 'brokers', '--entity-default', '--describe')
    user = ['ConfigCommand', '--entity-type', 'users', '--entity-name', 'carl']
    tools(*user, '--alter', '--add-config', 'SCRAM-SHA-256=[iterations=4096,password=c]')
    tools(*user, '--alter', '--add-config', 'producer_byte_rate=1000000')
    out = tools(*user, '--describe')
    assert 'SCRAM-SHA-256=iterations=4096' in out and 'producer_byte_rate=1000000' in out
    tools(*user, '--alter', '--delete-config', 'SCRAM-SHA-256')
    tools(*user, '--alter', '--delete-config', 'producer_byte_rate')
    out = tools(*user, '--describe')
    assert 'SCRAM' not in out and 'rate' not in out, out
    client = ['ConfigCommand', '--entity-type', 'clients', '--entity-default']
    tools(*client, '--alter', '--add-config', 'consumer_byte_rate=100000000')
    assert 'consumer_byte_rate=1.0E8' in tools(*client, '--describe')
    tools(*client, '--alter', '--delete-config', 'consumer_byte_rate')
    assert 'consumer_byte_rate' not in tools(*client, '--describe')


def test_acls(tools):
    tools('AclCommand', '--add', '--allow-principal', 'User:ann', '--operation', 'Read', '--operation', 'Write', '--topic', 'ann-',
          '--resource-pattern-type', 'prefixed')
    tools('AclCommand', '--add', '--deny-principal', 'User:bob', '--deny-host', '10.0.0.1', '--operation', 'All', '--group', '*')
    tools('AclCommand', '--add', '--allow-principal', 'User:ann', '--producer', '--transactional-id', 'x', '--topic', 'p')
    out = tools('AclCommand', '--list')
    assert 'resourceType=TOPIC, name=ann-, patternType=PREFIXED' in out
    assert 'principal=User:bob, host=10.0.0.1, operation=ALL, permissionType=DENY' in out
    assert 'resourceType=TRANSACTIONAL_ID, name=x' in out
    assert 'bob' not in tools('AclCommand', '--list', '--topic', 'ann-x', '--resource-pattern-type', 'match')
    for args in (['--topic', 'ann-', '--resource-pattern-type', 'prefixed'], ['--group', '*'], ['--topic', 'p'],
                 ['--transactional-id', 'x']):
        tools('AclCommand', '--remove', '--force', *args)
    assert 'principal' not in tools('AclCommand', '--list')


def test_records_are_deleted(tools, tmp_path):
    tools.create('gone')
    tools.write('gone', range(10))
    path = tmp_path / 'offsets.json'
    path.write_text(json.dumps({'version': 1, 'partitions': [{'topic': 'gone', 'partition': 0, 'offset': 4}]}))
    assert 'low_watermark: 4' in tools('DeleteRecordsCommand', '--offset-json-file', str(path))
    assert tools.read('gone', 6) == [str(i) for i in range(4, 10)]
    assert tools('GetOffsetShell', '--topic', 'gone', '--time', 'earliest').split() == ['gone:0:4']
    path.write_text(json.dumps({'version': 1, 'partitions': [{'topic': 'gone', 'partition': 0, 'offset': 99}]}))
    assert 'OffsetOutOfRange' in tools('DeleteRecordsCommand', '--offset-json-file', str(path))


def test_offsets_of_times(tools):
    tools.create('when')
    tools.write('when', range(3))
    tools.write('when', [3])
    want = {'earliest': 0, 'latest': 4, 'max-timestamp': 3, '0': 0, 'earliest-local': 0}
    assert {t: int(tools('GetOffsetShell', '--topic', 'when', '--time', t).split(':')[2]) for t in want} == want


def test_the_cluster(tools, tmp_path):
    tools.create('c', 2)
    tools.write('c', range(10))
    dirs = json.loads(next(r for r in tools('LogDirsCommand', '--describe', '--topic-list', 'c').splitlines() if r[0] == '{'))
    parts = [p for d in dirs['brokers'][0]['logDirs'] for p in d['partitions']]
    assert {p['partition'] for p in parts} == {'c-0', 'c-1'} and sum(p['size'] for p in parts) > 0
    assert dirs['brokers'][0]['logDirs'][0]['error'] is None
    out = tools('MetadataQuorumCommand', 'describe', '--status')
    assert re.search(r'LeaderId: +1', out), out
    out = tools('MetadataQuorumCommand', 'describe', '--replication')
    assert re.search(r'^1\s.*Leader', out, re.M), out
    out = tools('FeatureCommand', 'describe')
    assert re.search(r'group.version\s+.*FinalizedVersionLevel: 1', out), out
    assert re.search(r'transaction.version\s+.*FinalizedVersionLevel: 2', out), out
    out = tools('BrokerApiVersionsCommand')
    assert 'Produce(0): 0 to 13' in out, out
    # What brokers of one cluster and controllers ask each other, and what is not offered.
    missing = {'UnregisterBroker', 'GetTelemetrySubscriptions', 'PushTelemetry', 'AddRaftVoter', 'RemoveRaftVoter'}
    assert {k for k in re.findall(r'(\w+)\(\d+\): UNSUPPORTED', out) if not re.search('Share|Streams|DelegationToken', k)} == missing
    assert 'Cluster ID: ' in tools.java.run(TOOLS + 'ClusterTool', 'cluster-id', '--bootstrap-server', tools.mqs.address)
    out = tools('LeaderElectionCommand', '--election-type', 'preferred', '--all-topic-partitions')
    assert 'Error' not in out, out
    plan = tmp_path / 'plan.json'
    plan.write_text(json.dumps({'version': 1, 'partitions': [{'topic': 'c', 'partition': 0, 'replicas': [1]}]}))
    out = tools('reassign.ReassignPartitionsCommand', '--execute', '--reassignment-json-file', str(plan))
    assert 'Successfully started partition reassignment' in out, out
    out = tools('reassign.ReassignPartitionsCommand', '--verify', '--reassignment-json-file', str(plan))
    assert 'Reassignment of partition c-0 is completed' in out, out
    assert 'No partition reassignments found' in tools('reassign.ReassignPartitionsCommand', '--list')
    assert tools('ClientMetricsCommand', '--list').strip() == ''
    tools('ClientMetricsCommand', '--describe')


def test_transactions(tools, java, mqs):
    tools.create('txn-in')
    tools.create('txn-out')
    tools.write('txn-in', range(500))
    java.run(TOOLS + 'TransactionalMessageCopier', '--broker-list', mqs.address, '--input-topic', 'txn-in', '--input-partition', 0,
             '--output-topic', 'txn-out', '--max-messages', 500, '--consumer-group', 'copy', '--transaction-size', 50,
             '--transactional-id', 'copier', '--enable-random-aborts')
    assert tools.read('txn-out', 500, '--isolation-level', 'read_committed') == [str(i) for i in range(500)]
    out = tools('TransactionsCommand', 'list')
    assert re.search(r'^copier\s+1\s+\d+\s+CompleteCommit', out, re.M), out
    out = tools('TransactionsCommand', 'describe', '--transactional-id', 'copier')
    assert 'CompleteCommit' in out
    out = tools('TransactionsCommand', 'describe-producers', '--topic', 'txn-out', '--partition', 0)
    assert len(out.splitlines()) == 2, out
    tools('TransactionsCommand', 'find-hanging', '--broker-id', 1)


def test_a_hanging_transaction_is_aborted(tools, mqs):
    tools.create('txn-hangs')
    with Wire(mqs) as w:
        pid, epoch = w.producer('hangs', timeout=900000)
        lost = batch([b'lost'], (pid, epoch), 0, transactional=True)
        assert w.produce('txn-hangs', lost, transaction='hangs', version=12)['error'] == 'NONE'
    tools.write('txn-hangs', ['behind'])
    tools('TransactionsCommand', 'abort', '--topic', 'txn-hangs', '--partition', 0, '--start-offset', 0)
    assert tools.read('txn-hangs', 1, '--isolation-level', 'read_committed') == ['behind']
    assert 'any open transactions' in tools.refused('TransactionsCommand', 'abort', '--topic', 'txn-hangs', '--partition', 0,
                                                   '--start-offset', 0)


def test_performance_tools(tools, java, mqs):
    tools.create('perf', 3)
    out = tools('ProducerPerformance', '--topic', 'perf', '--num-records', 5000, '--record-size', 1000, '--throughput', -1,
                '--command-property', 'compression.type=lz4')
    assert '5000 records sent' in out
    out = tools('ConsumerPerformance', '--topic', 'perf', '--num-records', 5000, '--timeout', 30000)
    assert out.splitlines()[-1].split(', ')[4] == '5000', out
    out = java.run(TOOLS + 'EndToEndLatency', '--bootstrap-server', mqs.address, '--topic', 'perf', '--num-records', 100,
                   '--producer-acks', 'all', '--record-size', 100)
    assert 'Avg latency' in out


def test_verifiable_programs(tools):
    tools.create('verify', 2)
    # It writes its last lines when its JVM ends.
    out = kafka.tool(tools.mqs, TOOLS + 'VerifiableProducer', '--topic', 'verify', '--max-messages', '500')
    last = json.loads(out.splitlines()[-1])
    assert (last['name'], last['acked']) == ('tool_data', 500), out[-2000:]
    for protocol in ('classic', 'consumer'):
        out = tools('VerifiableConsumer', '--topic', 'verify', '--group-id', 'verify-' + protocol, '--group-protocol', protocol,
                    '--max-messages', 500, '--reset-policy', 'earliest')
        rows = [json.loads(r) for r in out.splitlines()]
        assert sum(r['count'] for r in rows if r['name'] == 'records_consumed') == 500
        assert any(r['name'] == 'offsets_committed' and r['success'] for r in rows)
        assert rows[-1]['name'] == 'shutdown_complete'


@pytest.mark.parametrize('protocol', ['SASL_PLAINTEXT', 'SASL_SSL'])
@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
def test_sasl(tools, java, mechanism, protocol):
    address, config = tools.login('key-root', 'secret-root', mechanism, protocol)
    topic = f'sasl-{mechanism}-{protocol}'
    server = ['--bootstrap-server', address]
    java.run(TOOLS + 'TopicCommand', *server, '--command-config', config, '--create', '--topic', topic)
    java.run(TOOLS + 'ConsoleProducer', *server, '--command-config', config, '--topic', topic, text='a\nb\n')
    assert java.run(TOOLS + 'consumer.ConsoleConsumer', *server, '--command-config', config, '--topic', topic, '--from-beginning',
                    '--max-messages', 2, '--timeout-ms', 20000) == 'a\nb\n'
    _, wrong = tools.login('key-root', 'wrong', mechanism, protocol)
    code, out, errors = java.try_run(TOOLS + 'TopicCommand', *server, '--command-config', wrong, '--list')
    assert code != 0 and 'wrong user or password' in out + errors


def test_denials(tools, java):
    address, config = tools.login('key-low', 'secret-low', 'PLAIN', 'SASL_PLAINTEXT')
    tools.create('denied')
    tools.write('denied', ['a'])

    def low(name, *args, text=''):
        code, out, errors = java.try_run(tools.name(name), '--bootstrap-server', address, '--command-config', config, *args, text=text)
        return code, out + errors

    assert 'denied' not in low('TopicCommand', '--list')[1]
    assert 'uthorization failed' in low('TopicCommand', '--create', '--topic', 'low')[1]
    assert 'TopicAuthorizationException' in low('ConsoleProducer', '--sync', '--topic', 'denied', text='x\n')[1]
    reading = ['consumer.ConsoleConsumer', '--topic', 'denied', '--from-beginning', '--max-messages', 1, '--timeout-ms', 8000]
    assert 'TopicAuthorizationException' in low(*reading)[1]
    assert 'ClusterAuthorizationException' in low('AclCommand', '--list')[1]
    assert 'AuthorizationException' in low('ConfigCommand', '--entity-type', 'users', '--describe')[1]
    tools('AclCommand', '--add', '--allow-principal', 'User:key-low', '--consumer', '--topic', 'denied', '--group', '*')
    assert low(*reading)[1].startswith('a\n')
    assert 'TopicAuthorizationException' in low('ConsoleProducer', '--sync', '--topic', 'denied', text='x\n')[1]
    tools('AclCommand', '--remove', '--force', '--allow-principal', 'User:key-low', '--consumer', '--topic', 'denied', '--group', '*')
