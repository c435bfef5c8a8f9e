# SPDX-License-Identifier: Apache-2.0
"""Faults behind the gateway: the worker is killed, a database dies or hangs, a script never ends. Calls end with an
error in time, what is not concerned goes on, and all is well again when the cause is gone."""
import concurrent.futures
import os
import signal
import socket
import time

import pytest

from lib import databases, livedata
from lib.appiad import wait_for


@pytest.fixture(scope='module')
def platform():
    from lib.platform import Platform
    p = Platform(env={'APPIA_WORKER_SCRIPT_CPU': '1s', 'APPIA_WORKER_CONNECTIONS': '4'})
    p.app, p.key, p.secret = livedata.app(p, 'faults')
    yield p
    p.stop()


@pytest.fixture(scope='module')
def server():
    """A PostgreSQL of this file's own, for it is killed."""
    db = databases.start_postgres()
    db.sql('CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 100) i')
    return db


@pytest.fixture(scope='module')
def rows(platform, server):
    """A published data API on the server."""
    api = livedata.backend(
    platform,
    platform.app,
    'SELECT v FROM t WHERE id = ${id}',
    livedata.source(
        platform,
        platform.app,
        server),
         ['id'])
    assert call(platform, api).status == 200
    return api


def call(p, api, query='?id=7'):
    return p.gateway('GET', api.path + query, host=api.host)


def is_error(r, statuses):
    return r.status in statuses and r.json['error_code'] and r.json['request_id']


def test_worker_killed_under_load(platform, rows):
    """Under concurrent calls: only whole answers and documented errors, and no lasting damage."""
    kills, answers = 3, []
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ending = []

        def client():
            mine = []
            while not ending:
                mine.append(call(platform, rows))
            return mine
        clients = [pool.submit(client) for _ in range(4)]
        for _ in range(kills):
            pid = platform.children().get('appia-worker')
            if pid:
                os.kill(pid, signal.SIGKILL)
            wait_for(lambda: platform.children().get('appia-worker', pid) != pid, 20, 'the next worker')
            wait_for(lambda: call(platform, rows).status == 200, 20, 'a call that works')
        ending.append(1)
        for c in clients:
            answers += c.result(60)
    assert all(r.status == 200 and b'"v"' in r.body or is_error(r, (500, 502, 503, 504)) for r in answers)
    assert sum(r.status == 200 for r in answers) > kills


def test_database_killed(platform, server, rows):
    server.kill()
    began = time.monotonic()
    r = call(platform, rows)
    assert is_error(r, (500, 502, 503, 504)) and time.monotonic() - began < 12, r
    assert server.password not in r.body.decode() and server.password not in platform.logs()
    server.start()
    wait_for(lambda: call(platform, rows).status == 200, 30, 'the call after the database is back')


def test_database_that_hangs(platform, rows):
    """It accepts and says nothing: its callers get a time-out, the others do not wait for them."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        s.listen(64)

        class Hung:
            type = 'MYSQL'
            content = {'mode': 'default', 'host': '127.0.0.1', 'port': str(s.getsockname()[1]), 'database_name': 'x',
                       'user_name': 'x', 'password': 'Sun-flower.1'}
        api = livedata.backend(platform, platform.app, 'SELECT 1', livedata.source(platform, platform.app, Hung),
                               front={'backend_timeout': 1500})
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            began = time.monotonic()
            hung = [pool.submit(call, platform, api, '') for _ in range(16)]
            for _ in range(20):
                assert call(platform, rows).status == 200
            assert time.monotonic() - began < 5, 'others wait for the hung data source'
            for f in hung:
                assert is_error(f.result(30), (503, 504)), f.result()
        assert time.monotonic() - began < 15


@pytest.mark.parametrize('script, word', [
    ('function execute(data) { while (true) {} }', 'endless loop'),
    ('function execute(data) { var a = []; while (true) a.push(new Array(100000).join("x") + a.length); }', 'endless memory'),
    ('function execute(data) { return execute(data); }', 'endless recursion'),
    ('function execute(data) { throw new Error("no"); }', 'exception')])
def test_script_without_end(platform, rows, script, word):
    api = livedata.backend(platform, platform.app, script)
    worker = platform.children()['appia-worker']
    began = time.monotonic()
    r = call(platform, api, '')
    assert is_error(r, (500, 502, 504)) and time.monotonic() - began < 15, (word, r)
    wait_for(lambda: call(platform, rows).status == 200, 20, 'other calls')
    assert platform.children()['appia-worker'] == worker, f'{word} ended the worker'


def test_gateway_worker_killed(platform, rows):
    """The master of nginx starts another one; the published state is not locked by the dead reader."""
    master = platform.children()['nginx']
    with open(f'/proc/{master}/task/{master}/children', encoding='ascii') as f:
        workers = [int(w) for w in f.read().split()]
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: answers(platform, rows), 20, 'a call after the gateway processes were killed')
    assert platform.children()['nginx'] == master
    again = livedata.backend(platform, platform.app, 'function execute(data) { return "after"; }')
    assert call(platform, again, '').status == 200


def answers(platform, api):
    try:
        return call(platform, api).status == 200
    except OSError:
        return False
