# SPDX-License-Identifier: Apache-2.0
"""Kafka Streams with exactly-once processing: results stay exact while the broker is killed."""
import collections
import json
import random
import subprocess
import time

from lib import kafka, vendor

CLIENT = '''
import json, sys
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
B = {'bootstrap.servers': sys.argv[1]}
'''


def client(mqs, script, *args, **kwargs):
    return vendor.run_python(CLIENT + script, mqs.address, *args, packages=['confluent-kafka'], **kwargs)


def write(mqs, lines):
    client(mqs, '''
p, bad = Producer({**B, 'enable.idempotence': True}), []
for line in json.loads(sys.argv[2]):
    p.produce('lines', value=line, on_delivery=lambda e, m: bad.append(e) if e else None)
assert p.flush(30) == 0 and not bad, bad
''', json.dumps(lines))


def counted(mqs):
    """The committed results: words with the last count, and whether each count was written once and in order."""
    out = client(mqs, '''
c = Consumer({**B, 'group.id': 'look', 'auto.offset.reset': 'earliest', 'isolation.level': 'read_committed',
              'enable.partition.eof': True, 'enable.auto.commit': False})
parts = [TopicPartition('counts', i, 0) for i in range(2)]
c.assign(parts)
ends, seen = 0, {}
while ends < len(parts):
    m = c.poll(10)
    assert m is not None
    if m.error():
        ends += 1
    else:
        seen.setdefault(m.key().decode(), []).append(int(m.value()))
print(json.dumps(seen))
''')
    return json.loads(out)


def wait(mqs, want, seconds=60):
    end = time.monotonic() + seconds
    while True:
        seen = counted(mqs)
        got = {word: values[-1] for word, values in seen.items()}
        if got == want:
            return seen
        assert time.monotonic() < end, (want, got)


def test_words_are_counted_exactly_once_over_kill_9(mqs, tmp_path):
    client(mqs, '''
admin = AdminClient(B)
for f in admin.create_topics([NewTopic('lines', 2, 1), NewTopic('counts', 2, 1)]).values():
    f.result(10)
''')
    words, want = [f'w{i}' for i in range(20)], collections.Counter()
    dice = random.Random(7)

    def lines(n):
        made = [' '.join(dice.choice(words) for _ in range(5)) for _ in range(n)]
        want.update(word for line in made for word in line.split())
        return made

    with open(tmp_path / 'log', 'wb') as log:
        program = subprocess.Popen([*kafka.JAVA, '-cp', kafka.programs(), 'WordCount', mqs.address, 'words', 'lines', 'counts',
                                    str(tmp_path / 'state')], stdin=subprocess.PIPE, stdout=log, stderr=log)
        try:
            write(mqs, lines(200))
            wait(mqs, want)
            for _ in range(3):
                write(mqs, lines(300))
                mqs.kill()
                mqs.start()
            seen = wait(mqs, want)
            program.stdin.close()
            assert program.wait(30) == 0, (tmp_path / 'log').read_text()[-3000:]
        finally:
            program.kill()
            program.wait()
    # Each step that was committed goes on from the one before.
    assert all(values == sorted(set(values)) for values in seen.values())
