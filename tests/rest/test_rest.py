# SPDX-License-Identifier: Apache-2.0
"""Produce, consume and acknowledge by HTTP: what the interface promises when nothing fails."""
import base64
import threading
import time

from lib.apic import ok


def test_produce_consume_acknowledge(messages, owner):
    topic = messages.topic(owner)
    assert owner.produce(topic, 'hello', 'grüß dich "you"', '') == ['success'] * 3
    got = owner.take(topic, 3)
    assert [m['message']['content'] for m in got] == ['hello', 'grüß dich "you"', '']
    assert [m['message']['id'] for m in got] == ['0', '1', '2']
    assert [(m['topic'], m['partition'], m['offset']) for m in got] == [(topic, 0, i) for i in range(3)]
    assert all(abs(m['timestamp'] / 1000 - time.time()) < 60 for m in got)
    assert all(len(base64.b64decode(m['handler']).decode().split('#')) == 4 for m in got)
    assert owner.nothing(topic)  # under consumption
    assert owner.ack(topic, got) == {'success': 3, 'fail': 0}
    assert owner.nothing(topic)
    assert owner.ack(topic, got) == {'success': 0, 'fail': 3}
