# SPDX-License-Identifier: Apache-2.0
"""Custom back ends: published documents, called as the gateway calls them."""
import base64
import json
import os
import sqlite3
import subprocess
import threading
import time
import urllib.parse

import pytest

from lib import databases
from lib.appiad import wait_for
from lib.worker import BUILD, UnixConnection


def definition(*scripts, **more):
    return {'id': 'api', 'name': 'api', 'project_id': 'p', 'app_id': 'a', 'type': 'data', 'method': 'GET', 'path': '/x',
            'content_type': 'json', 'return_format': False, 'parameters': [],
            'scripts': [{'id': f's{i}', **s} for i, s in enumerate(scripts)], **more}


def sql(content, name='default', source='ds', **more):
    return {'type': 'SQL', 'object_name': name, 'content': content, 'datasource_id': source, **more}


def function(content, **more):
    return definition({'type': 'function', 'object_name': 'f', 'content': content}, type='function', **more)


@pytest.fixture(scope='module', params=['sqlite', 'postgresql', 'mariadb'])
def shop(request, worker, tmp_path_factory):
    """A data source "ds" with a table of users; gives its type."""
    rows = "INSERT INTO users VALUES (1, 'Ada', 'f', 36), (2, 'Bob', 'm', 41), (3, 'O''Hara', 'f', NULL)"
    table = 'CREATE TABLE users (id int PRIMARY KEY, name varchar(40), sex char(1), age int)'
    if request.param == 'sqlite':
        path = str(tmp_path_factory.mktemp('db') / 'shop.db')
        with sqlite3.connect(path) as db:
            db.execute(table)
            db.execute(rows)
        worker.publish_source('ds', 'SQLITE', {'database_name': path})
    else:
        db = databases.postgres() if request.param == 'postgresql' else databases.mariadb()
        db.sql(f'DROP TABLE IF EXISTS users; {table}; {rows}')
        worker.publish_source('ds', db.type.lower(), db.content)
    return request.param


def query(**params):
    return '/x?' + urllib.parse.urlencode(params)


def call(worker, document, path='/', **more):
    worker.publish('livedata/api', document)
    answer = worker.call('api', path=path, **more)
    return answer.status, answer.json()


def names(worker, script, path='/', **more):
    status, reply = call(worker, definition(sql(script)), path, **more)
    assert status == 200, reply
    return [row['name'] for row in reply['default']]


def test_select(worker, shop):
    status, reply = call(worker, definition(sql('SELECT id, name, age FROM users ORDER BY id')))
    assert (status, reply) == (200, {'default': [
        {'id': 1, 'name': 'Ada', 'age': 36}, {'id': 2, 'name': 'Bob', 'age': 41},
        {'id': 3, 'name': "O'Hara", 'age': None}]})


def test_where_parameters_come_from(worker, shop):
    script = "SELECT name FROM users WHERE name = '${name}'"
    body = json.dumps({'name': "O'Hara"})
    assert names(worker, script, headers={'name': 'Ada'}) == ['Ada']
    assert names(worker, script, query(NAME='Bob'), headers={'Name': 'Ada'}) == ['Bob']
    assert names(worker, script, query(name='Bob'), method='POST', body=body) == ["O'Hara"]
    assert names(worker, script, method='POST', body='name=O%27Hara',
                 headers={'Content-Type': 'application/x-www-form-urlencoded'}) == ["O'Hara"]
    document = definition(sql(script), parameters=[{'name': 'name', 'in': 'Parameters', 'default': 'Ada'}])
    assert call(worker, document) == (200, {'default': [{'name': 'Ada'}]})


def test_body_values_keep_their_type(worker, shop):
    script = 'SELECT name FROM users WHERE id = ${id}'
    assert names(worker, script, method='POST', body='{"id":2}') == ['Bob']
    assert names(worker, 'SELECT name FROM users WHERE id IN (${ids}) ORDER BY id', method='POST',
                 body='{"ids":[1,3]}') == ['Ada', "O'Hara"]
    assert names(worker, "SELECT name FROM users WHERE age = '${age}' [OR id = ${id}]", method='POST',
                 body='{"age":null,"id":null}') == []


ATTACKS = ["x' OR '1'='1", "1 OR 1=1", "1; DROP TABLE users", "1 UNION SELECT 1", "\\' OR 1=1 -- ", "' OR 1=1 # ", "$$",
           "?",
           "1/**/OR/**/1=1", "'||(SELECT name FROM users)||'", "\\", "''", "\\\\' OR 1 -- ", "null) OR (1=1", "1\0",
           "%' OR name LIKE '%"]


@pytest.mark.parametrize('attack', ATTACKS)
@pytest.mark.parametrize('prepared', [False, True])
def test_injection(worker, shop, attack, prepared):
    scripts = ["SELECT name FROM users WHERE name = '${x}'", 'SELECT name FROM users WHERE id = ${x}',
               "SELECT name FROM users WHERE name LIKE '%${x}' AND 1 = 0", 'SELECT name FROM users WHERE id IN (${x})',
               "SELECT name FROM users WHERE id = 9 [OR name = '${x}']",
               "SELECT name FROM users WHERE id < 0 LIMIT '${x}'",
               'UPDATE users SET age = ${x} WHERE id < 0', "INSERT INTO users SELECT 9, '${x}', 'x', 1 WHERE 1 = 0"]
    for script in scripts:
        status, reply = call(worker, definition(sql(script, enable_preparestatement=prepared)), method='POST',
                             body=json.dumps({'x': attack}))
        if status == 200:
            # MariaDB compares '1 OR 1=1' with a number by its leading digits: one row, as if it were 1.
            assert reply in ({'default': []}, {'default': {'affected_rows': 0}}) or \
                (prepared and shop == 'mariadb' and reply == {'default': [{'name': 'Ada'}]}), (script, reply)
        else:
            assert status in (400, 500) and attack not in reply['error_msg'], (script, reply)
    assert names(worker, 'SELECT name FROM users ORDER BY id') == ['Ada', 'Bob', "O'Hara"]


def test_literal_around_a_parameter(worker, shop):
    script = "SELECT name FROM users WHERE name LIKE '%${part}%'"
    assert names(worker, script, query(part="'H")) == ["O'Hara"]


def test_optional(worker, shop):
    script = "SELECT name FROM users WHERE id = ${id} [OR sex = '${sex}'] ORDER BY id"
    assert names(worker, script, query(id=2)) == ['Bob']
    assert names(worker, script, query(id=2, sex='f')) == ['Ada', 'Bob', "O'Hara"]


def test_identifiers_are_inserted(worker, shop):
    script = 'SELECT name FROM ${table} ORDER BY ${order}'
    assert names(worker, script, query(table='users', order='id DESC')) == ["O'Hara", 'Bob', 'Ada']
    status, reply = worker.internal('livedata/check', definition=definition(sql(script)),
                                    datasources=[{'id': 'ds', 'type': 'SQLITE', 'content': {}}])
    assert (status, reply) == (200, {'unbound_parameters': ['table', 'order']})


def test_prepared(worker, shop):
    like = "name LIKE '%' || ${part}" if shop == 'sqlite' else "name LIKE concat('%', ${part})"
    document = definition(sql(f'SELECT name FROM users WHERE {like} AND id < ${{max}} LIMIT ${{limit}}',
                              enable_preparestatement=True))
    for _ in range(3):
        status, reply = call(worker, document, query(part='b', max=10, limit=5))
        assert (status, reply) == (200, {'default': [{'name': 'Bob'}]}), reply


def test_manual_paging(worker, shop):
    script = "SELECT name FROM users ORDER BY id LIMIT '${limit}' OFFSET ${offset}"
    assert names(worker, script, query(limit=1, offset=1)) == ['Bob']


def test_missing_and_bad_parameters(worker, shop):
    status, reply = call(worker, definition(sql('SELECT * FROM users WHERE id = ${id}')))
    assert status == 400 and reply['error_code'] == 'APPIA.0400' and 'id' in reply['error_msg'] and reply['request_id']
    status, reply = call(worker, definition(sql('SELECT * FROM users WHERE id = ${id}')), query(id='abc'))
    assert status == 400 and 'id' in reply['error_msg']
    required = [{'name': 'token', 'in': 'Headers', 'required': True}]
    status, reply = call(worker, definition(sql('SELECT 1'), parameters=required))
    assert status == 400 and 'token' in reply['error_msg']
    assert call(worker, definition(sql('SELECT 1 AS x'), parameters=required), headers={'Token': 'x'})[0] == 200
    required = [{'name': 'application/json', 'in': 'Body', 'required': True, 'default': '{"id":1}'}]
    assert call(worker, definition(sql('SELECT 1'), parameters=required), method='POST')[0] == 400
    status, reply = call(worker, definition(sql('SELECT 1')), method='POST', body='{"a":',
                         headers={'Content-Type': 'application/json'})
    assert status == 400


def test_several_scripts_and_changes(worker, shop):
    status, reply = call(worker, definition(
        sql("UPDATE users SET age = ${age} WHERE id = 3", 'update'), sql('SELECT age FROM users WHERE id = 3', 'now'),
        sql('SELECT age FROM users WHERE id = 99', 'none')), query(age=50))
    assert (status, list(reply), reply) == (200, ['update', 'now', 'none'],
                                            {'update': {'affected_rows': 1}, 'now': [{'age': 50}], 'none': []})
    call(worker, definition(sql('UPDATE users SET age = NULL WHERE id = 3')))


def test_equal_columns_and_odd_names(worker, shop):
    quote = '`' if shop == 'mariadb' else '"'
    status, reply = call(worker, definition(sql(f'SELECT 1 AS a, 2 AS a, 3 AS {quote}x\\y z{quote}', 'é')))
    assert (status, reply) == (200, {'é': [{'a': 2, 'x\\y z': 3}]})


def test_paging(worker, shop):
    document = definition(sql('SELECT id FROM users ORDER BY id', enable_result_paging=True))
    assert call(worker, document, query(pageNum=2, pageSize=2)) == (200, {'default': [{'id': 3}]})
    assert call(worker, document, query(pageSize=2)) == (200, {'default': [{'id': 1}, {'id': 2}]})
    assert len(call(worker, document)[1]['default']) == 3
    assert call(worker, document, query(pageNum=9)) == (200, {'default': []})
    for bad in ({'pageNum': 0}, {'pageSize': 2001}, {'pageSize': 'x'}, {'pageNum': '1;'}):
        assert call(worker, document, query(**bad))[0] == 400
    # A statement with a limit of its own is paged here.
    document = definition(sql('SELECT id FROM users ORDER BY id LIMIT 3', enable_result_paging=True),
                          return_format=True)
    status, reply = call(worker, document, query(pageNum=1, pageSize=2))
    assert status == 200 and reply['data'] == {'default': [{'id': 1}, {'id': 2}]}
    assert reply['paging'] == {'default': {'pageNum': 1, 'pageSize': 2, 'more': True}}


def test_too_many_rows(worker, shop):
    cross = ', '.join(f'users u{i}' for i in range(8))
    status, reply = call(worker, definition(sql(f'SELECT 1 AS x FROM {cross}')))
    assert (status, reply['error_code']) == (422, 'APPIA.0422') and '5000' in reply['error_msg']


def test_formats(worker, shop):
    document = definition(sql("SELECT id, name, age FROM users WHERE id > 1 ORDER BY id"), return_format=True)
    status, reply = call(worker, document, headers={'X-Request-Id': 'r1'})
    assert reply == {'request_id': 'r1', 'data': {'default': [
        {'id': 2, 'name': 'Bob', 'age': 41}, {'id': 3, 'name': "O'Hara", 'age': None}]}}
    worker.publish('livedata/api', {**document, 'content_type': 'xml'})
    answer = worker.call('api')
    assert answer.headers['Content-Type'] == 'application/xml'
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<response><default><row><id>2</id><name>Bob</name><age>41</age></row>'
        '<row><id>3</id><name>O\'Hara</name><age null="true"/></row></default></response>')
    worker.publish('livedata/api', definition(sql("SELECT '<&>' AS x"), return_format=True, content_type='stream'))
    answer = worker.call('api')
    assert (answer.headers['Content-Type'], answer.body) == ('application/octet-stream', b'<&>')


def test_errors_tell_callers_nothing_of_the_database(worker, shop):
    status, reply = call(worker, definition(sql('SELECT secret_column FROM users', 'obj')))
    assert (status, reply['error_code']) == (500, 'APPIA.0500')
    assert 'secret_column' not in json.dumps(reply) and 'obj' in reply['error_msg']
    assert 'secret_column' in worker.text()  # the owner finds it in the log


def test_changes_are_obeyed_at_once(worker, shop):
    for i in range(20):
        assert call(worker, definition(sql(f'SELECT {i} AS i'))) == (200, {'default': [{'i': i}]})
    worker.publish('livedata/api', None)
    answer = worker.call('api')
    assert (answer.status, answer.json()['error_code']) == (404, 'APPIA.0404')


def test_changed_table_under_a_prepared_statement(worker, postgres):
    postgres.sql('DROP TABLE IF EXISTS moving; CREATE TABLE moving (a int); INSERT INTO moving VALUES (1)')
    worker.publish_source('moving', 'POSTGRESQL', postgres.content)
    document = definition(sql('SELECT * FROM moving', source='moving'))
    for _ in range(4):
        assert call(worker, document) == (200, {'default': [{'a': 1}]})
    postgres.sql("ALTER TABLE moving ADD b text DEFAULT 'x'")
    for _ in range(4):
        assert call(worker, document) == (200, {'default': [{'a': 1, 'b': 'x'}]})


def test_data_source_changes(worker, db):
    worker.publish_source('changing', db.type, {**db.content, 'password': 'wrong-1'})
    document = definition(sql('SELECT 1 AS one', source='changing'))
    status, reply = call(worker, document)
    assert (status, reply['error_code']) == (503, 'APPIA.0503') and db.user not in json.dumps(reply)
    worker.publish_source('changing', db.type, db.content)
    assert call(worker, document) == (200, {'default': [{'one': 1}]})
    worker.publish('datasource/changing', None)
    assert call(worker, document)[0] == 500


def test_password_sealed_for_something_else(worker, postgres):
    worker.publish('datasource/odd', {'id': 'odd', 'type': 'POSTGRESQL', 'content': postgres.content,
                                      'sealed_password': 'bm90IHNlYWxlZA=='})
    assert call(worker, definition(sql('SELECT 1', source='odd')))[0] == 500


def test_procedures(worker, mariadb):
    mariadb.sql("DROP PROCEDURE IF EXISTS pair; DROP PROCEDURE IF EXISTS single; DROP PROCEDURE IF EXISTS silent; "
                "CREATE TABLE IF NOT EXISTS touched (id int);\nDELIMITER //\n"
                "CREATE PROCEDURE pair(IN a varchar(20), IN n int) BEGIN SELECT a; SELECT n AS n; END //\n"
                "CREATE PROCEDURE single() BEGIN SELECT 7 AS x; END //\n"
                "CREATE PROCEDURE silent() BEGIN INSERT INTO touched VALUES (1); END //")
    worker.publish_source('my', 'mysql', mariadb.content)

    def sp(content, name):
        return {**sql(content, name, 'my'), 'type': 'SP'}
    for _ in range(3):
        status, reply = call(worker, definition(sp("call pair('${a}', ${n})", 'pair'), sp('{call single()}', 'single'),
                                                sp('CALL silent()', 'silent')), query(a="it's", n=3))
        assert (status, reply) == (200, {'pair': [[{'a': "it's"}], [{'n': 3}]], 'single': [{'x': 7}],
                                         'silent': {'affected_rows': 1}}), reply


def test_pool_is_bounded(make_worker, postgres):
    worker = make_worker('--pool', '2')
    worker.publish_source('ds', 'POSTGRESQL', postgres.content)
    worker.publish('livedata/api', definition(sql('SELECT 1 AS x FROM pg_sleep(2)')))
    statuses = []
    threads = [threading.Thread(target=lambda: statuses.append(worker.call('api').status)) for _ in range(2)]
    for t in threads:
        t.start()
    busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)' AND state = 'active'"
    end = time.monotonic() + 10
    while int(postgres.sql(busy)) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    answer = worker.call('api', headers={'X-Appia-Timeout': '200'})
    assert (answer.status, answer.json()['error_code'], answer.json()['retriable']) == (503, 'APPIA.0503', True)
    for t in threads:
        t.join()
    assert statuses == [200, 200], worker.text()
    text = worker.request('GET', '/metrics').body.decode()
    assert 'appia_worker_calls_total{status="2xx"} 2' in text and 'appia_worker_calls_total{status="5xx"} 1' in text
    assert 'appia_worker_datasource_connections 2' in text


def test_server_restarts(make_worker):
    worker = make_worker()
    for db in (databases.start_postgres(), databases.start_mariadb()):
        worker.publish_source('ds', db.type, db.content)
        document = definition(sql('SELECT 1 AS x'))
        for _ in range(3):
            assert call(worker, document)[0] == 200
        db.kill()
        # The backends of PostgreSQL end a moment after it.
        wait_for(lambda: call(worker, document)[0] == 503, 10, 'the loss is seen')
        db.start()
        assert call(worker, document) == (200, {'default': [{'x': 1}]})
        db.stop()


def test_hung_server_does_not_hold_the_others(make_worker, hung_server, postgres):
    worker = make_worker('--deadline-ms', '1000')
    worker.publish_source('hung', 'MYSQL', {'host': '127.0.0.1', 'port': str(hung_server), 'database_name': 'x',
                                            'user_name': 'x', 'password': 'xxxx'})
    worker.publish_source('ds', 'POSTGRESQL', postgres.content)
    worker.publish('livedata/hung', definition(sql('SELECT 1', source='hung')))
    worker.publish('livedata/api', definition(sql('SELECT 1 AS x')))
    results = []
    threads = [threading.Thread(target=lambda: results.append(worker.call('hung').status)) for _ in range(8)]
    start = time.monotonic()
    for t in threads:
        t.start()
    assert worker.call('api').status == 200
    assert time.monotonic() - start < 0.9
    for t in threads:
        t.join()
    assert results == [504] * 8 and time.monotonic() - start < 4
    assert worker.call('api', headers={'X-Appia-Timeout': '1'}).status in (200, 504)


# --- functions ---

def test_function(worker):
    script = '''function execute(data) { data = JSON.parse(data);
        return {method: data.method, uri: data.uri, q: data.parameters.a, same: data.url.a, h: data.headers['x-test'],
                b: data.body, app: data.env.$appId, config: data.env.$appConfig,
                internal: data.headers['x-appia-app']}; }'''
    document = function(script, app_config={'k': 'v'})
    status, reply = call(worker, document, '/f?a=1%202', method='POST', body='{"x":[1,{"y":null}]}',
                         headers={'X-Test': 'T', 'X-Appia-App': 'app-1'})
    assert (status, reply) == (200, {'method': 'POST', 'uri': '/f', 'q': '1 2', 'same': '1 2', 'h': 'T',
                                     'b': {'x': [1, {'y': None}]}, 'app': 'app-1', 'config': {'k': 'v'}})
    status, reply = call(worker, document, method='POST', body='plain "text"')
    assert reply['b'] == 'plain "text"'


def test_function_response(worker):
    worker.publish('livedata/api', function('''importClass(com.roma.apic.livedata.provider.v1.APIConnectResponse);
        function execute(data) { return new APIConnectResponse(401, {"X-Type":"Demo"}, "unauthorized", false); }'''))
    answer = worker.call('api')
    assert (answer.status, answer.headers['X-Type'], answer.body) == (401, 'Demo', b'unauthorized')


def test_function_uses_a_data_source(worker, postgres):
    script = f'''importClass(com.roma.apic.livedata.client.v1.DataSourceClient);
        importClass(com.roma.apic.livedata.config.v1.DataSourceConfig);
        function execute(data) {{ var c = new DataSourceConfig(); c.setType("postgresql");
        c.setUrl("jdbc:postgresql://{postgres.host}:{postgres.port}/{postgres.database}"); c.setUser("{postgres.user}");
        c.setPassword("{postgres.password}"); return new DataSourceClient(c).execute("SELECT ? AS x", "it's"); }}'''
    worker.publish('livedata/api', function(script))
    answer = worker.call('api')
    assert answer.status == 200 and b"it's" in answer.body, (answer.body, worker.text()[-2000:])


@pytest.mark.parametrize('script', ['function execute(data) { throw new Error("secret text"); }', 'function execute(',
                                    'var x = 1;', 'function execute(data) { null.x; }'])
def test_function_fails(worker, script):
    status, reply = call(worker, function(script))
    assert (status, reply['error_code']) == (500, 'APPIA.0500') and 'secret text' not in json.dumps(reply)


def test_function_that_loops(make_worker):
    worker = make_worker('--script-cpu-ms', '300')
    start = time.monotonic()
    status, _ = call(worker, function('function execute(data) { for (;;) {} }'))
    assert status in (500, 504) and time.monotonic() - start < 10
    assert call(worker, function('function execute(data) { return {ok: true}; }')) == (200, {'ok': True})


# --- tests and the rest ---

def test_livedata_test(worker, postgres):
    document = definition(sql('SELECT ${x} AS x, note FROM ${t}'), parameters=[{'name': 'x', 'in': 'Parameters'}])
    source = {'id': 'ds', 'type': 'POSTGRESQL', 'content': postgres.content}
    request = {'method': 'GET', 'path': '/x', 'headers': {'t': "(SELECT 'n' AS note) q"}, 'query': {'x': '1'},
               'body': ''}
    status, reply = worker.internal('livedata/test', definition=document, datasources=[source], request=request)
    assert status == 200 and reply['status_code'] == 200, reply
    assert json.loads(reply['body']) == {'default': [{'x': 1, 'note': 'n'}]}
    assert reply['headers'] == {'Content-Type': 'application/json'} and reply['log'] == [] and reply['used_ms'] >= 0
    request['query'] = {}
    status, reply = worker.internal('livedata/test', definition=document, datasources=[source], request=request)
    assert status == 200 and reply['status_code'] == 400
    document['scripts'][0]['content'] = 'SELECT nothing_there'
    status, reply = worker.internal('livedata/test', definition=document, datasources=[source], request=request)
    assert reply['status_code'] == 500 and any('nothing_there' in line for line in reply['log'])


def test_livedata_test_of_a_function(worker):
    document = function('function execute(data) { console.log("seen"); return "ok"; }')
    status, reply = worker.internal('livedata/test', definition=document, datasources=[], request={})
    assert status == 200 and reply['body'] == 'ok' and any('seen' in line for line in reply['log']), reply
    status, reply = worker.internal('livedata/check', definition=function('function execute('), datasources=[])
    assert status == 400


@pytest.mark.parametrize('text', ['{', '[]', '{}', '{"scripts":[]}', '{"scripts":[{}]}',
                                  '{"scripts":[{"content":"x"}]}',
                                  '{"scripts":[{"content":"x","object_name":"o","datasource_id":"nowhere"}]}'])
def test_damaged_documents(worker, text):
    assert worker.tell('livedata/damaged', text) == 'ok'
    assert worker.call('damaged').status == 500


def test_binary_is_base64(worker, tmp_path):
    with sqlite3.connect(tmp_path / 'b.db') as db:
        db.execute('CREATE TABLE b (x blob)')
        db.execute('INSERT INTO b VALUES (?)', (bytes(range(256)),))
    worker.publish_source('bin', 'SQLITE', {'database_name': str(tmp_path / 'b.db')})
    status, reply = call(worker, definition(sql('SELECT x FROM b', source='bin')))
    assert base64.b64decode(reply['default'][0]['x']) == bytes(range(256))


def test_stops_in_order(make_worker, postgres):
    worker = make_worker()
    worker.publish_source('ds', 'POSTGRESQL', postgres.content)
    worker.publish('livedata/api', definition(sql('SELECT 1 AS x FROM pg_sleep(1)')))
    replies = []
    thread = threading.Thread(target=lambda: replies.append(worker.call('api')))
    thread.start()
    end = time.monotonic() + 10
    while b'calls_running 1' not in worker.request('GET', '/metrics').body and time.monotonic() < end:
        time.sleep(0.01)
    worker.process.terminate()
    thread.join()
    assert replies[0].status == 200  # what was accepted is answered
    assert worker.process.wait(20) == 0
    assert not os.path.exists(worker.socket)


def test_socket_is_private(worker):
    assert os.stat(worker.socket).st_mode & 0o777 == 0o600


def test_starts_before_anything_is_published(tmp_path):
    path = str(tmp_path / 's')
    process = subprocess.Popen([BUILD / 'src/bin/appia-worker', '--socket', path, '--published',
                                str(tmp_path / 'pub')], stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while not os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.02)
        connection = UnixConnection(path)
        connection.request('GET', '/', headers={'X-Appia-Livedata': 'x'})
        assert connection.getresponse().status == 503
        connection.close()
    finally:
        process.terminate()
        assert process.wait(20) == 0
