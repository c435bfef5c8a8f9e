# SPDX-License-Identifier: Apache-2.0
"""What an instance can do, and how much: sections 6.22.1 and 6.24.1 of the reference."""
import json

from lib import apic
from lib.apic import V2, ok, refused


def test_features(appiad):
    r = ok(appiad.call('GET', V2 + '/features', query={'limit': 100}))
    assert r['total'] == r['size'] == len(r['features']) == 30 == len({f['name'] for f in r['features']})
    by = {f['name']: f for f in r['features']}
    assert not by['green_tunnel']['enable'] and by['app_basic']['config'] == 'off'
    assert json.loads(by['backend_timeout']['config']) == {'max_timeout': 60000}
    for f in r['features']:
        assert len(f['id']) == 32 and f['instance_id'] == appiad.credentials['instance_id'] and f['update_time']
    pages = [ok(appiad.call('GET', V2 + '/features', query={'limit': 20, 'offset': o})) for o in (0, 20, 40)]
    assert sum((p['features'] for p in pages), []) == r['features']
    assert len(ok(appiad.call('GET', V2 + '/features'))['features']) == 20
    refused(appiad.call('GET', V2 + '/features', query={'limit': 501}), 400, 'APIG.2004')


def test_configs(appiad):
    apic.env(appiad)
    r = ok(appiad.call('GET', V2 + '/project/configs', query={'limit': 100}))
    by = {c['config_name']: c for c in r['configs']}
    assert r['total'] == r['size'] == len(by)
    assert by['APIGROUP_DOMAIN_NUM_LIMIT']['config_value'] == '5'
    assert by['API_VERSION_NUM_LIMIT']['config_value'] == '10'
    assert (by['ENVIRONMENT_NUM_LIMIT']['config_value'], by['ENVIRONMENT_NUM_LIMIT']['used']) == ('10', 2)
    assert by['APIGROUP_NUM_LIMIT']['used'] == 1
    part = ok(appiad.call('GET', V2 + '/project/configs', query={'limit': 2, 'offset': r['total'] - 1}))
    assert part['size'] == 1 and part['configs'][0] == r['configs'][-1]
