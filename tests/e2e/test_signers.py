# SPDX-License-Identifier: Apache-2.0
"""Request signatures of signers that are not ours: the guide's published values, the signer of the tests, and the
vendor's own SDKs for Python and Node."""
import hashlib
import json
from urllib.parse import quote

import pytest

from lib import signer, vendor

EMPTY = {'Host': 'service.endpoint.myhuaweicloud.com', 'X-Sdk-Date': '20200608T023900Z'}
PATHS = [
    '/',
    '/v3/projects',
    '/v3/projects?name=local',
    '/v3/projects?name=a%20b&name=a~b&x',
    '/v3/projects?b=1&a=2&a=1',
    '/v3/projects?name=%E9%9B%86',
     '/v3/auth/projects/']

PYTHON_SIGNER = '''
import json, sys
from urllib.parse import parse_qsl
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
out = []
for method, host, path, query, headers, body, ak, sk in json.load(open(sys.argv[1])):
    r = SdkRequest(method=method, schema="http", host=host, resource_path=path, header_params=headers,
                   query_params=[tuple(q) for q in query], body=body.encode(), uri="", stream=False)
    out.append(Signer(BasicCredentials(ak, sk, "p")).sign(r).header_params)
print(json.dumps(out))
'''

NODE_SIGNER = '''
const core = require('@huaweicloud/huaweicloud-sdk-core');
const { AKSKSigner } = require('@huaweicloud/huaweicloud-sdk-core/auth/AKSKSigner');
const list = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
console.log(JSON.stringify(list.map(([method, host, path, query, headers, body, ak, sk]) => {
  const params = {};
  for (const [k, v] of query) params[k] = k in params ? [].concat(params[k], v) : v;
  const credentials = new core.BasicCredentials().withAk(ak).withSk(sk).withProjectId('p');
  const request = { method, endpoint: 'http://' + host + path, headers: { 'content-type': 'application/json' },
                    queryParams: params, data: body ? JSON.parse(body) : undefined };
  return AKSKSigner.sign(request, credentials);
})));
'''


def signature(headers):
    return headers['Authorization'].rsplit('Signature=', 1)[1]


def test_published_values():
    h = {'Content-Type': 'application/json', 'Host': 'service.region.example.com', 'X-Sdk-Date': '20191115T033655Z'}
    path = '/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0'
    request = signer.canonical_request('GET', path, b'', h)
    assert hashlib.sha256(request.encode()).hexdigest() == (
        'b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a')
    signed = signer.sign('GET', path, b'', h, 'QTWAOYTTINDUT2QVKYUC', 'MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc')
    assert signature(signed) == '7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe'
    assert signature(signer.sign('GET', '/resources?size=1', b'', EMPTY, 'AccessKey', 'SecretKey')) == (
        'cfb4171acec81de07d50e53d57eb77edd537414d66ddb1d7d780f128e12cd842')
    assert signature(
    signer.sign(
        'POST',
        '/resources?size=1',
        b'{"name":"test","id":1}',
        EMPTY,
        'AccessKey',
         'SecretKey')) == ( '436b1ac0a1ae03705934bb70ef2f2e09f7bfed2117d731a38235053199323a1f')


@pytest.mark.parametrize('path', PATHS)
def test_management_accepts(platform, path):
    r = platform.signed('GET', path)
    assert r.status in (200, 300), r
    assert platform.signed('GET', path, secret='wrong').status == 401 or path == '/'


def test_management_accepts_bodies(platform):
    apps = '/v2/{project_id}/instances/{instance_id}/apps'
    for n, name in enumerate(('plain', '集成应用')):
        r = platform.signed('POST', apps, {'name': f'{name} {n}', 'remark': 'signed ' * n})
        assert r.status == 201, r
    r = platform.signed('POST', apps, {'name': 'unsigned body'}, {'X-Sdk-Content-Sha256': 'UNSIGNED-PAYLOAD'})
    assert r.status in (201, 401), r


def requests(platform):
    c, host = platform.credentials, f'127.0.0.1:{platform.ports["MANAGEMENT_HTTP"]}'
    apps = f'/v2/{c["project_id"]}/instances/{c["instance_id"]}/apps'
    rows = [('GET', '/v3/projects', [], ''), ('GET', '/v3/projects', [['name', 'a b~*']], ''),
            ('GET', apps, [['limit', '5'], ['offset', '0'], ['name', '集成']], ''),
            ('POST', apps, [], '{"name":"signed by the vendor for %s"}')]
    return host, [(m, host, p, q, {'Host': host, 'X-Sdk-Date': signer.date(), **(
        {'Content-Type': 'application/json'} if b else {})}, b, c['access_key'], c['secret_key']) for m, p, q, b in rows]


def address(path, query):
    return path + ('?' + '&'.join(f'{quote(k)}={quote(v, safe="~")}' for k, v in query) if query else '')


def ask(platform, rows, signed):
    for (method, _, path, query, _, body, _, _), headers in zip(rows, signed):
        target = address(path, query)
        r = platform.raw(method, target, body.encode() or None, headers)
        assert r.status in (200, 201), (method, target, r)


def test_vendor_python_signer(platform, tmp_path):
    _, rows = requests(platform)
    rows = [(*r[:5], r[5].replace('%s', 'python'), *r[6:]) for r in rows]
    (tmp_path / 'rows').write_text(json.dumps(rows))
    out = vendor.run_python(PYTHON_SIGNER, str(tmp_path / 'rows'), packages=('huaweicloudsdkcore',))
    signed = json.loads(out)
    ask(platform, rows, signed)
    for (method, _, path, query, headers, body, ak, sk), theirs in zip(rows, signed):
        target = address(path, query)
        assert signature(signer.sign(method, target, body.encode(), headers, ak, sk)) == signature(theirs)


def test_vendor_node_signer(platform, tmp_path):
    _, rows = requests(platform)
    rows = [(*r[:5], r[5].replace('%s', 'node'), *r[6:]) for r in rows]
    (tmp_path / 'rows').write_text(json.dumps(rows))
    out = vendor.run_node(NODE_SIGNER, str(tmp_path / 'rows'), packages=['@huaweicloud/huaweicloud-sdk-core'])
    ask(platform, rows, json.loads(out))
