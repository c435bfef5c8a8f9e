# SPDX-License-Identifier: Apache-2.0
"""Data sources through the internal calls of the worker, against real servers."""
import json
import threading
import time

import pytest

from lib import databases

UNREACHABLE = 'APPIA.0503'


def source(db, **changes):
    return {'type': db.type, 'content': {**db.content, **changes}}


def run(worker, db, sql, *params, **more):
    status, reply = worker.internal('datasource/sql', datasource=source(db), sql=sql, params=list(params), **more)
    assert status == 200, reply
    return reply


def test_ping(worker, db):
    status, reply = worker.internal('datasource/ping', datasource=source(db))
    assert status == 200 and reply['used_ms'] >= 0


def test_ping_by_url(worker, db):
    kind = {'POSTGRESQL': 'postgresql', 'MYSQL': 'mysql'}[db.type]
    content = {'mode': 'professional', 'url': f'jdbc:{kind}://{db.host}:{db.port}/{db.database}?useSSL=false',
               'user_name': db.user, 'password': db.password}
    assert worker.internal('datasource/ping', datasource={'type': db.type, 'content': content})[0] == 200


def test_ping_by_name(worker, db):
    assert worker.internal('datasource/ping', datasource=source(db, host='localhost'))[0] == 200


@pytest.mark.parametrize('alias', ['OPENGAUSS', 'DWS', 'postgresql'])
def test_same_protocol(worker, postgres, alias):
    assert worker.internal('datasource/ping', datasource={'type': alias, 'content': postgres.content})[0] == 200


@pytest.mark.parametrize('change', [{'password': 'wrong'}, {'user_name': 'nobody'}, {'database_name': 'nowhere'},
                                    {'port': '1'}, {'host': 'no-such-host.invalid'}])
def test_unreachable(worker, db, change):
    status, reply = worker.internal('datasource/ping', datasource=source(db, **change))
    assert (status, reply['error_code']) == (503, UNREACHABLE)
    assert db.password not in json.dumps(reply) and reply['retriable']


@pytest.mark.parametrize('change', [{'port': 'x'}, {'port': 0}, {'port': '65536'}, {'host': ''}, {'host': None},
                                    {'mode': 'professional', 'url': 'nonsense'}, {'user_name': 'a\0b'}])
def test_bad_configuration(worker, db, change):
    status, reply = worker.internal('datasource/ping', datasource=source(db, **change))
    assert status == 400, reply


def test_no_driver(worker):
    status, reply = worker.internal('datasource/ping', datasource={'type': 'ORACLE', 'content': {'host': 'x'}})
    assert (status, reply['error_code']) == (501, 'APPIA.0501') and 'ORACLE' in reply['error_msg']


@pytest.mark.parametrize('kind', ['POSTGRESQL', 'MYSQL'])
def test_hung_server(make_worker, hung_server, kind):
    worker = make_worker('--deadline-ms', '700')
    content = {'host': '127.0.0.1', 'port': hung_server, 'database_name': 'x', 'user_name': 'x', 'password': 'xxxx'}
    start = time.monotonic()
    status, reply = worker.internal('datasource/ping', datasource={'type': kind, 'content': content})
    assert (status, reply['error_code']) == (504, 'APPIA.0504')
    assert time.monotonic() - start < 3


def test_slow_statement(make_worker, db):
    worker = make_worker('--deadline-ms', '800')
    sleep = 'SELECT pg_sleep(30)' if db.type == 'POSTGRESQL' else 'SELECT sleep(30)'
    start = time.monotonic()
    status, reply = worker.internal('datasource/sql', datasource=source(db), sql=sleep)
    assert (status, reply['error_code']) == (504, 'APPIA.0504')
    assert time.monotonic() - start < 4
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%' AND state = 'active'" \
        if db.type == 'POSTGRESQL' else \
        "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sleep(30)%'"
    end = time.monotonic() + 10
    while int(db.sql(running)) and time.monotonic() < end:
        time.sleep(0.05)
    assert int(db.sql(running)) == 0  # cancelled at the server, not only here


def test_tables_and_columns(worker, db):
    db.sql('DROP TABLE IF EXISTS catalogue; CREATE TABLE catalogue (id int PRIMARY KEY, name varchar(40) NOT NULL, '
           "price decimal(12,3) DEFAULT 1.5); ")
    status, reply = worker.internal('datasource/tables', datasource=source(db), filter='CATALOG')
    assert status == 200 and [t['name'] for t in reply['tables']] == ['catalogue']
    assert worker.internal('datasource/tables', datasource=source(db), filter="x'; --")[1] == {'tables': []}
    status, reply = worker.internal('datasource/columns', datasource=source(db), table='catalogue')
    columns = {c['name']: c for c in reply['columns']}
    assert list(columns) == ['id', 'name', 'price']
    assert columns['id']['primary_key'] and not columns['name']['primary_key']
    assert not columns['name']['nullable'] and columns['price']['nullable']
    assert columns['name']['size'] == 40
    assert (columns['price']['size'], columns['price']['scale']) == (12, 3)
    assert '1.5' in columns['price']['default']
    assert worker.internal('datasource/columns', datasource=source(db), table='nowhere')[1] == {'columns': []}


def test_describe_does_not_run(worker, db):
    db.sql('DROP TABLE IF EXISTS kept; CREATE TABLE kept (id int, name varchar(10)); INSERT INTO kept VALUES (1, NULL)')
    status, reply = worker.internal('datasource/describe', datasource=source(db), sql='SELECT id, name AS n FROM kept')
    assert status == 200 and [c['name'] for c in reply['columns']] == ['id', 'n']
    assert reply['columns'][0]['type'].startswith('int')
    status, reply = worker.internal('datasource/describe', datasource=source(db), sql='DELETE FROM kept')
    assert (status, reply) == (200, {'columns': []})
    assert run(worker, db, 'SELECT count(*) FROM kept')['results'][0]['rows'] == [[1]]
    status, reply = worker.internal('datasource/describe', datasource=source(db), sql='SELECT nothing FROM kept')
    assert (status, reply['error_code']) == (500, 'APPIA.0500') and '42' in reply['error_msg']


def test_postgresql_types(worker, postgres):
    reply = run(worker, postgres, """SELECT true AS b, (-32768)::smallint AS i2, 9223372036854775807::bigint AS i8,
        1234567890123456789.000000000100::numeric AS n, 'NaN'::numeric AS nan, 0.1::real AS f4, 1e300::float8 AS f8,
        'Infinity'::float8 AS inf, 'é"\\' AS t, 'ab'::char(4) AS c, '\\x00ff10'::bytea AS bin,
        '{"a": [1, 2.50]}'::jsonb AS j, '2024-02-29'::date AS d, '23:59:59.5'::time AS tm,
        '2024-01-02 03:04:05.678'::timestamp AS ts, '2024-01-02 03:04:05+00'::timestamptz AT TIME ZONE 'UTC' AS utc,
        NULL::int AS nul, ARRAY[1,2] AS arr, '00000000-0000-0000-0000-000000000001'::uuid AS u, '' AS e""")
    names, row = reply['results'][0]['columns'], reply['results'][0]['rows'][0]
    got = dict(zip(names, row))
    assert got == {
        'b': True, 'i2': -32768, 'i8': 9223372036854775807, 'n': pytest.approx(1234567890123456789), 'nan': 'NaN',
        'f4': 0.1, 'f8': 1e300, 'inf': 'Infinity', 't': 'é"\\', 'c': 'ab  ', 'bin': 'AP8Q', 'j': {'a': [1, 2.5]},
        'd': '2024-02-29', 'tm': '23:59:59.5', 'ts': '2024-01-02T03:04:05.678', 'utc': '2024-01-02T03:04:05',
        'nul': None, 'arr': '{1,2}', 'u': '00000000-0000-0000-0000-000000000001', 'e': ''}
    raw = worker.request('POST', '/internal/datasource/sql', json.dumps({
        'datasource': source(postgres),
        'sql': "SELECT 1234567890123456789.000000000100::numeric, '2024-01-02 03:04:05+05:30'::timestamptz"}))
    assert b'1234567890123456789.000000000100' in raw.body  # exact
    zone = json.loads(raw.body)['results'][0]['rows'][0][1]
    assert zone[10] == 'T' and zone[-6] in '+-' and zone[-3] == ':'


def test_mariadb_types(worker, mariadb):
    mariadb.sql("""DROP TABLE IF EXISTS types; CREATE TABLE types (t tinyint(1), i8 bigint, u8 bigint unsigned,
        n decimal(30,12), f float, d double, b1 bit(1), b8 bit(12), c char(4), v varchar(20), tx longtext,
        bin varbinary(10), bl blob, dt date, tm time(1), ts datetime(3), tz timestamp NULL, y year, j json,
        e enum('x','y'),
        nul int);
        INSERT INTO types VALUES (2, -9223372036854775808, 18446744073709551615, 123456789012345678.000000000100, 0.1,
        1e300, b'1', b'101010101010', 'ab', 'é"\\\\', repeat('x', 100000), x'00ff10', x'', '2024-02-29', '-838:59:59.5',
        '2024-01-02 03:04:05.678', NULL, 2024, '{"a":[1,2.5]}', 'y', NULL)""")
    for sql in ('SELECT * FROM types', 'SELECT * FROM types'):
        raw = worker.request('POST', '/internal/datasource/sql',
                             json.dumps({'datasource': source(mariadb), 'sql': sql}))
        result = raw.json()['results'][0]
        got = dict(zip(result['columns'], result['rows'][0]))
        assert got.pop('tx') == 'x' * 100000
        assert got == {
            't': 2, 'i8': -9223372036854775808, 'u8': 18446744073709551615, 'n': pytest.approx(123456789012345678),
            'f': 0.1, 'd': 1e300, 'b1': True, 'b8': 0b101010101010, 'c': 'ab', 'v': 'é"\\', 'bin': 'AP8Q', 'bl': '',
            'dt': '2024-02-29', 'tm': '-838:59:59.5', 'ts': '2024-01-02T03:04:05.678', 'tz': None, 'y': 2024,
            'j': {'a': [1, 2.5]}, 'e': 'y', 'nul': None}
        assert b'123456789012345678.000000000100' in raw.body


def test_parameters(worker, db):
    reply = run(worker, db, "SELECT ? AS a, CAST(? AS decimal(5,1)) AS b, '?' AS c /* ? */ -- ?\n",
                "x' OR '1'='1", '2.5')
    assert reply['results'][0]['rows'] == [["x' OR '1'='1", 2.5, '?']]
    assert run(worker, db, 'SELECT ? IS NULL AS x', None)['results'][0]['rows'] in ([[True]], [[1]])
    status, reply = worker.internal('datasource/sql', datasource=source(db), sql='SELECT ?, ?', params=['1'])
    assert (status, reply['error_code']) == (500, 'APPIA.0500')


def test_postgresql_question_mark_operator(worker, postgres):
    reply = run(worker, postgres, "SELECT '{\"a\":1}'::jsonb ?? ?", 'a')
    assert reply['results'][0]['rows'] == [[True]]
    reply = run(worker, postgres, "SELECT concat('%', ?, ?)", 'a', 'b')  # types the server cannot infer
    assert reply['results'][0]['rows'] == [['%ab']]


def test_changes(worker, db):
    db.sql('DROP TABLE IF EXISTS changed; CREATE TABLE changed (id int)')
    assert run(worker, db, 'INSERT INTO changed VALUES (1), (2), (3)')['changed'] == 3
    assert run(worker, db, 'UPDATE changed SET id = id + ? WHERE id > ?', '10', '1')['changed'] == 2
    reply = run(worker, db, 'SELECT id FROM changed ORDER BY id')
    assert reply['changed'] == -1 and reply['results'][0]['rows'] == [[1], [12], [13]]
    assert run(worker, db, 'SELECT id FROM changed WHERE id < 0')['results'] == [{'columns': ['id'], 'rows': []}]


def test_max_rows(worker, db):
    db.sql('DROP TABLE IF EXISTS many; CREATE TABLE many (id int)')
    db.sql('INSERT INTO many VALUES ' + ','.join(f'({i})' for i in range(3000)))
    reply = run(worker, db, 'SELECT id FROM many ORDER BY id', max_rows=2)
    assert reply['results'][0]['rows'] == [[0], [1]] and reply['truncated']
    assert run(worker, db, 'SELECT id FROM many', max_rows=3000)['truncated'] is False


@pytest.mark.parametrize('sql', ['SELECT 1; SELECT 2', 'SELECT 1; DROP TABLE safe',
                                 "SELECT 1; /* x */ DELETE FROM safe"])
def test_several_statements_are_refused(worker, db, sql):
    db.sql('DROP TABLE IF EXISTS safe; CREATE TABLE safe (id int); INSERT INTO safe VALUES (1)')
    status, _ = worker.internal('datasource/sql', datasource=source(db), sql=sql)
    assert status == 500
    assert run(worker, db, 'SELECT count(*) FROM safe')['results'][0]['rows'] == [[1]]


def test_files_of_the_worker_are_out_of_reach(worker, db):
    sql = "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE safe" if db.type == 'MYSQL' else 'COPY safe FROM STDIN'
    db.sql('DROP TABLE IF EXISTS safe; CREATE TABLE safe (id text)')
    assert worker.internal('datasource/sql', datasource=source(db), sql=sql)[0] == 500
    assert run(worker, db, 'SELECT count(*) FROM safe')['results'][0]['rows'] == [[0]]


def test_procedures(worker, mariadb, postgres):
    mariadb.sql("DROP PROCEDURE IF EXISTS two;\nDELIMITER //\nCREATE PROCEDURE two(IN n int) BEGIN "
                "SELECT n AS a; SELECT n + 1 AS b, 'x' AS c; END //")
    reply = run(worker, mariadb, 'CALL two(?)', '5', procedure=True)
    assert reply['results'] == [{'columns': ['a'], 'rows': [[5]]}, {'columns': ['b', 'c'], 'rows': [[6, 'x']]}]
    postgres.sql('CREATE OR REPLACE PROCEDURE twice(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n * 2; END $$')
    assert run(worker, postgres, 'CALL twice(?)', '21', procedure=True)['results'][0]['rows'] == [[42]]


def test_server_killed_in_mid_query(worker):
    for server, sleep in ((databases.start_postgres(), 'SELECT pg_sleep(30)'),
                          (databases.start_mariadb(), 'SELECT sleep(30)')):
        replies = []
        thread = threading.Thread(target=lambda s=server, q=sleep, r=replies: r.append(
            worker.internal('datasource/sql', datasource=source(s), sql=q)))
        thread.start()
        seen = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(30)%'" \
            if server.type == 'POSTGRESQL' else \
            "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sleep(30)%'"
        end = time.monotonic() + 10
        while int(server.sql(seen)) < 1 and time.monotonic() < end:
            time.sleep(0.02)
        server.kill()
        thread.join(20)
        assert not thread.is_alive()
        status, reply = replies[0]
        assert (status, reply['error_code']) == (503, UNREACHABLE), reply
        server.stop()


@pytest.mark.parametrize('body', ['', '{', '[]', '{}', '{"datasource":1}', '{"datasource":{"type":"SQLITE"}}',
                                  '{"datasource":{"type":"SQLITE","content":[]}}', '{"a":1,"a":2}', '"\\ud800"',
                                  '{"datasource":{"type":"SQLITE","content":{"database_name":"/nowhere/x.db"}}}'])
def test_malformed_bodies(worker, body):
    for operation in ('ping', 'tables', 'columns', 'describe', 'sql'):
        answer = worker.request('POST', '/internal/datasource/' + operation, body)
        assert answer.status in (400, 503) and answer.json()['error_code'].startswith('APPIA.')


def test_unknown_operations(worker):
    assert worker.internal('nothing')[0] == 404
    assert worker.request('GET', '/internal/datasource/ping').status == 405
    assert worker.request('GET', '/nothing').status == 404
