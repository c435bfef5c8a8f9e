# SPDX-License-Identifier: Apache-2.0
"""Delegation tokens (KIP-48): others log in for somebody, for a while."""
import base64
import hashlib
import hmac
import os
import re
import time

import pytest

from lib.mqs import Mqs
from lib.wire import Wire, batch, errors

HASH = {'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512'}


@pytest.fixture(scope='module')
def broker():
    apps = [{'put': 'app', 'id': f'id-{n}', 'name': n, 'key': f'key-{n}', 'secret': f'secret-{n}', 'project_id': 'p',
             'disabled': False} for n in ('root', 'owner', 'other')]
    mqs = Mqs(administrators='key-root', published=apps + [
        {'put': 'raw', 'key': 'topic_right/own/key-owner', 'value':
         '{"pub":true,"sub":true,"owner":true,"pub_tags":[],"sub_tags":[]}'}])
    yield mqs
    mqs.stop()
    mqs.remove()


def scram(w, user, password, mechanism='SCRAM-SHA-256', extension=''):
    """The answer of the last step."""
    name, own = HASH[mechanism], base64.b64encode(os.urandom(18)).decode()
    assert w.call('SaslHandshake', 1, mechanism=mechanism)['error_code'] == 0
    first = f'n={user},r={own}{extension}'
    answer = w.call('SaslAuthenticate', 2, auth_bytes=b'n,,' + first.encode())
    if answer['error_code']:
        return answer
    text = answer['auth_bytes'].decode()
    nonce, salt, rounds = re.fullmatch('r=([^,]*),s=([^,]*),i=([0-9]*)', text).groups()
    salted = hashlib.pbkdf2_hmac(name, password.encode(), base64.b64decode(salt), int(rounds))
    key = hmac.digest(salted, b'Client Key', name)
    last = f'c=biws,r={nonce}'
    signature = hmac.digest(hashlib.new(name, key).digest(), f'{first},{text},{last}'.encode(), name)
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    return w.call('SaslAuthenticate', 2, auth_bytes=f'{last},p={proof}'.encode())


def login(broker, app):
    w = Wire(broker, port=broker.sasl_plaintext_port)
    answer = scram(w, 'key-' + app, 'secret-' + app)
    assert answer['error_code'] == 0 and answer['session_lifetime_ms'] == 0
    return w


def by_token(broker, token, mechanism='SCRAM-SHA-256', secret=None, extension=',tokenauth=true'):
    """(connection, answer)"""
    w = Wire(broker, port=broker.sasl_plaintext_port)
    return w, scram(w, token['token_id'], base64.b64encode(secret or token['hmac']).decode(), mechanism, extension)


def create(w, version=3, **fields):
    answer = w.call('CreateDelegationToken', version, **{'renewers': [], 'max_lifetime_ms': -1, **fields})
    return errors()[answer['error_code']], answer


def described(w, owners=None):
    answer = w.call('DescribeDelegationToken', 3, owners=owners)
    assert answer['error_code'] == 0
    return {t['token_id']: t for t in answer['tokens']}


def change(w, name, token, period):
    field = 'renew_period_ms' if name == 'Renew' else 'expiry_time_period_ms'
    answer = w.call(name + 'DelegationToken', 2, **{'hmac': token['hmac'], field: period})
    return errors()[answer['error_code']], answer['expiry_timestamp_ms']


@pytest.mark.parametrize('mechanism', list(HASH))
def test_whoever_has_the_token_is_its_owner(broker, mechanism):
    with Wire(broker) as plain:
        plain.call('CreateTopics', 7, timeout_ms=1000, topics=[
            {'name': n, 'num_partitions': 1, 'replication_factor': 1} for n in ('own', 'foreign')])
    with login(broker, 'owner') as owner:
        name, token = create(owner)
    assert name == 'NONE' and len(token['hmac']) == 64
    assert token['principal_name'] == token['token_requester_principal_name'] == 'key-owner'
    assert token['max_timestamp_ms'] - token['issue_timestamp_ms'] == 7 * 86400000
    assert token['expiry_timestamp_ms'] - token['issue_timestamp_ms'] == 86400000
    w, answer = by_token(broker, token, mechanism)
    with w:
        assert answer['error_code'] == 0 and 86000000 < answer['session_lifetime_ms'] <= 86400000
        assert w.produce('own', batch([b'x']))['error'] == 'NONE'
        assert w.produce('foreign', batch([b'x']))['error'] == 'TOPIC_AUTHORIZATION_FAILED'
        # Tokens beget no tokens.
        assert create(w)[0] == 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'
        assert change(w, 'Renew', token, 1000)[0] == 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'
        assert change(w, 'Expire', token, -1)[0] == 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'
        assert w.call('DescribeDelegationToken', 3, owners=None)['error_code'] == 64
    for wrong in ({'secret': b'x' * 64}, {'extension': ''}, {'extension': ',tokenauth=false'}):
        w, answer = by_token(broker, token, mechanism, **wrong)
        assert errors()[answer['error_code']] == 'SASL_AUTHENTICATION_FAILED', wrong
        w.socket.close()


def test_not_without_a_login(broker):
    with Wire(broker) as plain:
        for version in range(4):
            assert create(plain, version)[0] == 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED'


def test_owner_renewers_and_others(broker):
    with login(broker, 'owner') as owner, login(broker, 'other') as other, login(broker, 'root') as root:
        renewers = [{'principal_type': 'User', 'principal_name': 'key-other'}]
        name, token = create(owner, renewers=renewers, max_lifetime_ms=100000)
        assert name == 'NONE' and token['expiry_timestamp_ms'] - token['issue_timestamp_ms'] == 100000
        name, secret = create(owner)
        seen = described(other)[token['token_id']]
        assert seen['hmac'] == token['hmac'] and seen['renewers'] == renewers
        assert secret['token_id'] not in described(other) and secret['token_id'] in described(root)
        assert described(owner, []) == {}
        assert secret['token_id'] in described(owner, [{'principal_type': 'User', 'principal_name': 'key-owner'}])
        assert described(owner, [{'principal_type': 'User', 'principal_name': 'key-other'}]) == {}
        assert change(other, 'Renew', secret, 1000)[0] == 'DELEGATION_TOKEN_OWNER_MISMATCH'
        assert change(other, 'Renew', {'hmac': b'x'}, 1000)[0] == 'DELEGATION_TOKEN_NOT_FOUND'
        for period, left in ((5000, 5000), (-1, 100000), (1 << 62, 100000)):
            name, at = change(other, 'Renew', token, period)
            assert name == 'NONE' and abs(at - time.time() * 1000 - left) < 10000, period
        assert create(owner, renewers=[{'principal_type': 'Group', 'principal_name': 'x'}])[0] == 'INVALID_PRINCIPAL_TYPE'
        # For others (KIP-373).
        like = {'owner_principal_type': 'User', 'owner_principal_name': 'key-owner'}
        assert create(other, **like)[0] == 'DELEGATION_TOKEN_AUTHORIZATION_FAILED'
        name, made = create(root, **like)
        assert name == 'NONE' and made['principal_name'] == 'key-owner'
        assert made['token_requester_principal_name'] == 'key-root'
        w, answer = by_token(broker, made)
        with w:
            assert answer['error_code'] == 0
            assert w.produce('foreign', batch([b'x']))['error'] == 'TOPIC_AUTHORIZATION_FAILED'


def test_the_end(broker):
    with login(broker, 'owner') as owner:
        _, token = create(owner)
        _, other = create(owner)
        name, at = change(owner, 'Expire', token, 1500)
        assert name == 'NONE'
        w, answer = by_token(broker, token)
        assert answer['error_code'] == 0 and 0 < answer['session_lifetime_ms'] <= 1500
        w.socket.close()
        while time.time() * 1000 <= at:
            time.sleep(0.05)
        w, answer = by_token(broker, token)
        assert errors()[answer['error_code']] == 'SASL_AUTHENTICATION_FAILED'
        w.socket.close()
        assert change(owner, 'Renew', token, 1000)[0] == 'DELEGATION_TOKEN_EXPIRED'
        assert token['token_id'] not in described(owner)
        assert change(owner, 'Expire', other, -1)[0] == 'NONE'
        assert change(owner, 'Expire', other, -1)[0] == 'DELEGATION_TOKEN_NOT_FOUND'


def test_tokens_survive(broker):
    with login(broker, 'owner') as owner:
        _, token = create(owner)
        _, gone = create(owner)
        change(owner, 'Expire', gone, -1)
    broker.kill()
    broker.start()
    w, answer = by_token(broker, token)
    with w:
        assert answer['error_code'] == 0
    w, answer = by_token(broker, gone)
    with w:
        assert errors()[answer['error_code']] == 'SASL_AUTHENTICATION_FAILED'
    # The secret is not on the disk.
    for folder, _, names in os.walk(broker.dir + '/mqs'):
        for name in names:
            with open(os.path.join(folder, name), 'rb') as f:
                assert token['hmac'] not in f.read(), name


def test_the_tool_of_apache_kafka(broker, java, tmp_path):
    config = tmp_path / 'client.properties'
    def properties(user, password, more=''):
        config.write_text(f'''security.protocol=SASL_PLAINTEXT
sasl.mechanism=SCRAM-SHA-512
sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="{user}" password="{password}"{more};
''', encoding='utf-8')
    server = ['--bootstrap-server', f'localhost:{broker.sasl_plaintext_port}', '--command-config', config]
    tool = 'org.apache.kafka.tools.DelegationTokenCommand'
    properties('key-owner', 'secret-owner')
    out = java.run(tool, *server, '--create', '--max-life-time-period', -1, '--renewer-principal', 'User:key-other')
    token, secret = re.search(r'^(\w+)\s+(\S+==)\s+', out, re.M).groups()
    assert token in java.run(tool, *server, '--describe', '--owner-principal', 'User:key-owner')
    java.run(tool, *server, '--renew', '--renew-time-period', 100000, '--hmac', secret)
    properties(token, secret, ' tokenauth="true"')
    java.run('org.apache.kafka.tools.ConsoleProducer', *server, '--topic', 'own', text='by token\n')
    properties('key-owner', 'secret-owner')
    java.run(tool, *server, '--expire', '--expiry-time-period', -1, '--hmac', secret)
    assert token not in java.run(tool, *server, '--describe', '--owner-principal', 'User:key-owner')
