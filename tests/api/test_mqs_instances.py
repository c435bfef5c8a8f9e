# SPDX-License-Identifier: Apache-2.0
"""Instances and the certificate: sections 7.1 and 7.2.8 of the reference."""
import io
import os
import zipfile

from lib.apic import ok, refused
from lib.mqs_api import MQS, appiad, kafka  # noqa: F401

INSTANCES = '/v2/{project_id}/mqs/instances'


def test_instances(appiad, kafka):
    page = ok(appiad.call('GET', INSTANCES, query={'include_internal': 'true'}))
    assert page['instance_num'] == 1
    i = page['instances'][0]
    assert i['instance_id'] == appiad.credentials['instance_id'] and i['engine'] == 'kafka'
    assert i['kafka_private_connect_address'] == kafka.address and i['connect_address'] == '127.0.0.1'
    assert (i['status'], i['port'], i['node_num'], i['partition_num'], i['ssl_enable']) == (
        'RUNNING', int(kafka.address.split(':')[1]), 1, '120', False)
    shown = ok(appiad.call('GET', MQS))
    assert shown.pop('listeners') == [{'name': 'mqs-kafka-0', 'port': i['port'], 'backend': {
        'ip': ['127.0.0.1'], 'port': i['port']}}]
    assert shown == i
    for query, n in (({'engine': 'Kafka'}, 1), ({'engine': 'reliability'}, 0)):
        assert ok(appiad.call('GET', INSTANCES, query={'include_internal': 'true', **query}))['instance_num'] == n
    refused(appiad.call('GET', INSTANCES, query={'include_internal': 'false'}), 400, 'MQS.00400800')
    refused(appiad.call('GET', INSTANCES), 400, 'MQS.00400062')


def test_certificate(appiad):
    path = os.path.join(appiad.home, 'tls')
    refused(appiad.call('GET', MQS + '/certificate'), 400, 'MQS.00400026')
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, 'ca.pem'), 'w', encoding='ascii') as f:
        f.write('-----BEGIN CERTIFICATE-----\n')
    r = appiad.call('GET', MQS + '/certificate')
    assert r.status == 200 and r.headers['content-type'] == 'application/zip'
    assert 'attachment' in r.headers['content-disposition']
    archive = zipfile.ZipFile(io.BytesIO(r.body))
    assert archive.testzip() is None and archive.namelist() == ['phy_ca.crt']
    assert archive.read('phy_ca.crt') == b'-----BEGIN CERTIFICATE-----\n'
