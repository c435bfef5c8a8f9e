# SPDX-License-Identifier: Apache-2.0
"""Every implemented operation against its own description: each constraint of it is broken once, and so are the
credentials, the project, the instance and the JSON. What must come back: the documented status, the error body of the
operation's domain, an X-Request-Id, and a platform in which nothing changed.

The cases are made from api_operations.json of the build, so a new operation is tested as soon as it is described.
"""
import copy
import json
import os
import re
import uuid
from urllib.parse import quote

import pytest

from lib import signer
from lib.appiad import BUILD

with open(os.path.join(BUILD, 'src/api/api_operations.json'), encoding='utf-8') as source:
    DESCRIPTION = json.load(source)
OPERATIONS = [o for o in DESCRIPTION['operations'] if not o['todo']]
NOBODY = 'c77f5e81d9cb4424bf704ef2b0ac7600'

# Members of the error bodies.
PLAIN = {'error_code', 'error_msg', 'request_id'}
SHAPES = {
    'PLAIN': PLAIN,
    'LINK': PLAIN,
    'PUBLIC': PLAIN | {'error_details'},
    'FDI': PLAIN | {'detail'},
    'IAM': {'error'},
    'SHARE': {
        'errCode',
        'errMsg',
         'request_id'}}
CODES = {'apic': r'(APIG|APPIA)\.\d{4}', 'public': r'(ROMA|APPIA)\.\d+', 'fdi': r'(FDI|APPIA)\.\d{4}'}

# What shows a change, whoever made it.
LISTS = [
    '/v2/{project_id}/instances/{instance_id}/apps?limit=1000',
    '/v2/{project_id}/instances',
    '/v3/users',
    '/v3/projects',
    '/v3.0/OS-CREDENTIAL/credentials',
    '/v2/{project_id}/apic/instances/{instance_id}/api-groups?limit=500',
    '/v2/{project_id}/apic/instances/{instance_id}/apis?limit=500',
    '/v2/{project_id}/apic/instances/{instance_id}/envs?limit=500',
    '/v2/{project_id}/fdi/instances/{instance_id}/datasources?limit=100',
     '/v2/{project_id}/apic/instances/{instance_id}/livedata-apis?limit=500']


def name_of(o):
    return f'{o["domain"]}-{o["id"]}' + ('-twin' if o['twin'] else '')


def resolve(schema, domain):
    while schema and '$ref' in schema:
        schema = DESCRIPTION['schemas'][domain][schema['$ref'].rsplit('/', 1)[1]]
    return schema or {}


def sample(schema, domain, depth=0):
    """A value that keeps the constraints, made of the schema where the description has no example."""
    schema = resolve(schema, domain)
    kind = schema.get('type')
    if 'example' in schema or 'default' in schema:
        return schema.get('example', schema.get('default'))
    if schema.get('enum'):
        return schema['enum'][0]
    if kind == 'object':
        return {k: sample(s, domain, depth + 1) for k, s in (schema.get('properties') or {}).items()
                if k in schema.get('required', [])}
    if kind == 'array':
        return [sample(schema.get('items'), domain, depth + 1)] if schema.get('minItems') else []
    if kind in ('integer', 'number'):
        return schema.get('minimum', 1)
    return True if kind == 'boolean' else 'Sample_1' + 'a' * max(0, schema.get('minLength', 0) - 8)


def body_of(o):
    if not o['request']['schema']:
        return None
    examples = o['request']['examples']
    return copy.deepcopy(examples[0]) if examples else sample(o['request']['schema'], o['domain'])


def wrong_values(schema, domain):
    """(what is wrong, value) for each constraint of a schema."""
    schema = resolve(schema, domain)
    kind, choices = schema.get('type'), schema.get('enum')
    kind = kind[0] if isinstance(kind, list) else kind
    wrong = {
    'string': {
        'a': 1},
        'integer': 'abc',
        'number': 'abc',
        'boolean': 'perhaps',
        'array': {
            'a': 1},
             'object': 'text'}
    if kind in wrong and (kind != 'object' or schema.get('properties')):  # a free object is any JSON
        yield 'type', wrong[kind]
    if kind == 'integer' and not choices:
        yield 'fraction', 1.5
        yield 'huge', 10 ** 30
    if choices and kind == 'string' and 'NoSuchValue' not in choices:
        yield 'enum', 'NoSuchValue'
    if choices and kind == 'integer':
        yield 'enum', 987654
    if not choices and schema.get('maxLength', 1 << 30) < 1 << 20:
        yield 'long', 'a' * (schema['maxLength'] + 1)
    if not choices and schema.get('minLength', 0) > 1:
        yield 'short', 'a' * (schema['minLength'] - 1)
    if 'maximum' in schema:
        yield 'maximum', schema['maximum'] + 1
    if 'minimum' in schema:
        yield 'minimum', schema['minimum'] - 1
    if 'maxItems' in schema:
        yield 'many', [sample(schema.get('items'), domain)] * (schema['maxItems'] + 1)
    if schema.get('minItems'):
        yield 'few', []


def broken_bodies(schema, value, domain, path=()):
    """(path, what is wrong, whole body) with one member wrong at a time, as deep as the body goes."""
    schema = resolve(schema, domain)
    if isinstance(value, list):
        if value:
            for p, what, inner in broken_bodies(schema.get('items'), value[0], domain, path + (0,)):
                yield p, what, [inner] + value[1:]
        return
    if not isinstance(value, dict):
        return
    for k, s in (schema.get('properties') or {}).items():
        if k in schema.get('required', []):
            yield path + (k,), 'missing', {n: v for n, v in value.items() if n != k}
        for what, bad in wrong_values(s, domain):
            yield path + (k,), what, {**value, k: bad}
        if k in value:
            for p, what, inner in broken_bodies(s, value[k], domain, path + (k,)):
                yield p, what, {**value, k: inner}


def target(o, credentials, query=None, **ids):
    ids = {'project_id': credentials['project_id'], 'instance_id': credentials['instance_id'], **ids}
    path = re.sub(r'\{(\w+)\}', lambda m: quote(ids.get(m.group(1), NOBODY), safe=''), o['path'])
    asked = {p['name']: quote(str(sample(p['schema'], o['domain'])))
                              for p in o['params'] if p['in'] == 'query' and p['required']}
    asked.update({k: quote(str(v)) for k, v in (query or {}).items()})
    return path + ('?' + '&'.join(f'{k}={v}' for k, v in asked.items()) if asked else '')


def headers_of(o):
    return {p['name']: sample(p['schema'], o['domain']) for p in o['params'] if p['in'] == 'header' and p['required']}


def check_error(o, r, statuses, label):
    where = f'{name_of(o)}: {label}: {r.status} {r.body[:300]}'
    assert r.status in statuses, where
    assert re.fullmatch(r'[0-9a-f]{32}', r.headers.get('x-request-id', '')), where
    assert r.headers['content-type'].startswith('application/json'), where
    domain = 'apic' if o['domain'] in ('apig', 'apic_v1') else o['domain']
    body = r.json
    assert set(body) == SHAPES[o['shape']], where
    if o['shape'] == 'IAM':
        e = body['error']
        assert e['code'] == r.status and e['message'] and e['title'] and e['error_code'], where
        return
    assert re.fullmatch(CODES.get(domain, r'\w+\.\d+'), body['error_code']) and body['error_msg'], where
    assert body['request_id'] == r.headers['x-request-id'], where


def snapshot(appiad):
    out = {}
    for path in LISTS:
        r = appiad.call('GET', path)
        assert r.status in (200, 501), (path, r)
        out[path] = r.json if r.status == 200 else None
    for user in out['/v3/users']['users']:
        user.pop('last_login_time', None)
    return out


@pytest.fixture(scope='module')
def state(appiad):
    """What the tests so far found: each compares, so one look between two tests is enough."""
    return snapshot(appiad)


@pytest.fixture(autouse=True)
def nothing_changes(appiad, state):
    yield
    assert snapshot(appiad) == state


def operations(which=lambda o: True):
    return pytest.mark.parametrize('o', [o for o in OPERATIONS if which(o)], ids=name_of)


def has_body(o):
    return bool(o['request']['schema'])


@operations(lambda o: has_body(o) and list(broken_bodies(o['request']['schema'], body_of(o), o['domain'])))
def test_body_constraints(appiad, o):
    path = target(o, appiad.credentials)
    for where, what, body in broken_bodies(o['request']['schema'], body_of(o), o['domain']):
        label = f'{".".join(map(str, where))} {what}'
        r = appiad.call(o['method'], path, body, headers=headers_of(o))
        check_error(o, r, (400,), label)
        if what == 'huge':
            continue  # the parser refuses it before a name is known
        last = [w for w in where if isinstance(w, str)][-1]
        assert last in r.json.get('error_msg', '') + str(r.json.get('error', '')), f'{label} is named in {r}'


@operations(lambda o: any(p['in'] == 'query' for p in o['params']))
def test_query_constraints(appiad, o):
    for p in [p for p in o['params'] if p['in'] == 'query']:
        for what, value in wrong_values(p['schema'], o['domain']):
            if isinstance(value, (dict, list)):
                continue
            r = appiad.call(o['method'], target(o, appiad.credentials, {p['name']: value}), body_of(o))
            check_error(o, r, (400,), f'query {p["name"]} {what}')
        if p['required']:
            bare = target(o, appiad.credentials).split('?')[0]
            check_error(o, appiad.call(o['method'], bare, body_of(o)), (400,), f'query {p["name"]} missing')


BAD_JSON = {
    'text': b'hello',
    'half': b'{"name":',
    'list': b'[]',
    'string': b'"x"',
    'trailing': b'{} {}',
    'comma': b'{"a":1,}',
    'duplicate': b'{"zzz":1,"zzz":2}',
    'utf-8': b'{"name":"\xff\xfe"}',
    'surrogate': b'{"name":"\\ud800"}',
    'deep': b'{"a":' * 2000 + b'1' + b'}' * 2000,
    'nan': b'{"a":NaN}',
     'control': b'{"name":"a\x01b"}'}


@operations(lambda o: has_body(o) and resolve(o['request']['schema'], o['domain']).get('type') == 'object')
def test_bad_json(appiad, o):
    path = target(o, appiad.credentials)
    for what, text in BAD_JSON.items():
        r = appiad.call(o['method'], path, text, headers={'Content-Type': 'application/json', **headers_of(o)})
        check_error(o, r, (400,), what)


def test_operations_without_credentials():
    assert {
    o['id'] for o in OPERATIONS if o['public']} == {
        'ListServiceApiVersions',
        'ShowServiceApiVersion',
        'KeystoneShowVersion',
        'CreateToken',
        'CreateTokenWithIdToken',
         'CreateTemporaryAccessKey'}


@operations(lambda o: not o['public'])
def test_credentials(appiad, o):
    path, body = target(o, appiad.credentials), body_of(o)
    token = appiad.token
    other = 'A' if token[40] != 'A' else 'B'
    c = appiad.credentials
    data = b'' if body is None else json.dumps(body).encode()
    sign = {'Host': '127.0.0.1', 'Content-Type': 'application/json'}
    forged = {'none': {}, 'empty': {'X-Auth-Token': ''}, 'text': {'X-Auth-Token': 'x' * 200},
              'altered': {'X-Auth-Token': token[:40] + other + token[41:]}, 'cut': {'X-Auth-Token': token[:-3]},
              'expired': signer.sign(o['method'], path, data, sign, c['access_key'], c['secret_key'], at=1600000000),
              'wrong secret': signer.sign(o['method'], path, data, sign, c['access_key'], 'x'),
              'unknown key': signer.sign(o['method'], path, data, sign, 'NOSUCHKEY', c['secret_key']),
              'not a signature': {'Authorization': 'SDK-HMAC-SHA256 Access=, SignedHeaders=, Signature='},
              'other scheme': {'Authorization': 'Basic YTpi'}}
    for what, headers in forged.items():
        r = appiad.raw(o['method'], path, data or None, {'Content-Type': 'application/json', **headers})
        check_error(o, r, (401,), what)


def has_form(o):
    """Uploads: their own scenarios send the form."""
    return any(p['in'] == 'form' for p in o['params'])


@operations(lambda o: '{project_id}' in o['path'] and o['domain'] != 'iam' and not has_form(o))
def test_foreign_project(appiad, o):
    for foreign in (NOBODY, 'x', "' OR 1=1 --", '../..', 'a' * 3000):
        r = appiad.call(o['method'], target(o, appiad.credentials, project_id=foreign), body_of(o))
        check_error(o, r, (403, 404) if len(foreign) <= 64 else (400, 403, 404), f'project {foreign[:20]}')


@operations(lambda o: '{instance_id}' in o['path'] and not has_form(o))
def test_unknown_instance(appiad, o):
    for unknown in (NOBODY, str(uuid.uuid4()), 'x'):
        r = appiad.call(o['method'], target(o, appiad.credentials, instance_id=unknown), body_of(o))
        check_error(o, r, (404,), f'instance {unknown}')


# Only Kafka knows which consumer groups there are: tests/api/test_mqs_groups.py.
@operations(lambda o: o['id'] != 'ShowMqsInstanceGroup' and o['method'] in ('GET', 'DELETE') and re.search(
    r'\{(?!project_id|instance_id)\w+\}', o['path']))
def test_unknown_resource(appiad, o):
    for unknown in (NOBODY, str(uuid.uuid4()), "' OR 1=1 --", 'ü' * 40):
        ids = {n: unknown for n in re.findall(r'\{(\w+)\}', o['path']) if n not in ('project_id', 'instance_id')}
        r = appiad.call(o['method'], target(o, appiad.credentials, **ids))
        check_error(o, r, (400, 403, 404), f'id {unknown}')


def test_other_methods(appiad):
    """A path that exists answers 405 with Allow to other methods, one that does not 404."""
    methods = {}
    for o in DESCRIPTION['operations']:
        methods.setdefault(re.sub(r'\{\w+\}', '{}', o['path']), set()).add(o['method'])
    for o in OPERATIONS:
        known = methods[re.sub(r'\{\w+\}', '{}', o['path'])]
        for method in ('PATCH', 'PROPFIND'):
            if method in known:
                continue
            r = appiad.call(method, target(o, appiad.credentials))
            assert r.status == 405, (method, o['path'], r)
            assert {m.strip() for m in r.headers['allow'].split(',')} >= {o['method']}, r.headers
    for path in ('/v9', '/v9/x', '/v2/{project_id}/apic/instances/{instance_id}/nothing', '/v3/auth/tokens/x/y'):
        assert appiad.call('GET', path).status == 404, path
