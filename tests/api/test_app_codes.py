# SPDX-License-Identifier: Apache-2.0
"""Applications as callers, and their AppCodes: sections 6.16.1 to 6.16.7 of the reference."""
import os

import pytest

from lib import apic
from lib.apic import V2, ok, refused

APPS = V2 + '/apps'
CODE = ('GjOD3g80AABuuFeEJpVQADBlAjBh3UzC7W+gr4VJBB5BtJ4fdVOQoSvoji3gFxUDb5pWBz9wUcw9+8/bFZ1B/4pq29wCMQC0pQWX6zTndl'
        'jDEl99As1pw+WntAU9xcq+ffagoH6zDpKUvdxV6Ezj8LcCcPZN6BU=')
NOBODY = '9ed8b7fe84224de681e7d7a5587e76dc'


def test_apps(appiad):
    app = apic.app(appiad, 'app_demo', remark='app example', key='key-of-app-demo', secret='416' + 'x' * 34 + 'ab8')
    shown = ok(appiad.call('GET', f'{APPS}/{app}'))
    assert shown['app_secret'] == '416*****ab8' and shown['app_key'] == 'key-of-app-demo'
    assert (shown['creator'], shown['status'], shown['app_type'], shown['roma_app_type']) == (
        'USER', 1, 'roma', 'integration')
    refused(appiad.call('GET', f'{APPS}/{NOBODY}'), 404, 'APIG.3002', f'App {NOBODY} does not exist')
    other = apic.app(appiad, 'app_demo_2')

    def listed(**query):
        return [a['id'] for a in ok(appiad.call('GET', APPS, query=query))['apps']]
    assert sorted(listed(name='APP_DEMO')) == sorted([app, other])
    assert listed(name='app_demo', precise_search='name') == [app]
    assert listed(app_key='key-of-app-demo') == [app] == listed(id=app)
    assert listed(status=2) == [] and len(listed(status=1)) == 2 == len(listed()) and len(listed(limit=1)) == 1
    refused(appiad.call('GET', APPS, query={'status': 'x'}), 400, 'APIG.2012')
    one = ok(appiad.call('GET', APPS, query={'id': app}))['apps'][0]
    assert one == {**shown, 'bind_num': 0}
    g = apic.group(appiad)
    apis = [apic.api(appiad, g, app) for _ in range(2)]
    for e in (apic.RELEASE, apic.env(appiad)):
        ok(appiad.call('POST', V2 + '/app-auths', {'env_id': e, 'app_ids': [app], 'api_ids': apis}), 201)
    assert ok(appiad.call('GET', APPS, query={'id': app}))['apps'][0]['bind_num'] == 2
    uid, token = apic.user(appiad, 'app-reader')
    assert ok(appiad.call('GET', APPS, token=token))['total'] == 0
    refused(appiad.call('GET', f'{APPS}/{app}', token=token), 403, 'APIG.1104')
    apic.member(appiad, app, uid, 'read')
    assert ok(appiad.call('GET', APPS, token=token))['total'] == 1
    ok(appiad.call('GET', f'{APPS}/{app}', token=token))


def test_documented_example(appiad):
    app = apic.app(appiad)
    path = f'{APPS}/{app}/app-codes'
    c = ok(appiad.call('POST', path, {'app_code': CODE}), 201)
    assert c['app_code'] == CODE and c['app_id'] == app and len(c['id']) == 32 and c['create_time']
    assert ok(appiad.call('GET', f'{path}/{c["id"]}')) == c
    drawn = ok(appiad.call('PUT', path), 201)
    assert len(drawn['app_code']) == 64 and drawn['app_code'].isalnum() and drawn['app_code'][0].isalpha()
    found = ok(appiad.call('GET', path))
    assert found['total'] == found['size'] == 2 and c in found['app_codes'] and drawn in found['app_codes']
    assert appiad.call('DELETE', f'{path}/{c["id"]}').status == 204
    refused(appiad.call('DELETE', f'{path}/{c["id"]}'), 404, 'APIG.3082')
    refused(appiad.call('GET', f'{path}/{c["id"]}'), 404, 'APIG.3082')
    other = apic.app(appiad)
    refused(appiad.call('GET', f'{APPS}/{other}/app-codes/{drawn["id"]}'), 404, 'APIG.3082')
    ok(appiad.call('POST', f'{APPS}/{other}/app-codes', {'app_code': CODE}), 201)  # free again
    for method, rest in (('POST', ''), ('PUT', ''), ('GET', ''), ('GET', '/x'), ('DELETE', '/x')):
        r = appiad.call(method, f'{APPS}/{NOBODY}/app-codes{rest}', {'app_code': CODE} if method == 'POST' else None)
        refused(r, 404, 'APIG.3004', f'App {NOBODY} does not exist')


@pytest.mark.parametrize('code, expected', [
    (None, 'APIG.2001'), ('x' * 63, 'APIG.2005'), ('x' * 181, 'APIG.2006'), ('1' + 'x' * 63, 'APIG.2011'),
    ('=' + 'x' * 63, 'APIG.2011'), ('x' * 63 + '-', 'APIG.2011'), ('x' * 63 + ' ', 'APIG.2011'),
    ('x' * 63 + 'é', 'APIG.2011'), (7, 'APIG.2012')])
def test_constraints(appiad, code, expected):
    app = apic.app(appiad)
    r = appiad.call('POST', f'{APPS}/{app}/app-codes', {'app_code': code})
    refused(r, 400, expected)
    assert not isinstance(code, str) or code not in r.json['error_msg']


def test_unique_and_limit(appiad):
    one, two = apic.app(appiad), apic.app(appiad)
    code = '+!@#$%+/=' + 'A' * 60
    ok(appiad.call('POST', f'{APPS}/{one}/app-codes', {'app_code': code}), 201)
    for app in (one, two):
        refused(appiad.call('POST', f'{APPS}/{app}/app-codes', {'app_code': code}), 400, 'APIG.3311')
    for _ in range(4):
        ok(appiad.call('PUT', f'{APPS}/{one}/app-codes'), 201)
    refused(appiad.call('PUT', f'{APPS}/{one}/app-codes'), 403, 'APIG.3131')
    assert ok(appiad.call('GET', f'{APPS}/{one}/app-codes', query={'limit': 2, 'offset': 4}))['size'] == 1


def test_roles(appiad):
    app = apic.app(appiad)
    path = f'{APPS}/{app}/app-codes'
    code = ok(appiad.call('PUT', path), 201)['id']
    uid, token = apic.user(appiad, 'code-user')
    apic.member(appiad, app, uid, 'read', 'access', 'delete', 'modify')
    for method, rest in (('PUT', ''), ('GET', ''), ('GET', '/' + code), ('DELETE', '/' + code)):
        refused(appiad.call(method, path + rest, token=token), 403, 'APIG.1104')
    apic.member(appiad, app, uid, 'admin')
    ok(appiad.call('GET', f'{path}/{code}', token=token))
    assert appiad.call('DELETE', f'{path}/{code}', token=token).status == 204


def test_app_goes_with_its_codes(appiad):
    app, other = apic.app(appiad), apic.app(appiad)
    ok(appiad.call('POST', f'{APPS}/{app}/app-codes', {'app_code': 'G' * 64}), 201)
    g = apic.group(appiad, version='V2', roma_app_id=other)
    body = {'env_id': apic.RELEASE, 'app_ids': [app], 'api_ids': [apic.api(appiad, g, other)]}
    auth = ok(appiad.call('POST', V2 + '/app-auths', body), 201)['auths'][0]['id']
    refused(appiad.call('DELETE', f'{apic.PUBLIC}/apps/{app}'), 400, 'ROMA.14014')
    assert ok(appiad.call('GET', f'{APPS}/{app}/app-codes'))['total'] == 1
    assert appiad.call('DELETE', f'{V2}/app-auths/{auth}').status == 204
    assert appiad.call('DELETE', f'{apic.PUBLIC}/apps/{app}').status == 200
    ok(appiad.call('POST', f'{APPS}/{other}/app-codes', {'app_code': 'G' * 64}), 201)


def test_codes_are_sealed(appiad):
    app = apic.app(appiad)
    code = 'Sealed' + 'Q' * 60
    ok(appiad.call('POST', f'{APPS}/{app}/app-codes', {'app_code': code}), 201)
    for folder, _, names in os.walk(appiad.home):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, 'rb') as f:
                    assert code.encode() not in f.read(), path
