# SPDX-License-Identifier: Apache-2.0
"""@platformatic/kafka: a client that knows the newer half of each version range. Major 1 is the last for Node.js 20."""
import shutil
import subprocess

import pytest

from lib import vendor


def node_major():
    if not shutil.which('node'):
        return 0
    return int(subprocess.run(['node', '-p', 'process.versions.node.split(".")[0]'], capture_output=True, text=True,
                              check=True).stdout)


pytestmark = pytest.mark.skipif(node_major() < 20, reason='the client needs Node.js 20')

HEAD = '''
const assert = require('assert');
const [address, saslPort, saslPlaintextPort, ca, ...args] = process.argv.slice(2);
const open = [];
let lib;
const options = more => ({ clientId: 'plt', bootstrapBrokers: [address], retries: 3, retryDelay: 100, ...more });
const login = (username, password, mechanism = 'PLAIN', tls = false) => ({
    bootstrapBrokers: ['localhost:' + (tls ? saslPort : saslPlaintextPort)], sasl: { mechanism, username, password }, retries: 0,
    tls: tls ? { ca: [require('fs').readFileSync(ca)] } : undefined });
function opened(x) { open.push(x); return x; }
const admin = more => opened(new lib.Admin(options(more)));
const producer = more => opened(new lib.Producer(options({ serializers: lib.stringSerializers, ...more })));
async function create(topic, partitions = 1, config = {}) {
    const a = admin();
    await a.createTopics({ topics: [topic], partitions, replicas: 1,
                           configs: Object.entries(config).map(([name, value]) => ({ name, value })) });
    return a;
}
async function until(what, fn) {
    for (const end = Date.now() + 30000; !(await fn()); await new Promise(go => setTimeout(go, 20)))
        if (Date.now() > end)
            throw new Error('not in time: ' + what());
}
async function member(groupId, topic, more = {}) {
    const consumer = opened(new lib.Consumer(options({ groupId, deserializers: lib.stringDeserializers, maxWaitTime: 100,
        ...(more.groupProtocol ? {} : { sessionTimeout: 6000, heartbeatInterval: 200 }), ...more })));
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' });
    const m = { got: [], consumer, stream, get parts() {
        return (consumer.assignments || []).filter(a => a.topic === topic).flatMap(a => a.partitions); } };
    stream.on('data', message => m.got.push(message));
    stream.on('error', e => { m.error = e; });
    m.close = async () => { await stream.close(); await consumer.close(); open.splice(open.indexOf(consumer), 1); };
    return m;
}
const send = (topic, values, more = {}, who = {}) => producer(who).send(
    { messages: values.map(value => ({ topic, key: value, value })), ...more });
const codes = e => e ? [e.apiId, ...codes(e.cause), ...(e.errors || []).flatMap(codes)] : [];
async function refused(code, promise) {
    try { await promise; } catch (e) {
        if (codes(e).includes(code))
            return;
        throw e;
    }
    throw new Error('not refused with ' + code);
}
'''
TAIL = '''
import('@platformatic/kafka').then(async x => {
    lib = x;
    await main();
}).then(() => process.exit(0), e => { console.error(require('util').inspect(e, { depth: 6 })); process.exit(1); });
'''


def run(mqs, script, *args):
    vendor.run_node(HEAD + 'async function main() {' + script + '}' + TAIL, mqs.address, str(mqs.sasl_port),
                    str(mqs.sasl_plaintext_port), mqs.ca, *args, packages=['@platformatic/kafka@1'])


@pytest.mark.parametrize('codec', ['none', 'gzip', 'snappy', 'lz4'])  # zstd needs a newer Node.js
def test_consumes_what_was_produced(mqs, codec):
    run(mqs, '''
const topic = 'plt-' + args[0], values = Array.from({ length: 300 }, (_, i) => `${i} ${'x'.repeat(i)}`);
await create(topic);
await send(topic, values, { compression: args[0], acks: -1 });
const m = await member(topic, topic);
await until(() => m.got.length, () => m.got.length >= 300);
assert.deepEqual(m.got.map(g => g.value), values);
assert.deepEqual(m.got.map(g => Number(g.offset)), values.map((_, i) => i));
''', codec)


@pytest.mark.parametrize('protocol', ['classic', 'consumer'])
def test_members_share_the_partitions(mqs, protocol):
    run(mqs, '''
const topic = 'plt-share-' + args[0], more = { groupProtocol: args[0] };
const a = await create(topic, 4);
const one = await member(topic, topic, more);
await until(() => one.parts, () => one.parts.length === 4);
const two = await member(topic, topic, more);
await until(() => [one.parts, two.parts], () => one.parts.length === 2 && two.parts.length === 2);
assert.deepEqual([...one.parts, ...two.parts].sort(), [0, 1, 2, 3]);
const listed = (await a.listGroups({ types: [args[0]] })).get(topic);
assert.equal(listed.groupType, args[0]);
await send(topic, Array.from({ length: 100 }, (_, i) => String(i)));
await until(() => one.got.length + two.got.length, () => one.got.length + two.got.length >= 100);
await two.close();
await until(() => one.parts, () => one.parts.length === 4);
await send(topic, Array.from({ length: 100 }, (_, i) => String(i)));
const all = () => new Set([...one.got, ...two.got].map(g => g.partition + ':' + g.offset)).size;
await until(all, () => all() === 200);
''', protocol)


def test_a_static_member_comes_back(mqs):
    run(mqs, '''
const a = await create('plt-static', 4);
const one = await member('plt-static', 'plt-static', { groupInstanceId: 'one' });
await until(() => one.parts, () => one.parts.length === 4);
const group = async () => (await a.describeGroups({ groups: ['plt-static'] })).get('plt-static');
const before = one.consumer.generationId;
const two = await member('plt-static', 'plt-static', { groupInstanceId: 'two' });
await until(() => [one.parts, two.parts], () => one.parts.length === 2 && two.parts.length === 2);
assert.deepEqual([...(await group()).members.values()].map(m => m.groupInstanceId).sort(), ['one', 'two']);
''')


def test_transactions(mqs):
    run(mqs, '''
const a = await create('plt-txn');
await create('plt-in');
await send('plt-in', ['a', 'b', 'c', 'd', 'e', 'f']);
const source = await member('plt-in', 'plt-in', { autocommit: false });
await until(() => source.got.length, () => source.got.length === 6);
const p = producer({ transactionalId: 'plt', idempotent: true });
const want = [];
for (let i = 0; i < 3; i++) {
    // Of several aborted transactions of a producer this client leaves out the last one only.
    const t = await p.beginTransaction();
    await t.send({ messages: [0, 1, 2].map(n => ({ topic: 'plt-txn', key: 'k', value: `${i}-${n}` })) });
    await t.addConsumer(source.consumer);
    await t.addOffset(source.got[i]);
    if (i === 1) {
        await t.abort();
        const [before] = await a.listConsumerGroupOffsets({ groups: ['plt-in'], requireStable: true });
        assert.equal(before.topics[0].partitions[0].committedOffset, 1n);
    } else {
        await t.commit();
        want.push(...[0, 1, 2].map(n => `${i}-${n}`));
    }
}
const committed = await member('plt-committed', 'plt-txn', { isolationLevel: 1 });
const all = await member('plt-all', 'plt-txn', { isolationLevel: 0 });
await until(() => [committed.got.length, all.got.length], () => committed.got.length >= 6 && all.got.length >= 9);
assert.deepEqual(committed.got.map(g => g.value), want);
assert.equal(all.got.length, 9);
const [offsets] = await a.listConsumerGroupOffsets({ groups: ['plt-in'], requireStable: true });
assert.equal(Number(offsets.topics[0].partitions[0].committedOffset), 3);
''')


def test_the_last_value_of_a_key_stays(mqs):
    run(mqs, '''
const a = await create('plt-compact', 1, { 'cleanup.policy': 'compact', 'segment.ms': '50', 'min.cleanable.dirty.ratio': '0.01' });
const p = producer();
for (let round = 0; round < 3; round++)
    await p.send({ messages: Array.from({ length: 50 }, (_, i) => ({ topic: 'plt-compact', key: `k${i}`,
                                                               value: `${round}`.repeat(1000) })) });
const size = async () => (await a.describeLogDirs({ topics: [{ name: 'plt-compact', partitions: [0] }] })
    )[0].results[0].topics[0].partitions[0].partitionSize;
const before = await size();
await until(size, async () => {
    // Only records behind the last segment are compacted.
    await p.send({ messages: [{ topic: 'plt-compact', key: 'roll', value: 'x' }] });
    return await size() < before * 2n / 3n;
});
const m = await member('plt-compact', 'plt-compact');
await until(() => m.got.length, () => m.got.filter(g => g.key !== 'roll').length >= 50);
assert(m.got.every(g => g.key === 'roll' || g.value === '2'.repeat(1000)));
''')


def test_administration(mqs):
    run(mqs, '''
const a = await create('plt-adm', 2);
await refused('TOPIC_ALREADY_EXISTS', admin({ retries: 0 }).createTopics({ topics: ['plt-adm'] }));
assert((await a.listTopics()).includes('plt-adm'));
await a.createPartitions({ topics: [{ name: 'plt-adm', count: 4, assignments: null }] });
const topic = { resourceType: lib.ConfigResourceTypes.TOPIC, resourceName: 'plt-adm' };
await a.incrementalAlterConfigs({ resources: [{ ...topic, configs: [{ name: 'retention.ms', configOperation: 0, value: '7200000' }] }] });
const config = async () => (await a.describeConfigs({ resources: [{ ...topic, configurationKeys: null }] })
    )[0].configs.find(c => c.name === 'retention.ms').value;
assert.equal(await config(), '7200000');
await a.alterConfigs({ resources: [{ ...topic, configs: [{ name: 'segment.ms', value: '3600000' }] }] });
assert.equal(await config(), '259200000');
await send('plt-adm', ['a', 'b', 'c', 'd'], { partitioner: m => 0 });
const offsets = async timestamp => (await a.listOffsets({ topics: [{ name: 'plt-adm', partitions: [{ partitionIndex: 0, timestamp }] }] })
    )[0].partitions[0].offset;
assert.equal(await offsets(-1n), 4n);
assert.equal(await offsets(-2n), 0n);
assert.equal((await a.deleteRecords({ topics: [{ name: 'plt-adm', partitions: [{ partition: 0, offset: 2n }] }] })
    )[0].partitions[0].lowWatermark, 2n);
assert.equal(await offsets(-2n), 2n);
const dirs = await a.describeLogDirs({ topics: [{ name: 'plt-adm', partitions: [0, 1] }] });
assert.equal(dirs[0].results[0].topics[0].partitions.length, 2);
await a.alterConsumerGroupOffsets({ groupId: 'plt-adm', topics: [{ name: 'plt-adm', partitionOffsets: [{ partition: 0, offset: 3n }] }] });
const committed = async () => (await a.listConsumerGroupOffsets({ groups: ['plt-adm'] }))[0].topics;
assert.equal((await committed())[0].partitions[0].committedOffset, 3n);
const m = await member('plt-adm', 'plt-adm');
await until(() => m.got.length, () => m.got.length === 1);
assert.equal(m.got[0].value, 'd');
await refused('NON_EMPTY_GROUP', admin({ retries: 0 }).deleteGroups({ groups: ['plt-adm'] }));
const members = [...(await a.describeGroups({ groups: ['plt-adm'] })).get('plt-adm').members.values()];
assert.equal(members[0].clientId, 'plt');
await m.close();
await a.deleteConsumerGroupOffsets({ groupId: 'plt-adm', topics: [{ name: 'plt-adm', partitionIndexes: [0, 1, 2, 3] }] });
await a.deleteGroups({ groups: ['plt-adm'] }).catch(e => { if (!codes(e).includes('GROUP_ID_NOT_FOUND')) throw e; });
assert(!(await a.listGroups()).has('plt-adm'));
await a.alterClientQuotas({ entries: [{ entities: [{ entityType: 'client-id', entityName: 'x' }],
                                        ops: [{ key: 'producer_byte_rate', value: 1000, remove: false }] }] });
const quotas = () => a.describeClientQuotas({ components: [{ entityType: 'client-id', matchType: 0, match: 'x' }], strict: false });
assert.deepEqual((await quotas())[0].values, [{ key: 'producer_byte_rate', value: 1000 }]);
await a.alterClientQuotas({ entries: [{ entities: [{ entityType: 'client-id', entityName: 'x' }],
                                        ops: [{ key: 'producer_byte_rate', value: 0, remove: true }] }] });
assert.equal((await quotas()).length, 0);
const acl = { resourceType: lib.ResourceTypes.TOPIC, resourceName: 'plt-', resourcePatternType: lib.ResourcePatternTypes.PREFIXED,
              principal: 'User:paul', host: '*', operation: lib.AclOperations.READ, permissionType: lib.AclPermissionTypes.ALLOW };
await a.createAcls({ creations: [acl] });
assert.equal((await a.describeAcls({ filter: acl }))[0].acls[0].principal, 'User:paul');
assert.equal((await a.deleteAcls({ filters: [acl] })).length, 1);
assert.equal((await a.findCoordinator({ keyType: 0, keys: ['g', 'h'] })).length, 2);
await a.deleteTopics({ topics: ['plt-adm'] });
await refused('UNKNOWN_TOPIC_OR_PARTITION', admin({ retries: 0 }).deleteTopics({ topics: ['plt-adm'] }));
''')


@pytest.mark.parametrize('tls', ['SASL_PLAINTEXT', 'SASL_SSL'])
@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
def test_sasl(mqs, mechanism, tls):
    run(mqs, '''
const [mechanism, protocol] = args, tls = protocol === 'SASL_SSL', topic = `plt-${mechanism}-${protocol}`;
const who = login('key-root', 'secret-root', mechanism, tls);
await create(topic);
await send(topic, ['a', 'b'], {}, who);
const m = await member(topic, topic, who);
await until(() => m.got.length, () => m.got.length >= 2);
for (const [user, password] of [['key-root', 'wrong'], ['nobody', 'secret-root']])
    await refused('SASL_AUTHENTICATION_FAILED', admin(login(user, password, mechanism, tls)).listTopics());
''', mechanism, tls)


def test_denials(mqs):
    run(mqs, '''
const a = await create('plt-denied'), low = login('key-low', 'secret-low');
await send('plt-denied', ['a']);
await refused('TOPIC_AUTHORIZATION_FAILED', send('plt-denied', ['x'], {}, low));
await refused('TOPIC_AUTHORIZATION_FAILED', member('low', 'plt-denied', low));
await refused('TOPIC_AUTHORIZATION_FAILED', admin(low).createTopics({ topics: ['plt-mine'] }));
const acl = { resourceType: lib.ResourceTypes.TOPIC, resourceName: 'plt-denied', resourcePatternType: lib.ResourcePatternTypes.LITERAL,
              principal: 'User:key-low', host: '*', operation: lib.AclOperations.READ, permissionType: lib.AclPermissionTypes.ALLOW };
await refused('CLUSTER_AUTHORIZATION_FAILED', admin(low).createAcls({ creations: [acl] }));
assert(!(await admin(low).listTopics()).includes('plt-denied'));
await a.createAcls({ creations: [acl] });
const m = await member('low', 'plt-denied', low);
await until(() => m.got.length, () => m.got.length >= 1);
await refused('TOPIC_AUTHORIZATION_FAILED', send('plt-denied', ['x'], {}, low));
await a.deleteAcls({ filters: [acl] });
''')


def test_quotas_slow_down(mqs):
    mqs.quota(client='plt-slow', producer_byte_rate=200000, consumer_byte_rate=200000)
    run(mqs, '''
await create('plt-quota');
const p = producer({ clientId: 'plt-slow' });
let begun = Date.now();
for (let i = 0; i < 60; i++)
    await p.send({ messages: [{ topic: 'plt-quota', value: 'x'.repeat(10000) }] });
assert(Date.now() - begun > 1500, 'produced in ' + (Date.now() - begun));
begun = Date.now();
const m = await member('plt-quota', 'plt-quota', { clientId: 'plt-slow', maxBytesPerPartition: 20000 });
await until(() => m.got.length, () => m.got.length >= 60);
assert(Date.now() - begun > 1500, 'consumed in ' + (Date.now() - begun));
''')
