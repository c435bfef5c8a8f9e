# SPDX-License-Identifier: Apache-2.0
import json
import re
import time

from harness import CONSTANT, HEADER, LIVEDATA, MOCK, PATH, QUERY, REQUEST, SYSTEM, AUTHORIZER


def test_plain_call(shared):
    shared.api('/hello', backend_path='/echo')
    answer = shared.call('/hello?a=1&b=%20')
    assert answer.status == 200
    assert shared.backend.last['target'] == '/echo?a=1&b=%20'
    assert shared.backend.last['get']['host'] == shared.backend.address
    assert re.fullmatch('[0-9a-f]{32}', answer.get['x-request-id'])
    assert shared.backend.last['get']['x-request-id'] == answer.get['x-request-id']
    assert shared.backend.last['get']['x-forwarded-for'] == '127.0.0.1'
    assert [k for k, _ in answer.headers].count('X-Request-Id') == 1


def test_request_ids_differ(shared):
    ids = {shared.call('/hello').get['x-request-id'] for _ in range(50)}
    assert len(ids) == 50


def test_unknown_path_method_stage_group(shared):
    for answer in (shared.call('/nowhere'), shared.call('/hello', method='POST'), shared.call('/Hello'),
                   shared.call('/hello/'), shared.call('/hello', headers={'X-Stage': 'DEV'}),
                   shared.call('/hello', headers={'X-Stage': 'a/../b'}), shared.call('/hello', host='other.example'),
                   shared.call('/hello', host='127.0.0.1')):
        assert answer.status == 404
        assert answer.code == 'APIG.0101'
        assert answer.get['content-type'] == 'application/json'
        assert list(answer.json) == ['error_msg', 'error_code', 'request_id']
        assert answer.json['request_id'] == answer.get['x-request-id']


def test_host_is_found_in_any_case_and_with_port(shared):
    assert shared.call('/hello', host='TEST.Example:1234').status == 200


def test_call_by_address_goes_to_default_group(shared):
    shared.api('/ip', group='default', backend_path='/echo')
    assert shared.call('/ip', host='127.0.0.1').status == 200
    assert shared.call('/ip', host='unknown.example').status == 200
    assert shared.call('/ip').status == 404


def test_stage(shared):
    shared.api('/staged', env='RELEASE', backend_path='/echo?')
    shared.api('/staged', env='DEV', env_id='env-dev', backend_path='/dev')
    assert shared.call('/staged', headers={'X-Stage': 'DEV'}).status == 200
    assert shared.backend.last['target'] == '/dev'
    assert shared.call('/staged', headers={'X-Stage': 'RELEASE'}).status == 200
    assert shared.call('/staged', headers={'X-Stage': 'release'}).status == 404


def test_path_parameters_and_prefix(shared):
    shared.api('/p/{id}/x', backend_path='/back/{id}')
    shared.api('/g/{rest+}', backend_path='/back/{rest}')
    shared.api('/swa', prefix=True, backend_path='/prefixed')
    shared.call('/p/a%20b/x')
    assert shared.backend.last['target'] == '/back/a%20b'
    shared.call('/g/a/b%3Fc')
    assert shared.backend.last['target'] == '/back/a/b%3Fc'
    shared.call('/swa/AA/BB?x=1')
    assert shared.backend.last['target'] == '/prefixed/AA/BB?x=1'
    shared.call('/swa')
    assert shared.backend.last['target'] == '/prefixed'
    assert shared.call('/swaCC').status == 404


def test_canonical_path_is_matched_and_forwarded(shared):
    shared.api('/canon', prefix=True)
    for sent, forwarded in (('/canon/%61dm', '/canon/adm'), ('/canon/a/../adm', '/canon/adm'),
                            ('/canon/x%2f..%2fadm', '/canon/adm'), ('/x/../canon/y', '/canon/y'),
                            ('/canon/a%252e', '/canon/a%252e'), ('/canon//y', '/canon//y')):
        assert shared.call(sent).status == 200, sent
        assert shared.backend.last['target'] == forwarded, sent


def test_mapping(shared):
    shared.api('/map/{id}', backend_path='/m/{pid}/end', params=[
        {'name': 'q', 'location': QUERY}, {'name': 'X-In', 'location': HEADER, 'pass_through': True}],
        backend_params=[
            {'name': 'pid', 'location': PATH, 'origin': REQUEST, 'value': 'id', 'from': PATH},
            {'name': 'X-Q', 'location': HEADER, 'origin': REQUEST, 'value': 'q', 'from': QUERY},
            {'name': 'fixed', 'location': QUERY, 'origin': CONSTANT, 'value': 'a b'},
            {'name': 'X-Const', 'location': HEADER, 'origin': CONSTANT, 'value': 'true value'},
            {'name': 'ip', 'location': QUERY, 'origin': SYSTEM, 'value': '$context.sourceIp'},
            {'name': 'api', 'location': QUERY, 'origin': SYSTEM, 'value': '$context.apiName'},
            {'name': 'X-Time', 'location': HEADER, 'origin': SYSTEM, 'value': '$context.handleTime'},
            {'name': 'X-Addr', 'location': HEADER, 'origin': SYSTEM, 'value': '$context.serverAddr'},
            {'name': 'X-Appia-App', 'location': HEADER, 'origin': CONSTANT, 'value': 'forged'}])
    answer = shared.call('/map/7%2f8?q=v%20w&other=1&fixed=forged', headers={'X-In': 'i', 'X-Const': 'forged'})
    assert answer.status == 404  # %2f is a slash
    answer = shared.call('/map/7?q=v%20w&other=1&fixed=forged', headers={'X-In': 'i', 'X-Const': 'forged'})
    assert answer.status == 200
    last = shared.backend.last
    assert re.fullmatch(r'/m/7/end\?other=1&fixed=a%20b&ip=127\.0\.0\.1&api=name\d+', last['target'])
    assert last['get']['x-q'] == 'v w' and last['get']['x-in'] == 'i'
    assert [v for k, v in last['headers'] if k.lower() == 'x-const'] == ['true value']
    assert last['get']['x-addr'] == '127.0.0.1' and last['get']['x-time'].isdigit()
    assert 'x-appia-app' not in last['get']


def test_parameter_validation(shared):
    shared.api('/v', backend_path='/echo', params=[
        {'name': 'id', 'location': QUERY, 'required': True, 'validate': True, 'number': True, 'min': '1', 'max': '10'}])
    assert shared.call('/v?id=10').status == 200
    before = len(shared.backend.requests)
    for target in ('/v', '/v?id=11', '/v?id=x', '/v?ID=5', '/v?id=5&id=99', '/v?id=%zz'):
        answer = shared.call(target)
        assert (answer.status, answer.code) == (400, 'APIG.0201'), target
    assert 'id' in shared.call('/v').json['error_msg']
    assert len(shared.backend.requests) == before


def test_header_injection_by_parameters(shared):
    shared.api('/inject', backend_path='/echo', backend_params=[
        {'name': 'X-Q', 'location': HEADER, 'origin': REQUEST, 'value': 'q', 'from': QUERY}])
    assert shared.call('/inject?q=a%0d%0aX-Evil:%201').status == 400
    assert shared.call('/inject?q=fine').status == 200


def test_mock(shared):
    shared.api('/mock', backend=MOCK, mock_status=201, mock_body='{"a":1}')
    shared.api('/mock-text', backend=MOCK, mock_body='text')
    answer = shared.call('/mock')
    assert (answer.status, answer.body, answer.get['content-type']) == (201, b'{"a":1}', 'application/json')
    answer = shared.call('/mock-text', method='GET')
    assert (answer.status, answer.body, answer.get['content-type']) == (200, b'text', 'text/plain')
    assert len(answer.get['x-request-id']) == 32
    shared.api('/mock-headers', backend=MOCK, mock_body='{}', mock_headers=[
        {'name': 'X-One', 'value': '1'}, {'name': 'X-One', 'value': '2'}, {'name': 'Content-Type', 'value': 'text/csv'},
        {'name': 'Content-Length', 'value': '9'}, {'name': 'X-Request-Id', 'value': 'mine'}, {'name': 'X-Bad', 'value': 'a\r\nX: b'}])
    answer = shared.call('/mock-headers')
    names = [k.lower() for k, _ in answer.headers]
    assert [v for k, v in answer.headers if k == 'X-One'] == ['1', '2'] and answer.get['content-type'] == 'text/csv'
    assert answer.get['content-length'] == '2' and len(answer.get['x-request-id']) == 32
    assert len(set(names)) == len(names) - 1 and 'x-bad' not in names and 'x' not in names


def test_other_methods(shared):
    shared.api('/methods', method='ANY')
    shared.api('/purged', method='PURGE', backend=MOCK, mock_body='gone')
    assert shared.call('/methods', method='REPORT').json['method'] == 'REPORT'
    assert shared.call('/purged', method='PURGE').body == b'gone'
    assert shared.call('/purged').status == 404


def test_api_that_calls_itself(shared):
    """Ten layers and no more; what clients send cannot make the way longer."""
    loop = shared.api('/loop', address=f'127.0.0.1:{shared.gateway.port}', host_header='test.example')
    for headers in ({}, {'X-Appia-Layer': '00'}):
        before = count(shared, loop)
        answer = shared.call('/loop', headers=headers)
        assert answer.status == 500 and answer.code == 'APIG.0612'
        assert count(shared, loop) - before == 10
    assert shared.call('/loop', headers={'X-Appia-Layer': '7'}).code == 'APIG.0612'
    assert count(shared, loop) == 23
    shared.api('/layers')
    for bad in ('10', '-1', 'x', '', '99999999999999999999'):
        assert shared.call('/layers', headers={'X-Appia-Layer': bad}).code == 'APIG.0612'
    shared.call('/layers', headers={'X-Appia-Layer': '4'})
    assert shared.backend.last['get']['x-appia-layer'] == '05'


def count(shared, api):
    line = re.search(rf'appia_api_requests_total{{api="{api}",environment="RELEASE"}} (\d+)', shared.gateway.metrics().body.decode())
    return int(line.group(1)) if line else 0


def test_livedata(shared):
    shared.api('/ld/{id}', method='POST', backend=LIVEDATA, livedata_id='ld-1', backend_path='/ld/{id}')
    answer = shared.call('/ld/5?x=1', method='POST', body=b'{"k":1}',
                         headers={'X-Appia-Livedata': 'forged', 'X-Appia-App': 'forged', 'X-Appia-Else': 'forged'})
    assert answer.status == 200
    last = shared.worker.last
    assert (last['method'], last['target'], last['body']) == ('POST', '/ld/5?x=1', b'{"k":1}')
    ours = [(k.lower(), v) for k, v in last['headers'] if k.lower().startswith('x-appia')]
    assert ours == [('x-appia-livedata', 'ld-1'), ('x-appia-app', ''), ('x-appia-timeout', '2000')]
    assert last['get']['x-request-id'] == answer.get['x-request-id']


def test_protocol(shared):
    shared.api('/https-only', protocols=2, backend_path='/echo')
    answer = shared.call('/https-only')
    assert (answer.status, answer.code) == (400, 'APIG.0607')
    assert answer.json['error_msg'] == 'The following protocol is supported: https'
    assert shared.call('/https-only', tls=True).status == 200
    shared.api('/http-only', protocols=1, backend_path='/echo')
    assert shared.call('/http-only', tls=True).code == 'APIG.0607'


def test_authorizer_is_closed(shared):
    shared.api('/authorizer', auth=AUTHORIZER, backend_path='/echo')
    answer = shared.call('/authorizer')
    assert (answer.status, answer.code) == (500, 'APIG.0606')


def test_cors(shared):
    shared.api('/cors', cors=True, backend_path='/forged')
    answer = shared.call('/cors')
    assert [v for k, v in answer.headers if k == 'Access-Control-Allow-Origin'] == ['*']
    assert answer.get['access-control-max-age'] == '172800'
    assert 'X-Sdk-Date' in answer.get['access-control-allow-headers']
    assert 'PATCH' in answer.get['access-control-allow-methods']
    shared.api('/no-cors', backend_path='/forged')
    answer = shared.call('/no-cors')
    assert answer.get['access-control-allow-origin'] == 'https://one.example'


def test_backend_cannot_forge_our_headers(shared):
    shared.api('/forged-id', backend_path='/forged')
    answer = shared.call('/forged-id')
    assert answer.status == 200 and len(answer.get['x-request-id']) == 32
    assert 'x-accel-redirect' not in answer.get and answer.get['server'] == 'nginx' and answer.get['x-mine'] == '1'


def test_debug_headers(shared):
    shared.api('/latency', backend_path='/slow/0.05')
    answer = shared.call('/latency', headers={'X-Apig-Mode': 'debug'})
    assert int(answer.get['x-apig-latency']) >= int(answer.get['x-apig-upstream-latency']) >= 40
    assert 'x-apig-latency' not in shared.call('/latency').get
    shared.api('/latency-mock', backend=MOCK, mock_body='x')
    answer = shared.call('/latency-mock', headers={'X-Apig-Mode': 'debug'})
    assert 'x-apig-latency' in answer.get and 'x-apig-upstream-latency' not in answer.get


def test_debugging_domain_is_limited(make_world):
    world = make_world()
    world.api('/d', group='group2', backend=MOCK, mock_body='x')
    statuses = [world.call('/d', host='debug.example').status for _ in range(1001)]
    assert statuses[:1000] == [200] * 1000
    answer = world.call('/d', host='debug.example')
    assert (statuses[1000], answer.status, answer.code) == (429, 429, 'APIG.0308')


def test_publish_and_offline_without_reload(shared):
    api = shared.api('/comes-and-goes', backend=MOCK, mock_body='one')
    assert shared.call('/comes-and-goes').body == b'one'
    shared.published.offline('group1', api)
    assert shared.call('/comes-and-goes').status == 404
    shared.api('/comes-and-goes', backend=MOCK, mock_body='two')
    assert shared.call('/comes-and-goes').body == b'two'


def test_damaged_values_are_errors_not_crashes(shared):
    api = shared.api('/damaged', backend=MOCK, mock_body='x')
    shared.published.write({'put': 'raw', 'key': f'api/env-release/{api}', 'value': 'nonsense'})
    answer = shared.call('/damaged')
    assert (answer.status, answer.code) == (500, 'APIG.0606')
    shared.published.write({'put': 'raw', 'key': 'host/broken.example', 'value': ''})
    assert shared.call('/damaged', host='broken.example').code == 'APIG.0606'
    shared.published.write({'put': 'raw', 'key': 'route/default/RELEASE', 'value': 'nonsense'})
    assert shared.call('/x', host='1.2.3.4').status == 404
    shared.published.write(shared.published.routes('default'))


def test_gateway_starts_before_the_published_state(certificate, tmp_path):
    import pathlib
    import shutil
    import tempfile
    from harness import Gateway, Published
    folder = pathlib.Path(tempfile.mkdtemp(prefix='appia-gw-'))
    gateway = Gateway(folder, cert=certificate)
    try:
        answer = gateway.call('/late')
        assert (answer.status, answer.code) == (500, 'APIG.0606')
        published = Published(folder)
        published.write({'put': 'host', 'name': 'test.example', 'group_id': 'g'})
        published.api('g', path='/late', backend=MOCK, mock_body='there')
        deadline = time.time() + 3
        while gateway.call('/late').status != 200:
            assert time.time() < deadline
            time.sleep(0.02)
        published.close()
    finally:
        gateway.close()
        shutil.rmtree(folder)


def test_metrics(shared):
    api = shared.api('/counted', backend_path='/status/503')
    for _ in range(3):
        assert shared.call('/counted').status == 503
    text = shared.gateway.metrics().body.decode()
    assert f'appia_api_requests_total{{api="{api}",environment="RELEASE"}} 3\n' in text
    assert f'appia_api_responses_5xx_total{{api="{api}",environment="RELEASE"}} 3\n' in text
    assert 'appia_counters_lost_total 0' in text
    assert shared.call('/metrics').status == 404


def test_backend_errors_pass_through(shared):
    shared.api('/be/{s}', backend_path='/status/{s}')
    answer = shared.call('/be/404')
    assert answer.status == 404 and 'error_code' not in json.loads(answer.body)
    assert shared.call('/be/500').status == 500
    assert shared.call('/be/204').status == 204
