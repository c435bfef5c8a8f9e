# SPDX-License-Identifier: Apache-2.0
"""An object that cannot be published: the others are, operators are told, and it comes back when it is repaired."""
import os
import signal
import sqlite3
import uuid

import pytest

from lib.apic import RELEASE, V2, app, group, ok
from lib.appiad import wait_for
from lib.databases import postgres


class Sqlite:
    env = {}

    def sql(self, platform, text):
        db = sqlite3.connect(os.path.join(platform.home, 'appia.db'), timeout=10)
        with db:
            db.execute(text)
        db.close()


class Postgresql:
    def __init__(self):
        c, self.name = postgres().content, 't' + uuid.uuid4().hex
        postgres().sql(f'CREATE DATABASE {self.name}')
        self.env = {'APPIA_STORE_URL': f'postgresql://{c["user_name"]}:{c["password"]}@{c["host"]}:{c["port"]}/{self.name}'}

    def sql(self, platform, text):
        postgres().sql(text, self.name)


@pytest.fixture(params=[Sqlite, Postgresql], ids=['sqlite', 'postgresql'])
def store(request):
    return request.param()


class Api:
    """A published mock API that answers with its text."""

    def __init__(self, platform, text):
        self.p, self.path = platform, f'/{uuid.uuid4().hex}'
        owner = app(platform, text)
        g = group(platform, f'group_{text}', version='V2', roma_app_id=owner)
        self.host = ok(platform.call('GET', f'{V2}/api-groups/{g}'))['sl_domain']
        self.fields = {'name': f'Api_{text}', 'type': 1, 'req_protocol': 'BOTH', 'req_method': 'GET', 'req_uri': self.path,
                       'match_mode': 'NORMAL', 'auth_type': 'NONE', 'backend_type': 'MOCK', 'group_id': g,
                       'roma_app_id': owner}
        self.id = ok(platform.call('POST', V2 + '/apis', {**self.fields, 'mock_info': {'result_content': text}}), 201)['id']
        self.online()

    def action(self, action, status=201):
        ok(self.p.call('POST', V2 + '/apis/action', {'action': action, 'api_id': self.id, 'env_id': RELEASE}), status)

    def online(self):
        self.action('online')

    def answer(self):
        r = self.p.gateway('GET', self.path, host=self.host)
        return r.body.decode() if r.status == 200 else r.status


def metric(platform):
    text = platform.raw('GET', '/gateway/metrics').body.decode()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith('appia_published_set_aside '))


def damage(platform, store, api):
    """As a broken disk might, and the publisher comes across it."""
    store.sql(platform, f"UPDATE api_version SET doc = 'broken' || doc WHERE api_id = '{api.id}'")
    store.sql(platform, f"INSERT INTO outbox (seq, kind, key) SELECT MAX(seq) + 1, 'api', '{RELEASE}/{api.id}' FROM outbox")
    last = '(SELECT MAX(seq) FROM outbox)'
    store.sql(platform, f"SELECT setval('outbox_last', {last})" if store.env else f'UPDATE outbox_last SET seq = {last}')
    wait_for(lambda: metric(platform) == 1, 10, 'the object is set aside')


def test_one_object_cannot_be_published(make_platform, store):
    p = make_platform(env=store.env)
    one, two = Api(p, 'one'), Api(p, 'two')
    assert (one.answer(), two.answer(), metric(p)) == ('one', 'two', 0)
    damage(p, store, one)

    # Everything else goes on; what was published stays.
    three = Api(p, 'three')
    assert (one.answer(), two.answer(), three.answer()) == ('one', 'two', 'three')
    # Loudly.
    assert f'api {RELEASE}/{one.id} is set aside' in p.logs()
    assert '1 objects could not be published' in p.cli('status').stdout
    said = p.cli('published', 'verify', check=False)
    assert said.returncode == 1 and f'api {RELEASE}/{one.id} is set aside since' in said.stdout and '1 set aside' in said.stdout

    # A kill, and a start that tries it again, change nothing.
    pid = p.children()['appiad']
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: p.children().get('appiad', pid) != pid and p.raw('GET', '/').status < 400, 30, 'the next appiad')
    assert metric(p) == 1 and three.answer() == 'three'

    # A rebuild does without the object that it cannot read, and says so.
    said = p.cli('published', 'rebuild', check=False)
    assert said.returncode == 1 and 'is set aside' in said.stdout
    assert (one.answer(), two.answer(), three.answer()) == (404, 'two', 'three') and metric(p) == 1

    # Repaired, a rebuild has it again.
    store.sql(p, f"UPDATE api_version SET doc = REPLACE(doc, 'broken', '') WHERE api_id = '{one.id}'")
    p.cli('published', 'rebuild')
    assert (one.answer(), metric(p)) == ('one', 0)
    assert p.cli('published', 'verify').stdout.strip() == '0 differences'
    assert 'could not be published' not in p.cli('status').stdout


def test_a_later_change_repairs(make_platform, store):
    p = make_platform(env=store.env)
    one = Api(p, 'one')
    damage(p, store, one)
    body = {**one.fields, 'mock_info': {'result_content': 'next'}}
    ok(p.call('PUT', f'{V2}/apis/{one.id}', body))
    one.online()
    assert one.answer() == 'next' and metric(p) == 0
    assert p.cli('published', 'verify').stdout.strip() == '0 differences'
