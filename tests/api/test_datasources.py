# SPDX-License-Identifier: Apache-2.0
"""Data sources: section 5.1 of the reference, against the worker that has the drivers."""
import glob
import os
import queue
import socket
import sqlite3
import threading
import time

import pytest

from lib.apic import PUBLIC, app, member, ok, refused, user
from lib.appiad import HomeWorker

BASE = '/v2/{project_id}/fdi/instances/{instance_id}/datasources'
MASK = '******'
MYSQL = {'host': '10.10.10.10', 'port': '3306', 'database_name': 'testfdi', 'user_name': 'fditest',
         'password': 'Hidden.Secret-1', 'mode': 'default'}
RDB = {**MYSQL, 'password': 'Hidden.Secret-2'}
SSL = {'ssl_enable': True, 'trust_store': 'ts', 'trust_store_password': 'Hidden.Secret-3',
        'trust_store_file_type': 'jks'}
TWO_WAY = {**SSL, 'ssl_auth_method': 'two-way', 'key_store': 'Hidden.Secret-4', 'key_store_file_type': 'jks',
           'key_store_password': 'Hidden.Secret-5', 'key_store_key_password': 'Hidden.Secret-6'}
LOGIN = {'user_name': 'someone', 'password': 'Hidden.Secret-7'}
SERVER = {'host': '10.10.10.10', 'port': '5672'}
MRS = {'config_file_name': 'conf.zip', 'config_file_content': 'SGlkZGVu.Secret', 'principal_name': 'someone'}
KINDS = [
    ('DB2', RDB), ('GAUSS100', {**RDB, 'gauss100_version': 'V300R001C00'}), ('OPENGAUSS', RDB), ('MYSQL', RDB),
    ('MYSQL', {'mode': 'professional', 'url': 'jdbc:mysql://h:3306/x', **LOGIN}), ('ORACLE', RDB),
    ('ORACLE', {'mode': 'multiAddress', 'multi_oracle_address': [{'oracle_addresses': '10.1.1.1',
        'oracle_port': '1521'}],
                'oracle_service_name': 'service', **LOGIN}),
    ('POSTGRESQL', RDB), ('SQLSERVER', RDB), ('TAURUS', RDB),
    ('DIS', {'ak': 'a', 'sk': 'Hidden.Secret-8', 'dis_tunnel_name': 't', 'dis_setting_type': 'basic'}), ('DWS', RDB),
    ('HIVE', RDB), ('MRSHBASE', MRS), ('MRSHDFS', {**MRS, 'hdfs_path': 'hdfs:///x'}),
    ('MRSHIVE', {**MRS, 'hdfs_path': 'hdfs:///x'}), ('MRSKAFKA', MRS), ('MRSREDIS', MRS), ('MRSCLICKHOUSE', MRS),
    ('FTP', {'ftp_connect_mode': 'active', 'ftp_protocol': 'ftp', **SERVER, **LOGIN}),
    ('OBS', {'address': 'obs.example', 'port': '443', 'ak': 'a', 'sk': 'Hidden.Secret-9', 'bucket_name': 'b',
        'https': True}),
    ('ACTIVEMQ', {'broker': '10.1.1.1:61616', **LOGIN, **TWO_WAY}), ('ARTEMISMQ', {**SERVER, **LOGIN,
        'ssl_enable': False}),
    ('IBMMQ', {**SERVER, **LOGIN, 'ibmmq_queue_manager': 'q', 'ibmmq_channel': 'c'}),
    ('KAFKA', {'broker': '10.1.1.1:9092', 'ssl_enable': True, 'ssl_username': 'k',
        'ssl_password': 'Hidden.Secret-10'}),
    ('MQS', {'broker': '10.1.1.1:9092', 'ssl': False}), ('RABBITMQ', {**SERVER, **LOGIN, **SSL}),
    ('HANA', RDB), ('MONGODB', {'address': '10.1.1.1:27017', **LOGIN}), ('REDIS', {'address': '10.1.1.1:6379'}),
    ('API', {'url': 'http%3A%2F%2Fexample%3A1080', 'api_method': 'GET', 'api_auth_detail': {'auth_method': 'none'}}),
    ('API', {'url': 'http://example', 'api_method': 'GET', 'api_auth_detail': {
        'auth_method': 'apiGateway', 'app_key': 'k', 'app_secret': 'Hidden.Secret-11'}}),
    ('WEBSOCKET', {'url': 'ws://example', 'auth_method': 'basicauth', **LOGIN}), ('LDAP', {'url': 'ldap://example'}),
    ('SAP', {**SERVER, **LOGIN, 'sap_client': '800', 'sap_sysnr': '00'}),
    ('SNMP', {**SERVER, 'snmp_version': 2, 'snmp_community': 'Hidden.Secret-12'}), ('AOMDP', {}),
    ('ROCKETMQ', {'rocketmq_namesrv_addr': '10.1.1.1:9876', 'acl_enable': True, **LOGIN}), ('DM', RDB),
        ('CLICKHOUSE', RDB),
    ('HL7', {'hl7_position': 'source', 'hl7_whitelist_enable': False}),
    ('ROMA20MQS', {'namesrv_addr': '10.1.1.1:9876', 'app_id': 'a', 'app_secret': 'Hidden.Secret-13'}),
    ('IMF', {'mq_type': 'RabbitMQ', **SERVER, **LOGIN}),
]


@pytest.fixture(scope='module')
def worker(appiad):
    w = HomeWorker(appiad)
    yield w
    assert w.stop() == 0, 'appia-worker did not end cleanly; see its log'


@pytest.fixture(scope='module')
def owner(appiad):
    return app(appiad, 'owner of sources')


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    path = str(tmp_path_factory.mktemp('db') / 'towns.db')
    db = sqlite3.connect(path)
    db.executescript('create table town (id integer primary key, name varchar(40) not null, area decimal(8,2));'
                     "insert into town values (1, 'Rome', 1285.31), (2, 'Milan', 181.67);"
                     'create view big as select * from town where area > 1000;')
    db.close()
    return path


def make(appiad, owner, name, kind, content, status=201, **fields):
    r = appiad.call('POST', BASE, {'datasource_name': name, 'datasource_type': kind, 'app_id': owner,
            'content': content,
                                   **fields})
    return ok(r, status)


def stored(appiad):
    """Everything the control plane and the published state have written."""
    files = glob.glob(os.path.join(appiad.home, '**'), recursive=True)
    return b''.join(open(f, 'rb').read() for f in files if os.path.isfile(f))


def test_documented_example(appiad, owner):
    d = make(appiad, owner, 'fdi_ds_y3k674', 'MYSQL', MYSQL, description='testtesttest')
    assert len(d['datasource_id']) == 32 and d['app_name'] == 'owner of sources'
    assert d['content'] == {**MYSQL, 'password': MASK} and d['description'] == 'testtesttest'
    assert d['app_permission'] == ['read', 'access', 'delete', 'modify'] and d['create_time'] == d['update_time']
    path = f'{BASE}/{d["datasource_id"]}'
    assert ok(appiad.call('GET', path)) == d
    assert b'Hidden.Secret-1' not in stored(appiad)
    changed = ok(appiad.call('PUT', path, {'datasource_name': 'renamed', 'datasource_type': 'MYSQL', 'app_id': owner,
                                           'content': {**MYSQL, 'port': '3307'}}))
    assert changed['datasource_name'] == 'renamed' and changed['content']['port'] == '3307'
    assert changed['description'] == 'testtesttest' and changed['update_time'] >= d['update_time']
    assert appiad.call('DELETE', path).status == 204
    for method, body in (('GET', None), ('DELETE', None), ('PUT', {
            'datasource_name': 'x', 'datasource_type': 'MYSQL', 'app_id': owner, 'content': MYSQL})):
        refused(appiad.call(method, path, body), 404, 'FDI.3101')


@pytest.mark.parametrize('number', range(len(KINDS)))
def test_every_type(appiad, worker, owner, number):
    kind, content = KINDS[number]
    d = make(appiad, owner, f'kind {number}', kind, content)
    text = str(d)
    assert 'Hidden.Secret' not in text and 'SGlkZGVu.Secret' not in text, d
    if kind not in ('MYSQL', 'TAURUS', 'POSTGRESQL', 'OPENGAUSS', 'DWS'):
        r = appiad.call('POST', f'{BASE}/{d["datasource_id"]}/test-connect')
        refused(r, 400, 'FDI.3016', 'No driver')
        assert kind in r.json['error_msg'] and 'installed' in r.json['error_msg'] and r.json['detail']
        assert appiad.call('GET', f'{BASE}/{d["datasource_id"]}/tables',
                query={'direction_type': 'SOURCE'}).status == 400


def test_no_secret_is_written(appiad, worker):
    everything = stored(appiad)
    assert b'someone' in everything, 'the test reads the right files'
    for secret in (b'Hidden.Secret', b'SGlkZGVu.Secret'):
        assert secret not in everything


@pytest.mark.parametrize('kind, content, field', [
    ('MYSQL', {k: v for k, v in MYSQL.items() if k != 'host'}, 'host'),
    ('MYSQL', {k: v for k, v in MYSQL.items() if k != 'password'}, 'password'),
    ('MYSQL', {**MYSQL, 'password': MASK}, 'password'),
    ('MYSQL', {'mode': 'professional', **LOGIN}, 'url'), ('MYSQL', {**MYSQL, 'mode': 'multiAddress'}, 'mode'),
    ('MYSQL', {**MYSQL, 'port': '65536'}, 'port'), ('MYSQL', {**MYSQL, 'port': 'x'}, 'port'),
    ('MYSQL', {**MYSQL, 'host': 'abc'}, 'host'), ('MYSQL', {**MYSQL, 'mode': 'other'}, 'mode'),
    ('MYSQL', {**MYSQL, 'mysql_timeout': 20001}, 'mysql_timeout'), ('DWS', {**RDB, 'mode': 'professional'}, 'mode'),
    ('GAUSS100', RDB, 'gauss100_version'), ('ORACLE', {**RDB, 'mode': 'multiAddress'}, 'multi_oracle_address'),
    ('KAFKA', {}, 'broker'), ('KAFKA', {'broker': 'b', 'ssl_enable': True}, 'ssl_username'),
    ('ACTIVEMQ', {'broker': 'b', **LOGIN, **SSL}, 'ssl_auth_method'),
    ('ACTIVEMQ', {'broker': 'b', **LOGIN, **SSL, 'ssl_auth_method': 'two-way'}, 'key_store'),
    ('API', {'api_method': 'GET'}, 'url'), ('API', {'url': 'u', 'api_auth_detail': {'auth_method': 'basicauth'}},
        'user_name'),
    ('REDIS', {'address': 'a', 'redis_database': 'x'}, 'redis_database'), ('LDAP', {}, 'url'),
    ('WEBSOCKET', {'url': 'u', 'auth_method': 'basicauth'}, 'user_name'), ('IMF', {'mq_type': 'RocketMQ', **LOGIN},
        'rocketmq'),
    ('SQLITE', {}, 'database_name'), ('SQLITE', {'database_name': 'relative.db'}, 'database_name'),
    ('SQLITE', {'database_name': '/tmp/../etc/x'}, 'database_name'), ('HL7', {}, 'hl7_position'),
    ('OBS', {'address': 'a', 'ak': 'a', 'sk': 's'}, 'bucket_name')])
def test_content_refused(appiad, owner, kind, content, field):
    body = {'datasource_name': 'refused', 'datasource_type': kind, 'app_id': owner, 'content': content}
    refused(appiad.call('POST', BASE, body), 400, 'FDI.3033', f'body.content.{"" if kind == "API" else field}')


@pytest.mark.parametrize('change', [
    {'datasource_name': ''}, {'datasource_name': '   '}, {'datasource_name': 'a&b'}, {'datasource_name': 'a(b)'},
    {'datasource_name': "a'b"}, {'datasource_name': 'a<b'}, {'datasource_name': 'x' * 256}, {'datasource_name': None},
    {'datasource_type': 'NOSQL'}, {'datasource_type': None}, {'app_id': None}, {'app_id': 'abc'}, {'content': None},
    {'content': 'text'}, {'description': 'x' * 1025}])
def test_constraints(appiad, owner, change):
    body = {'datasource_name': 'constraints', 'datasource_type': 'MYSQL', 'app_id': owner, 'content': MYSQL, **change}
    refused(appiad.call('POST', BASE, body), 400, 'FDI.3033')
    assert ok(appiad.call('GET', BASE, query={'name': 'constraints'}))['total'] == 0


def test_platform_files_are_out_of_reach(appiad, owner):
    for name in ('master.key', 'credentials.json'):
        r = appiad.call('POST', BASE, {'datasource_name': 'own', 'datasource_type': 'SQLITE', 'app_id': owner,
                                       'content': {'database_name': os.path.join(appiad.home, name)}})
        refused(r, 400, 'FDI.3033', 'belongs to the platform')


def test_unique_and_unknown_app(appiad, owner):
    a = make(appiad, owner, 'unique', 'REDIS', {'address': 'a:1'})
    make(appiad, owner, 'unique 2', 'REDIS', {'address': 'a:1'})
    body = {'datasource_name': 'unique', 'datasource_type': 'REDIS', 'app_id': owner, 'content': {'address': 'a:1'}}
    refused(appiad.call('POST', BASE, body), 400, 'FDI.3033', 'name')
    path = f'{BASE}/{a["datasource_id"]}'
    assert appiad.call('PUT', path, body).status == 200, 'it may keep its name'
    refused(appiad.call('PUT', path, {**body, 'datasource_name': 'unique 2'}), 400, 'FDI.3033', 'name')
    refused(appiad.call('POST', BASE, {**body, 'app_id': 'unknown', 'datasource_name': 'x'}), 400, 'FDI.3435')


def test_list(appiad, owner):
    other = app(appiad)
    for i in range(3):
        make(appiad, owner, f'list_{i}', 'REDIS', {'address': 'a:1'})
    make(appiad, other, 'list_x', 'LDAP', {'url': 'ldap://x'})

    def names(**query):
        page = ok(appiad.call('GET', BASE, query=query))
        assert page['size'] == len(page['entities']) <= page['total']
        return [d['datasource_name'] for d in page['entities']]

    assert names(name='LIST_') == ['list_x', 'list_2', 'list_1', 'list_0']
    assert names(name='list_', sort_field='CREATED_DATE', sort_type='asc')[0] == 'list_0'
    assert names(name='list_', limit=1, offset=1) == ['list_2']
    assert names(app_id=other) == ['list_x'] and names(name='list_', datasource_type='LDAP') == ['list_x']
    assert names(name='list%') == [] and names(customized='true') == [] and names(custom_plugin_id='x') == []
    assert ok(appiad.call('GET', BASE, query={'name': 'list_', 'limit': 1}))['total'] == 4
    for query in ({'sort_field': 'NAME'}, {'sort_type': 'sideways'}):
        refused(appiad.call('GET', BASE, query=query), 400, 'FDI.3049')
    for query in ({'limit': 501}, {'offset': -1}, {'datasource_type': 'NOSQL'}):
        refused(appiad.call('GET', BASE, query=query), 400, 'FDI.3033')


def test_roles(appiad, worker, owner):
    mine = app(appiad)
    d = make(appiad, mine, 'of members', 'MYSQL', MYSQL)
    path = f'{BASE}/{d["datasource_id"]}'
    uid, token = user(appiad, 'reader_of_sources')
    body = {'datasource_name': 'by a member', 'datasource_type': 'MYSQL', 'app_id': mine, 'content': MYSQL}
    refused(appiad.call('GET', path, token=token), 403, 'FDI.3478')
    assert ok(appiad.call('GET', BASE, token=token))['total'] == 0
    member(appiad, mine, uid, 'read')
    assert ok(appiad.call('GET', path, token=token))['app_permission'] == ['read']
    assert ok(appiad.call('GET', BASE, token=token))['total'] == 1
    for method, url in (('POST', BASE), ('PUT', path), ('DELETE', path), ('POST', path + '/test-connect')):
        refused(appiad.call(method, url, None if method == 'DELETE' else body, token=token), 403, 'FDI.3478')
    member(appiad, mine, uid, 'read', 'modify', 'delete')
    assert appiad.call('PUT', path, body, token=token).status == 200
    refused(appiad.call('PUT', path, {**body, 'app_id': owner}, token=token), 403, 'FDI.3478')
    assert appiad.call('DELETE', path, token=token).status == 204


def test_app_stays_while_used(appiad):
    mine = app(appiad)
    d = make(appiad, mine, 'holds its app', 'REDIS', {'address': 'a:1'})
    assert appiad.call('DELETE', f'{PUBLIC}/apps/{mine}').json['error_code'] == 'ROMA.14014'
    appiad.call('DELETE', f'{BASE}/{d["datasource_id"]}')
    assert appiad.call('DELETE', f'{PUBLIC}/apps/{mine}').status == 200


def test_sqlite(appiad, worker, owner, file):
    d = make(appiad, owner, 'towns', 'SQLITE', {'database_name': file})
    path = f'{BASE}/{d["datasource_id"]}'
    assert ok(appiad.call('POST', path + '/test-connect')) == {'result': True}
    assert ok(appiad.call('GET', path + '/tables', query={'direction_type': 'SOURCE'}))['tables'] == ['big', 'town']
    assert ok(appiad.call('GET', path + '/tables', query={'direction_type': 'SOURCE',
            'filter': 'TOW'}))['tables'] == ['town']
    columns = ok(appiad.call('GET', path + '/columns', query={'direction_type': 'TARGET',
            'table_name': 'town'}))['columns']
    assert [c['field_name'] for c in columns] == ['id', 'name', 'area']
    assert columns[0]['primary'] == 'true' and columns[1]['null_able'] == 'false'
    assert columns[1]['field_length'] == '40'
    assert columns[2]['decimal_digits'] == '2' and 'decimal_digits' not in columns[1]
    again = ok(appiad.call('GET', path + '/columns', query={'direction_type': 'TARGET', 'table_name': 'main.town'}))
    assert again['columns'] == columns
    refused(appiad.call('GET', path + '/columns', query={'direction_type': 'SOURCE', 'table_name': 'village'}), 500,
            'FDI.3126')
    sql = ok(appiad.call('POST', path + '/test-sql', {'sql': 'select name, area from town where id = 1'}))
    assert [c['field_name'] for c in sql['columns']] == ['name', 'area']
    refused(appiad.call('POST', path + '/test-sql', {'sql': 'selec name'}), 400, 'FDI.3035')
    refused(appiad.call('POST', path + '/test-sql', {}), 400, 'FDI.3073')
    refused(appiad.call('POST', path + '/test-sql', {'sql': 'x' * 20001}), 400, 'FDI.3033')
    refused(appiad.call('GET', path + '/tables'), 400, 'FDI.3033', 'direction_type')
    refused(appiad.call('GET', path + '/tables', query={'direction_type': 'LEFT'}), 400, 'FDI.3033')
    refused(appiad.call('GET', path + '/columns', query={'direction_type': 'SOURCE'}), 400, 'FDI.3033', 'table_name')


def test_connect_before_saving(appiad, worker, owner, file):
    body = {'datasource_name': 'new', 'datasource_type': 'SQLITE', 'app_id': owner,
            'content': {'database_name': file}}
    assert ok(appiad.call('POST', BASE + '/any/test-connect', body)) == {'result': True}
    r = appiad.call('POST', BASE + '/any/test-connect', {**body, 'content': {'database_name': file + '.absent'}})
    refused(r, 400, 'FDI.3016')
    refused(appiad.call('POST', BASE + '/any/test-connect'), 404, 'FDI.3101')
    refused(appiad.call('POST', BASE + '/any/test-connect', {**body, 'content': {}}), 400, 'FDI.3033')
    refused(appiad.call('GET', BASE + '/any/tables', query={'direction_type': 'SOURCE'}), 404, 'FDI.3101')


def listener(serve=lambda connection: None):
    """A server that takes connections; without serve it never says anything."""
    server = socket.create_server(('127.0.0.1', 0))
    connections = []

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            connections.append(connection)
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return server, str(server.getsockname()[1]), connections


def test_stored_secret_is_kept(appiad, worker, owner):
    """A PostgreSQL server that asks for the password in clear text tells which one is used."""
    passwords = queue.Queue()

    def serve(connection):
        while True:  # requests to encrypt are declined until the start-up message comes
            start = connection.recv(4096)
            if not start:
                return
            if start[4:8] not in (b'\x04\xd2\x16\x2f', b'\x04\xd2\x16\x30'):
                break
            connection.sendall(b'N')
        connection.sendall(b'R\x00\x00\x00\x08\x00\x00\x00\x03')
        passwords.put(connection.recv(4096)[5:].rstrip(b'\0').decode())
        connection.close()

    server, port, _ = listener(serve)

    def sent(path, body=None):
        refused(appiad.call('POST', path + '/test-connect', body), 400, 'FDI.3016')
        password = passwords.get(timeout=10)
        assert passwords.empty()
        return password

    content = {**RDB, 'host': '127.0.0.1', 'port': port}
    body = {'datasource_name': 'kept', 'datasource_type': 'POSTGRESQL', 'app_id': owner, 'content': content}
    path = f'{BASE}/{ok(appiad.call("POST", BASE, body), 201)["datasource_id"]}'
    assert sent(path) == 'Hidden.Secret-2'
    without = {k: v for k, v in content.items() if k != 'password'}
    for change in ({**content, 'password': MASK}, without):
        assert sent(path, {**body, 'content': change}) == 'Hidden.Secret-2'
        ok(appiad.call('PUT', path, {**body, 'content': change}))
        assert sent(path) == 'Hidden.Secret-2'
    assert sent(path, {**body, 'content': {**content, 'password': 'Hidden.Secret-new'}}) == 'Hidden.Secret-new'
    assert sent(path) == 'Hidden.Secret-2', 'testing changes nothing'
    ok(appiad.call('PUT', path, {**body, 'content': {**content, 'password': 'Hidden.Secret-new'}}))
    assert sent(path) == 'Hidden.Secret-new'
    refused(appiad.call('PUT', path, {**body, 'datasource_type': 'DB2', 'content': without}), 400, 'FDI.3033',
            'password')
    server.close()


def test_hanging_source_blocks_nobody(appiad, worker, owner, file):
    server, port, connections = listener()
    body = {'datasource_name': 'hangs', 'datasource_type': 'MYSQL', 'app_id': owner,
            'content': {**MYSQL, 'host': '127.0.0.1', 'port': port}}
    hanging = ok(appiad.call('POST', BASE, body), 201)['datasource_id']
    quick = make(appiad, owner, 'quick', 'SQLITE', {'database_name': file})['datasource_id']
    replies = []
    threads = [threading.Thread(target=lambda: replies.append(appiad.call('POST', f'{BASE}/{hanging}/test-connect')))
               for _ in range(5)]
    for t in threads:
        t.start()
    end = time.monotonic() + 10
    while len(connections) < 5 and time.monotonic() < end:
        time.sleep(0.01)
    assert len(connections) == 5 and not replies
    start = time.monotonic()
    assert ok(appiad.call('POST', f'{BASE}/{quick}/test-connect')) == {'result': True}
    make(appiad, owner, 'meanwhile', 'REDIS', {'address': 'a:1'})
    assert time.monotonic() - start < 5 and not replies
    for t in threads:
        t.join(40)
    assert len(replies) == 5
    for r in replies:
        refused(r, 400, 'FDI.3016')
    server.close()


def test_without_worker(tmp_path_factory):
    from lib.appiad import Appiad
    daemon = Appiad(tmp_path_factory.mktemp('w'))
    mine = app(daemon)
    d = make(daemon, mine, 'alone', 'REDIS', {'address': 'a:1'})
    r = daemon.call('POST', f'{BASE}/{d["datasource_id"]}/test-connect')
    assert r.status == 503 and 'worker' in r.json['error_msg'], r
    assert daemon.stop() == 0
