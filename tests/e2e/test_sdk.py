# SPDX-License-Identifier: Apache-2.0
"""The vendor's Python SDK drives the platform. Skipped only where PyPI cannot be reached."""
import json
import os

import pytest

from lib import databases, vendor
from lib.apic import ok
from open_business_data import certificate

PACKAGES = ('huaweicloudsdkcore', 'huaweicloudsdkiam', 'huaweicloudsdkroma', 'huaweicloudsdkapig')


@pytest.fixture(scope='module')
def done(platform, tmp_path_factory):
    vendor.python_sdk(*PACKAGES)  # before the servers are started
    db, folder = databases.postgres(), tmp_path_factory.mktemp('sdk')
    cert, key = certificate(folder, 'sdk.example.com')
    domain = ok(platform.call('GET', '/v3/auth/domains'))['domains'][0]['id']
    with open(folder / 'given', 'w', encoding='utf-8') as f:
        json.dump({**platform.credentials, 'domain_id': domain, 'cert': cert, 'cert_key': key, 'db_type': db.type,
                   'db_content': db.content}, f)
    with open(os.path.join(os.path.dirname(__file__), 'sdk_walk.py'), encoding='utf-8') as f:
        out = vendor.run_python(f.read(), str(folder / 'given'), packages=PACKAGES)
    return json.loads(out.strip().splitlines()[-1])


def test_operations(done):
    assert len(done['called']) > 50


def test_result_is_served(platform, done):
    r = platform.gateway('GET', '/sdk/1', host=done['host'], key=done['key'], secret=done['secret'])
    assert r.status == 200 and r.body == b'mocked'
    r = platform.gateway('GET', '/sdk/data?n=41', host=done['host'])
    assert ok(r) == {'data': [{'n': 41}]}
    r = platform.gateway('GET', '/sdk/1', host='sdk.example.com', key=done['key'], secret='wrong')
    assert r.status == 401
