# SPDX-License-Identifier: Apache-2.0
"""kafkajs: a client that knows the older half of each version range."""
import pytest

from lib import vendor

HEAD = '''
const assert = require('assert');
const { Kafka, CompressionTypes, CompressionCodecs, ConfigResourceTypes, AclResourceTypes, AclOperationTypes, AclPermissionTypes,
        ResourcePatternTypes, logLevel } = require('kafkajs');
const [address, saslPort, saslPlaintextPort, ca, ...args] = process.argv.slice(2);
const client = (more = {}) => new Kafka({ clientId: 'kjs', brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 5 },
                                          ...more });
const login = (username, password, mechanism = 'plain', tls = false) => client({
    brokers: ['localhost:' + (tls ? saslPort : saslPlaintextPort)], sasl: { mechanism, username, password },
    ssl: tls ? { ca: [require('fs').readFileSync(ca)] } : undefined });
const kafka = client();
const open = [];
async function connected(x) { await x.connect(); open.push(x); return x; }
const admin = () => connected(kafka.admin({ retry: { retries: 0 } }));
async function create(topic, numPartitions = 1, config = {}) {
    const a = await admin();
    await a.createTopics({ topics: [{ topic, numPartitions, configEntries: Object.entries(config).map(
        ([name, value]) => ({ name, value })) }], waitForLeaders: false });
    return a;
}
async function until(what, fn) {
    for (const end = Date.now() + 30000; !(await fn()); await new Promise(go => setTimeout(go, 20)))
        if (Date.now() > end)
            throw new Error('not in time: ' + what());
}
// A member of a group; .got: messages as key, value; .parts: its partitions.
async function member(groupId, topic, more = {}, k = kafka) {
    const c = k.consumer({ groupId, sessionTimeout: 6000, heartbeatInterval: 200, maxWaitTimeInMs: 100, ...more });
    const m = { got: [], parts: [], consumer: c };
    c.on(c.events.GROUP_JOIN, e => { m.parts = e.payload.memberAssignment[topic] || []; });
    c.on(c.events.CRASH, e => { m.error = e.payload.error; });
    await connected(c);
    await c.subscribe({ topics: [topic], fromBeginning: true });
    await c.run({ eachMessage: async ({ partition, message }) => {
        m.got.push({ partition, key: message.key && message.key.toString(), value: message.value && message.value.toString(),
                     offset: message.offset, headers: message.headers }); } });
    return m;
}
async function produce(topic, values, more = {}, k = kafka) {
    const p = await connected(k.producer({ allowAutoTopicCreation: false }));
    return p.send({ topic, messages: values.map(v => ({ key: v, value: v })), ...more });
}
async function refused(type, promise) {
    try { await promise; } catch (e) {
        for (let at = e; at; at = at.cause)
            if (at.type === type)
                return;
        throw e;
    }
    throw new Error('not refused with ' + type);
}
'''
TAIL = '''
main().then(() => Promise.all(open.map(x => x.disconnect()))).then(() => process.exit(0),
                                                                  e => { console.error(e); process.exit(1); });
'''


def run(mqs, script, *args, packages=()):
    vendor.run_node(HEAD + 'async function main() {' + script + '}' + TAIL, mqs.address, str(mqs.sasl_port),
                    str(mqs.sasl_plaintext_port), mqs.ca, *args, packages=['kafkajs', *packages])


CODECS = '''
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy');
const lz4 = require('lz4js');
CompressionCodecs[CompressionTypes.LZ4] = () => ({ compress: async e => Buffer.from(lz4.compress(e.buffer)),
                                                   decompress: async b => Buffer.from(lz4.decompress(b)) });
const zstd = new (await new Promise(done => require('zstd-codec').ZstdCodec.run(done))).Simple();
CompressionCodecs[CompressionTypes.ZSTD] = () => ({ compress: async e => Buffer.from(zstd.compress(e.buffer)),
                                                    decompress: async b => Buffer.from(zstd.decompress(b)) });
'''


@pytest.mark.parametrize('codec', ['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD'])
def test_consumes_what_was_produced(mqs, codec):
    run(mqs, CODECS + '''
const topic = 'kjs-' + args[0], values = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(i)}`);
await create(topic);
await produce(topic, values, { compression: CompressionTypes[args[0]], acks: -1 });
const m = await member(topic, topic);
await until(() => m.got.length, () => m.got.length >= 300);
assert.deepEqual(m.got.map(g => g.value), values);
assert.deepEqual(m.got.map(g => +g.offset), values.map((_, i) => i));
''', codec, packages=('kafkajs-snappy', 'lz4js', 'zstd-codec'))


def test_members_share_the_partitions(mqs):
    run(mqs, '''
await create('kjs-share', 4);
const a = await member('kjs-share', 'kjs-share');
await until(() => a.parts, () => a.parts.length === 4);
const b = await member('kjs-share', 'kjs-share');
await until(() => [a.parts, b.parts], () => a.parts.length === 2 && b.parts.length === 2);
assert.deepEqual([...a.parts, ...b.parts].sort(), [0, 1, 2, 3]);
const description = (await (await admin()).describeGroups(['kjs-share'])).groups[0];
assert.equal(description.state, 'Stable');
assert.equal(description.members.length, 2);
await produce('kjs-share', Array.from({ length: 100 }, (_, i) => String(i)));
await until(() => a.got.length + b.got.length, () => a.got.length + b.got.length >= 100);
assert(a.got.length && b.got.length);
await b.consumer.disconnect();
await until(() => a.parts, () => a.parts.length === 4);
await produce('kjs-share', Array.from({ length: 100 }, (_, i) => String(i)));
await until(() => a.got.length + b.got.length, () => a.got.length + b.got.length >= 200);
assert.equal(new Set([...a.got, ...b.got].map(g => g.partition + ':' + g.offset)).size, 200);
assert(!a.error && !b.error);
''')


def test_a_silent_member_is_put_out(mqs):
    run(mqs, '''
await create('kjs-dead', 2);
const dead = require('child_process').spawn(process.execPath, ['-e', `
    const { Kafka, logLevel } = require('kafkajs');
    const c = new Kafka({ clientId: 'dead', brokers: ['${address}'], logLevel: logLevel.NOTHING }).consumer(
        { groupId: 'kjs-dead', sessionTimeout: 6000, heartbeatInterval: 200 });
    c.on(c.events.GROUP_JOIN, e => { console.log('joined'); });
    c.connect().then(() => c.subscribe({ topics: ['kjs-dead'] })).then(() => c.run({ eachMessage: async () => {} }));`]);
await new Promise(go => dead.stdout.once('data', go));
dead.kill('SIGKILL');
const m = await member('kjs-dead', 'kjs-dead');
await until(() => m.parts, () => m.parts.length === 2);
''')


def test_committed_offsets(mqs):
    run(mqs, '''
const a = await create('kjs-offsets', 2);
await produce('kjs-offsets', Array.from({ length: 100 }, (_, i) => String(i)));
const m = await member('kjs-offsets', 'kjs-offsets');
await until(() => m.got.length, () => m.got.length >= 100);
await m.consumer.disconnect();
const at = async () => (await a.fetchOffsets({ groupId: 'kjs-offsets', topics: ['kjs-offsets'] }))[0].partitions.reduce(
    (sum, p) => sum + Math.max(p.offset, 0), 0);
assert.equal(await at(), 100);
const next = await member('kjs-offsets', 'kjs-offsets');
await until(() => next.parts, () => next.parts.length === 2);
await produce('kjs-offsets', ['more']);
await until(() => next.got.length, () => next.got.length > 0);
assert.deepEqual(next.got.map(g => g.value), ['more']);
''')


def test_transactions(mqs):
    run(mqs, '''
await create('kjs-txn');
await create('kjs-in');
await produce('kjs-in', ['a', 'b', 'c']);
const p = await connected(kafka.producer({ transactionalId: 'kjs', maxInFlightRequests: 1, idempotent: true }));
const want = [];
for (let i = 0; i < 6; i++) {
    const t = await p.transaction();
    await t.send({ topic: 'kjs-txn', messages: [0, 1, 2].map(n => ({ key: 'k', value: `${i}-${n}` })) });
    await t.sendOffsets({ consumerGroupId: 'kjs-txn-group', topics: [{ topic: 'kjs-in', partitions: [
        { partition: 0, offset: String(i) }] }] });
    if (i % 2) {
        await t.abort();
    } else {
        await t.commit();
        want.push(...[0, 1, 2].map(n => `${i}-${n}`));
    }
}
const committed = await member('kjs-committed', 'kjs-txn');
const all = await member('kjs-all', 'kjs-txn', { readUncommitted: true });
await until(() => [committed.got.length, all.got.length], () => committed.got.length >= 9 && all.got.length >= 18);
assert.deepEqual(committed.got.map(g => g.value), want);
assert.equal(all.got.length, 18);
assert.equal((await (await admin()).fetchOffsets({ groupId: 'kjs-txn-group', topics: ['kjs-in'] }))[0].partitions[0].offset, '4');
''')


def test_the_last_value_of_a_key_stays(mqs):
    run(mqs, '''
const a = await create('kjs-compact', 1, { 'cleanup.policy': 'compact', 'segment.ms': '50', 'min.cleanable.dirty.ratio': '0.01',
                                           'delete.retention.ms': '0' });
const p = await connected(kafka.producer());
for (let round = 0; round < 3; round++)
    await p.send({ topic: 'kjs-compact', messages: Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: `${round}` })) });
await p.send({ topic: 'kjs-compact', messages: [{ key: 'k7', value: null }] });
let state, n = 0;
await until(() => [n, [...state.keys()].length], async () => {
    // Only records behind the last segment are compacted.
    await p.send({ topic: 'kjs-compact', messages: [{ key: 'roll', value: 'x' }] });
    const m = await member('kjs-compact-' + n++, 'kjs-compact');
    const end = (await a.fetchTopicOffsets('kjs-compact'))[0].high;
    await until(() => m.got.length, () => m.got.some(g => +g.offset === end - 1));
    await m.consumer.disconnect();
    state = m.got.filter(g => g.key !== 'roll');
    return state.length === 49;
});
assert(state.every(g => g.value === '2' && g.key !== 'k7'));
''')


def test_administration(mqs):
    run(mqs, '''
const a = await create('kjs-adm', 2);
await refused('TOPIC_ALREADY_EXISTS', a.createTopics({ topics: [{ topic: 'kjs-adm' }] }).then(made => {
    if (!made) throw Object.assign(new Error(), { type: 'TOPIC_ALREADY_EXISTS' }); }));
await refused('INVALID_TOPIC_EXCEPTION', a.createTopics({ topics: [{ topic: 'a/b' }] }).catch(e => { throw e.errors[0]; }));
assert((await a.listTopics()).includes('kjs-adm'));
await a.createPartitions({ topicPartitions: [{ topic: 'kjs-adm', count: 4 }] });
assert.equal((await a.fetchTopicMetadata({ topics: ['kjs-adm'] })).topics[0].partitions.length, 4);
await a.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: 'kjs-adm',
                                     configEntries: [{ name: 'retention.ms', value: '7200000' }] }] });
const config = (await a.describeConfigs({ includeSynonyms: true, resources: [{ type: ConfigResourceTypes.TOPIC, name: 'kjs-adm' }] }
                                        )).resources[0].configEntries.find(c => c.configName === 'retention.ms');
assert.equal(config.configValue, '7200000');
await produce('kjs-adm', ['a', 'b', 'c'].map(k => k), {});
const ends = await a.fetchTopicOffsets('kjs-adm');
assert.equal(ends.reduce((sum, p) => sum + +p.high, 0), 3);
assert.equal((await a.fetchTopicOffsetsByTimestamp('kjs-adm', 0)).reduce((sum, p) => sum + +p.offset, 0), 0);
const full = ends.find(p => p.high > 0);
await a.deleteTopicRecords({ topic: 'kjs-adm', partitions: [{ partition: full.partition, offset: full.high }] });
assert.equal((await a.fetchTopicOffsets('kjs-adm')).find(p => p.partition === full.partition).low, full.high);
const cluster = await a.describeCluster();
assert.deepEqual([cluster.controller, cluster.brokers.length, cluster.brokers[0].nodeId], [1, 1, 1]);
await produce('kjs-adm', ['x']);
const m = await member('kjs-adm', 'kjs-adm');
await until(() => m.got.length, () => m.got.length > 0);
await refused('NON_EMPTY_GROUP', a.deleteGroups(['kjs-adm']).catch(e => { throw e.groups[0].error; }));
await m.consumer.disconnect();
assert((await a.listGroups()).groups.some(g => g.groupId === 'kjs-adm'));
await a.deleteGroups(['kjs-adm']);
const acl = { resourceType: AclResourceTypes.TOPIC, resourceName: 'kjs-', resourcePatternType: ResourcePatternTypes.PREFIXED,
              principal: 'User:kate', host: '*', operation: AclOperationTypes.READ, permissionType: AclPermissionTypes.ALLOW };
await a.createAcls({ acl: [acl] });
assert.equal((await a.describeAcls(acl)).resources[0].acls[0].principal, 'User:kate');
assert.equal((await a.deleteAcls({ filters: [acl] })).filterResponses[0].matchingAcls.length, 1);
assert.deepEqual(await a.listPartitionReassignments({}).then(r => r.topics), []);
await a.deleteTopics({ topics: ['kjs-adm'] });
await refused('UNKNOWN_TOPIC_OR_PARTITION', a.deleteTopics({ topics: ['kjs-adm'] }));
''')


@pytest.mark.parametrize('tls', ['SASL_PLAINTEXT', 'SASL_SSL'])
@pytest.mark.parametrize('mechanism', ['plain', 'scram-sha-256', 'scram-sha-512'])
def test_sasl(mqs, mechanism, tls):
    run(mqs, '''
const [mechanism, protocol] = args, tls = protocol === 'SASL_SSL', topic = `kjs-${mechanism}-${protocol}`;
const k = login('key-root', 'secret-root', mechanism, tls);
await create(topic);
await produce(topic, ['a', 'b'], {}, k);
const m = await member(topic, topic, {}, k);
await until(() => m.got.length, () => m.got.length >= 2);
for (const [user, password] of [['key-root', 'wrong'], ['nobody', 'secret-root']])
    await assert.rejects(login(user, password, mechanism, tls).admin({ retry: { retries: 0 } }).connect(),
                         e => /wrong user or password/.test(e.message));
''', mechanism, tls)


def test_denials(mqs):
    run(mqs, '''
const a = await create('kjs-denied'), low = login('key-low', 'secret-low');
await produce('kjs-denied', ['a']);
await refused('TOPIC_AUTHORIZATION_FAILED', produce('kjs-denied', ['x'], {}, low));
await refused('TOPIC_AUTHORIZATION_FAILED', member('low', 'kjs-denied', { allowAutoTopicCreation: false }, low));
const la = await connected(low.admin());
await refused('TOPIC_AUTHORIZATION_FAILED', la.createTopics({ topics: [{ topic: 'kjs-mine' }], waitForLeaders: false }).catch(
    e => { throw e.errors ? e.errors[0] : e; }));
await refused('CLUSTER_AUTHORIZATION_FAILED', la.describeAcls({ resourceType: AclResourceTypes.ANY, operation:
    AclOperationTypes.ANY, permissionType: AclPermissionTypes.ANY, resourcePatternType: ResourcePatternTypes.ANY }));
assert(!(await la.listTopics()).includes('kjs-denied'));
const acl = { resourceType: AclResourceTypes.TOPIC, resourceName: 'kjs-denied', resourcePatternType: ResourcePatternTypes.LITERAL,
              principal: 'User:key-low', host: '*', operation: AclOperationTypes.READ, permissionType: AclPermissionTypes.ALLOW };
await a.createAcls({ acl: [acl] });
const m = await member('low', 'kjs-denied', {}, low);
await until(() => m.got.length, () => m.got.length >= 1);
await refused('TOPIC_AUTHORIZATION_FAILED', produce('kjs-denied', ['x'], {}, low));
await a.deleteAcls({ filters: [acl] });
''')


def test_quotas_slow_down(mqs):
    mqs.quota(client='kjs-slow', producer_byte_rate=200000, consumer_byte_rate=200000)
    run(mqs, '''
await create('kjs-quota');
const slow = client({ clientId: 'kjs-slow' }), values = Array.from({ length: 60 }, () => 'x'.repeat(10000));
const p = await connected(slow.producer());
let begun = Date.now();
for (const value of values)
    await p.send({ topic: 'kjs-quota', messages: [{ value }] });
assert(Date.now() - begun > 1500, 'produced in ' + (Date.now() - begun));
begun = Date.now();
const m = await member('kjs-quota', 'kjs-quota', { maxBytesPerPartition: 20000 }, slow);
await until(() => m.got.length, () => m.got.length >= 60);
assert(Date.now() - begun > 1500, 'consumed in ' + (Date.now() - begun));
begun = Date.now();
await produce('kjs-quota', values);
assert(Date.now() - begun < 1500, 'others took ' + (Date.now() - begun));
''')


def test_clients_of_a_user_share_its_quota(mqs):
    mqs.quota(user='key-root', producer_byte_rate=200000)
    run(mqs, '''
await create('kjs-user');
const begun = Date.now();
await Promise.all(['one', 'two'].map(async clientId => {
    const p = await connected(client({ clientId, brokers: ['localhost:' + saslPlaintextPort],
                                       sasl: { mechanism: 'plain', username: 'key-root', password: 'secret-root' } }).producer());
    for (let i = 0; i < 30; i++)
        await p.send({ topic: 'kjs-user', messages: [{ value: 'x'.repeat(10000) }] });
}));
// 600 kB, of which a second's worth is free. Alone each would need half a second.
assert(Date.now() - begun > 1500, 'produced in ' + (Date.now() - begun));
''')
    mqs.quota(user='key-root', producer_byte_rate=None)
