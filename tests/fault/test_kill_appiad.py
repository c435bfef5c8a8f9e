# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the control plane while many clients write: what was acknowledged is there, what is there is whole, and
the gateway obeys exactly what the system of record says."""
import http.client
import os
import random
import signal
import threading

import pytest

from lib.apic import RELEASE, V2, ok
from lib.appiad import exchange, wait_for

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
CLIENTS = 4


class Writer(threading.Thread):
    """Creates applications, groups and published mock APIs, and remembers what was acknowledged."""

    def __init__(self, platform, number, stop):
        super().__init__(daemon=True)
        self.p, self.number, self.ending, self.token = platform, number, stop, platform.login()
        self.apps, self.groups, self.apis, self.published, self.deleted = {}, {}, {}, {}, {}
        self.tried, self.statuses, self.error, self.acknowledged = set(), {}, None, 0

    def call(self, method, path, body=None):
        """The reply, or None when the connection broke: then nobody knows what happened."""
        c = self.p.credentials
        path = path.replace('{project_id}', c['project_id']).replace('{instance_id}', c['instance_id'])
        connection = self.p.connection()
        try:
            r = exchange(connection, method, path, body, {'X-Auth-Token': self.token})
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        self.statuses[r.status] = self.statuses.get(r.status, 0) + 1
        if r.status < 300:
            self.acknowledged += 1
            return r
        assert r.status in (502, 503, 504), r
        return None

    def make(self, path, body, into):
        self.tried.add(body['name'])
        r = self.call('POST', path, body)
        if r:
            into[r.json['id']] = body['name']
        return r and r.json['id']

    def round(self, n):
        label = f'{self.number}_{n}'
        app = self.make(APPS, {'name': f'app_{label}'}, self.apps)
        group = app and self.make(V2 + '/api-groups',
    {'name': f'group_{label}',
    'version': 'V2',
    'roma_app_id': app},
     self.groups)
        if not group:
            return
        api = self.make(V2 + '/apis', {
            'name': f'Api_{label}', 'type': 1, 'req_protocol': 'BOTH', 'req_method': 'GET', 'req_uri': f'/kill/{label}',
            'match_mode': 'NORMAL', 'auth_type': 'NONE', 'backend_type': 'MOCK', 'group_id': group, 'roma_app_id': app,
            'mock_info': {'result_content': label}}, self.apis)
        if api and self.call('POST', V2 + '/apis/action', {'action': 'online', 'api_id': api, 'env_id': RELEASE}):
            self.published[api] = (group, f'/kill/{label}', label)
        spare = self.make(APPS, {'name': f'spare_{label}'}, {})
        if spare and self.call('DELETE', f'{APPS}/{spare}'):
            self.deleted[spare] = True

    def run(self):
        n = 0
        try:
            while not self.ending.is_set():
                self.round(n)
                n += 1
        except Exception as e:  # pylint: disable=broad-except
            self.error = e
            self.ending.set()


def listed(platform, path, key):
    rows, offset = [], 0
    while True:
        page = ok(platform.call('GET', path, query={'limit': 500, 'offset': offset}))
        rows += page[key]
        offset += len(page[key])
        if not page[key] or offset >= page['total']:
            return rows


def run(platform, kills):
    ending = threading.Event()
    writers = [Writer(platform, n, ending) for n in range(CLIENTS)]
    for w in writers:
        w.start()
    for _ in range(kills):
        # A kill in the middle of the work, not at the same place each time.
        goal = sum(w.acknowledged for w in writers) + random.randint(3, 25)
        wait_for(
    lambda: ending.is_set() or sum(
        w.acknowledged for w in writers) >= goal,
        60,
         'writes between two kills')
        pid = platform.children().get('appiad')
        if pid:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: platform.children().get('appiad', pid) != pid, 30, 'the next appiad')
    ending.set()
    for w in writers:
        w.join(60)
        assert not w.is_alive() and w.error is None, w.error
    return writers


def check(platform, writers):
    wait_for(lambda: platform.raw('GET', '/').status < 400, 30, 'the control plane')
    tried = set().union(*(w.tried for w in writers))
    apps = {a['id']: a for a in listed(platform, APPS, 'apps')}
    groups = {g['id']: g for g in listed(platform, V2 + '/api-groups', 'groups')}
    apis = {a['id']: a for a in listed(platform, V2 + '/apis', 'apis')}
    for w in writers:
        for have, acknowledged in ((apps, w.apps), (groups, w.groups), (apis, w.apis)):
            lost = [n for i, n in acknowledged.items() if i not in have or have[i]['name'] != n]
            assert not lost, f'acknowledged, and lost: {lost}'
        assert not [i for i in w.deleted if i in apps], 'deleted, and back'
    # Nothing half made: whatever is listed is something that was asked for, and can be read in full.
    for path, rows in ((APPS, apps), (V2 + '/api-groups', groups), (V2 + '/apis', apis)):
        for i, row in rows.items():
            if row['name'] not in tried:
                continue
            assert ok(platform.call('GET', f'{path}/{i}'))['name'] == row['name']
    for i, row in apps.items():
        if row['name'] in tried:
            assert ok(platform.call('GET', f'{APPS}/{i}/secret'))['secret']
    assert platform.cli('published', 'verify').stdout.strip() == '0 differences'
    for w in writers:
        for group, path, content in w.published.values():
            r = platform.gateway('GET', path, host=groups[group]['sl_domain'])
            assert r.status == 200 and r.body.decode() == content, (path, r)
    for i, row in apis.items():
        if row['name'] in tried and not row.get('publish_id'):
            r = platform.gateway('GET', row['req_uri'], host=groups[row['group_id']]['sl_domain'])
            assert r.status == 404, 'not published, and served'


def scenario(platform, kills):
    writers = run(platform, kills)
    check(platform, writers)
    acknowledged = sum(w.acknowledged for w in writers)
    assert acknowledged > kills * 3
    print(f'{kills} kills, {acknowledged} acknowledged writes')


def test_killed_seven_times(make_platform):
    scenario(make_platform(), 7)


@pytest.mark.soak
def test_killed_sixty_times(make_platform):
    scenario(make_platform(), 60)
