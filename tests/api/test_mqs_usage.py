# SPDX-License-Identifier: Apache-2.0
"""Disk usage of topics: section 7.2.9 of the reference, against a Kafka."""
import re

import pytest

from lib.apic import app, member, ok, refused, user
from lib.appiad import Appiad, store_settings
from lib.mqs_api import TOPICS, appiad, create, delete, kafka, kcat, owner  # noqa: F401

USAGE = TOPICS + '/diskusage'
UNITS = {'': 1, 'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30, 'T': 1 << 40}


def number(text):
    value, unit = re.fullmatch(r'(\d+(?:\.\d)?)([KMGT]?)', text).groups()
    return float(value) * UNITS[unit]


@pytest.fixture(scope='module')
def topics(appiad, kafka, owner):
    """large: 300 KB in partition 1; small: 20 KB."""
    create(appiad, owner, 'large', partition=2)
    create(appiad, owner, 'small', partition=1)
    for topic, partition, kilobytes in (('large', 1, 300), ('small', 0, 20)):
        kcat(kafka, '-P', '-t', topic, '-p', str(partition), data=b'\n'.join([b'x' * 10000] * (kilobytes // 10)))


def broker(appiad, token=None, **query):
    brokers = ok(appiad.call('GET', USAGE, query=query, token=token))['broker_list']
    assert len(brokers) == 1 and brokers[0]['status'] == 'Success get info'
    return brokers[0]


def rows(b):
    return [(t['topic_name'], t['topic_partition']) for t in b['topic_list']]


def test_usage(appiad, topics):
    b = broker(appiad)
    assert b['broker_name'] == 'broker-1'
    size, used, free = (number(b['data_disk_' + k]) for k in ('size', 'use', 'free'))
    assert size > used and abs(size - used - free) < size * 0.2
    assert 0 <= int(b['data_disk_use_percentage']) <= 100
    sizes = {(t['topic_name'], t['topic_partition']): t for t in b['topic_list']}
    assert set(sizes) >= {('large', '0'), ('large', '1'), ('small', '0')}
    large = sizes['large', '1']
    assert 300_000 <= number(large['size']) <= 320_000 and large['size'].endswith('K')
    assert large['percentage'] == pytest.approx(100 * 300_000 / size, rel=0.2)
    assert sizes['large', '0']['size'] == '0' and sizes['large', '0']['percentage'] == 0
    listed = [number(t['size']) for t in b['topic_list']]
    assert listed == sorted(listed, reverse=True)


def test_filters(appiad, topics):
    assert rows(broker(appiad, top=1)) == [('large', '1')]
    assert rows(broker(appiad, top=2)) == [('large', '1'), ('small', '0')]
    assert rows(broker(appiad, minSize='100K')) == [('large', '1')]
    assert rows(broker(appiad, minSize='10k')) == [('large', '1'), ('small', '0')]
    assert rows(broker(appiad, minSize='10k', top=1)) == [('large', '1')]
    assert rows(broker(appiad, minSize='1M')) == rows(broker(appiad, minSize='10000G')) == []
    assert rows(broker(appiad, percentage=99)) == rows(broker(appiad, percentage=1, top=1)) == []
    assert len(rows(broker(appiad, minSize='', top='', percentage=''))) == len(rows(broker(appiad)))


@pytest.mark.parametrize('query', [{'minSize': v} for v in ('0K', '10001K', '10', 'K', 'xK', '1T', '-1K', '1.5G', ' 1K')]
                         + [{'top': v} for v in ('0', '1001', 'x', '-1')]
                         + [{'percentage': v} for v in ('0', '101', '1.5', 'x')])
def test_refused(appiad, query):
    refused(appiad.call('GET', USAGE, query=query), 400, 'MQS.00400800', next(iter(query)))


def test_who_sees_what(appiad, kafka, owner, topics):
    """Kafka's own topics are the administrator's, others are for those who may read them."""
    kcat(kafka, '-G', 'readers', 'small', '-e', '-X', 'auto.offset.reset=earliest')
    assert '__consumer_offsets' in {name for name, _ in rows(broker(appiad))} or kafka.engine == 'embedded'
    someone, token = user(appiad, 'usage-reader')
    assert rows(broker(appiad, token)) == []
    other = app(appiad, 'others')
    create(appiad, other, 'theirs', partition=1)
    member(appiad, other, someone, 'read')
    assert rows(broker(appiad, token)) == [('theirs', '0')]
    member(appiad, owner, someone, 'read')
    assert {name for name, _ in rows(broker(appiad, token))} == {'large', 'small', 'theirs'}
    delete(appiad, 'theirs')


def test_other_instances(appiad, topics):
    """Topics of another instance are not shown, whoever asks."""
    made = ok(appiad.call('POST', '/v2/{project_id}/instances', {'name': 'second'}), 201)
    other = made.get('id') or made['instance_id']
    b = ok(appiad.call('GET', USAGE.replace('{instance_id}', other)))['broker_list'][0]
    assert not {'large', 'small'} & {name for name, _ in rows(b)}


def test_away(tmp_path):
    away = Appiad(tmp_path, {**store_settings(), 'APPIA_MQS_ENGINE': 'kafka',
                             'APPIA_MQS_BOOTSTRAP_SERVERS': '127.0.0.1:1'})
    try:
        refused(away.call('GET', USAGE), 500, 'MQS.005000053')
    finally:
        assert away.stop() == 0
