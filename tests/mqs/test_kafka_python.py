# SPDX-License-Identifier: Apache-2.0
"""kafka-python: a client that shares no code with librdkafka."""
from lib import vendor

HEAD = '''
import sys
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
B = sys.argv[1]
'''


def run(mqs, script, *args):
    return vendor.run_python(HEAD + script, mqs.address, *args, packages=['kafka-python'])


def test_produce_and_consume(mqs):
    run(mqs, '''
p = KafkaProducer(bootstrap_servers=B, acks='all', compression_type='gzip')
for i in range(500):
    p.send('py', key=str(i).encode(), value=b'v%d' % i, headers=[('h', b'x')], partition=0)
p.flush(20)
c = KafkaConsumer('py', bootstrap_servers=B, group_id='py', auto_offset_reset='earliest', consumer_timeout_ms=8000)
got = []
for m in c:
    got.append((m.offset, m.value, m.headers))
    if len(got) == 500:
        break
assert [g[0] for g in got] == list(range(500)) and got[7][1] == b'v7' and list(got[7][2]) == [('h', b'x')]
c.commit()
c.close()
c = KafkaConsumer(bootstrap_servers=B, group_id='py')
assert c.committed(TopicPartition('py', 0)) == 500
assert c.beginning_offsets([TopicPartition('py', 0)]) == {TopicPartition('py', 0): 0}
assert c.end_offsets([TopicPartition('py', 0)]) == {TopicPartition('py', 0): 500}
c.close()
''')


def test_a_fetch_inside_of_a_batch_gets_the_whole_batch(mqs):
    run(mqs, '''
p = KafkaProducer(bootstrap_servers=B, linger_ms=200)
for i in range(10):
    p.send('mid', value=b'%d' % i, partition=0)
p.flush(10)
c = KafkaConsumer(bootstrap_servers=B, consumer_timeout_ms=8000)
c.assign([TopicPartition('mid', 0)])
c.seek(TopicPartition('mid', 0), 6)
assert [next(c).value for _ in range(4)] == [b'6', b'7', b'8', b'9']
c.close()
''')


def test_sasl(mqs):
    vendor.run_python('''
import sys
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from kafka import KafkaConsumer
a = AdminClient({'bootstrap.servers': sys.argv[1]})
for m in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
    u = UserScramCredentialUpsertion('root', ScramCredentialInfo(m, 4096), b'secret')
    next(iter(a.alter_user_scram_credentials([u]).values())).result(10)
for mechanism in ('PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'):
    c = KafkaConsumer(bootstrap_servers='localhost:' + sys.argv[2], security_protocol='SASL_SSL', ssl_cafile=sys.argv[3],
                      sasl_mechanism=mechanism, sasl_plain_username='root', sasl_plain_password='secret')
    c.topics()
    c.close()
''', mqs.address, str(mqs.sasl_port), mqs.ca, packages=['confluent-kafka', 'kafka-python'])
