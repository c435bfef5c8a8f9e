# SPDX-License-Identifier: Apache-2.0
"""The control plane logs in to the Kafka it manages, with TLS and passwords, and what applications may do with topics
becomes that Kafka's access control list."""
import os
import signal
import subprocess

import pytest

from lib.apic import app, ok
from lib.appiad import BUILD, Appiad, store_settings, wait_for
from lib.kafka import SECURED, allow_scram, start_apache_kafka
from lib.mqs import Mqs
from lib.mqs import app as published_app
from lib.mqs_api import MQS, TOPICS, create, delete

MESSAGES = MQS + '/messages'
ALL = {'start_time': 0, 'end_time': 9999999999999}


def control_plane(home, store=None, **settings):
    """store: of one that has run in this home before; else a fresh one."""
    store = store_settings() if store is None else store
    return Appiad(home, {**store, **{f'APPIA_MQS_{k.upper()}': str(v) for k, v in settings.items()}})


def kcat(address, protocol, mechanism, user, password, *args, data=b'', ca=None):
    """(exit code, output, errors)."""
    more = ['-X', f'ssl.ca.location={ca}'] if ca else []
    done = subprocess.run(['kcat', '-b', address, '-X', f'security.protocol={protocol}', '-X', f'sasl.mechanisms={mechanism}',
                           '-X', f'sasl.username={user}', '-X', f'sasl.password={password}', *more, *args],
                          input=data, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def walk(appiad, produce):
    """Something of everything that is asked of a Kafka: by librdkafka and by our own client."""
    i = ok(appiad.call('GET', MQS))
    assert i['status'] == 'RUNNING'
    owner = app(appiad)
    create(appiad, owner, 'walk', partition=2)
    assert appiad.call('PUT', TOPICS, {'topics': [{'name': 'walk', 'retention_time': 1}]}).status == 204
    produce('walk')
    m = ok(appiad.call('GET', MESSAGES, query={'topic': 'walk', **ALL}))['messages']
    assert [x['value'] for x in m] == ['hello']
    again = {'topic': 'walk', 'partition': m[0]['partition'], 'message_offset': 0}
    assert ok(appiad.call('POST', MESSAGES + '/action', again, query={'action_id': 'resend'}))['topic'] == 'walk'
    assert ok(appiad.call('GET', MQS + '/groups'))['groups'] == []
    usage = ok(appiad.call('GET', TOPICS + '/diskusage'))['broker_list'][0]
    assert ('walk', str(m[0]['partition'])) in {(t['topic_name'], t['topic_partition']) for t in usage['topic_list']}
    delete(appiad, 'walk')
    return i


@pytest.fixture(scope='module')
def broker():
    mqs = Mqs(tls=True, published=[published_app('admin'), published_app('other')], administrators='key-admin')
    yield mqs
    mqs.stop()
    mqs.remove()


def login(broker, mechanism='PLAIN', **settings):
    return {'security_protocol': 'sasl_ssl', 'sasl_mechanism': mechanism, 'sasl_user': 'key-admin',
            'sasl_password': 'secret-admin', 'ca_file': broker.ca, **settings}


@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
def test_tls_and_password(broker, tmp_path, mechanism):
    def produce(topic):
        code, _, errors = kcat(f'127.0.0.1:{broker.sasl_port}', 'SASL_SSL', mechanism, 'key-admin', 'secret-admin', '-P',
                               '-t', topic, data=b'hello', ca=broker.ca)
        assert code == 0, errors
    appiad = control_plane(tmp_path, engine='kafka', bootstrap_servers=f'127.0.0.1:{broker.sasl_port}',
                           **login(broker, mechanism))
    try:
        i = walk(appiad, produce)
        assert i['ssl_enable'] and not i['vpc_client_plain'] and i['port'] == broker.sasl_port
    finally:
        assert appiad.stop() == 0


def test_own_broker_without_plain_port(broker, tmp_path):
    """With the platform's own broker the first open listener is taken, by the broker's settings."""
    def produce(topic):
        assert subprocess.run(['kcat', '-b', broker.address, '-P', '-t', topic], input=b'hello', timeout=60,
                              check=False).returncode == 0
    settings = login(broker)
    del settings['security_protocol']
    appiad = control_plane(tmp_path, port=0, sasl_port=broker.sasl_port, **settings)
    try:
        walk(appiad, produce)
    finally:
        assert appiad.stop() == 0


@pytest.mark.parametrize('change,code,text', [
    ({'sasl_password': 'wrong'}, 'MQS.005000070', 'refuses the user'),
    ({'sasl_user': 'key-nobody'}, 'MQS.005000070', 'refuses the user'),
    ({'sasl_mechanism': 'SCRAM-SHA-512', 'sasl_password': 'wrong'}, 'MQS.005000070', 'refuses the user'),
    ({'ca_file': '/etc/ssl/certs/ca-certificates.crt'}, 'MQS.005000070', 'certificate'),
    ({'ca_file': '/nowhere'}, 'MQS.005000070', 'certificates'),
    ({'bootstrap_servers': 'sasl_plaintext'}, 'MQS.005000070', 'TLS'),
    ({'security_protocol': 'sasl_plaintext'}, 'MQS.0050000', ''),
    ({'security_protocol': 'plaintext'}, 'MQS.0050000', ''),
    ({'sasl_user': 'key-other', 'sasl_password': 'secret-other'}, 'MQS.005000020', 'Kafka refused it')])
def test_not_let_in(broker, tmp_path, change, code, text):
    settings = {'bootstrap_servers': f'127.0.0.1:{broker.sasl_port}', **login(broker), **change}
    if change.get('bootstrap_servers'):
        settings['bootstrap_servers'] = f'127.0.0.1:{broker.sasl_plaintext_port}'
    appiad = control_plane(tmp_path, engine='kafka', **settings)
    try:
        owner = app(appiad)
        for r in (appiad.call('POST', TOPICS, {'name': 'never', 'app_id': owner, 'access_policy': 'all', 'partition': 1}),
                  appiad.call('GET', TOPICS + '/diskusage')):
            assert r.status == 500 and r.json['error_code'].startswith(code) and text in r.json['error_msg'], r
            assert 'wrong' not in r.json['error_msg'] and 'secret' not in r.json['error_msg']
        assert ok(appiad.call('GET', TOPICS))['total'] == 0
        status = ok(appiad.call('GET', MQS))['status']
        assert status == ('RUNNING' if code == 'MQS.005000020' else 'ERROR')
    finally:
        assert appiad.stop() == 0


@pytest.mark.parametrize('settings,text', [
    ({'engine': 'kafka', 'security_protocol': 'sasl_ssl'}, 'mqs.sasl_user'),
    ({'port': 0, 'sasl_port': 0}, 'listener'), ({'security_protocol': 'ssl'}, 'listener'),
    ({'port': 0}, 'mqs.sasl_user'),
    ({'engine': 'kafka', 'sasl_password': 'sealed:AAAA'}, 'sealed')])
def test_settings_that_do_not_fit(tmp_path, settings, text):
    """The control plane does not start with them, and says why."""
    with pytest.raises(AssertionError, match=text):
        control_plane(tmp_path, **settings)


def test_sealed_password(broker, tmp_path):
    store = store_settings()
    appiad = control_plane(tmp_path, store)
    assert appiad.stop() == 0

    def seal(*args, password=b'secret-admin\n'):
        return subprocess.run([os.path.join(BUILD, 'src/bin/appia'), 'seal', *args], input=password, timeout=30, check=False,
                              capture_output=True, env={**os.environ, 'APPIA_HOME': str(tmp_path)})
    done = seal('mqs.sasl_password')
    sealed = done.stdout.decode().strip()
    assert done.returncode == 0 and sealed.startswith('sealed:') and 'secret-admin' not in sealed
    assert seal().returncode == seal('other').returncode == 2
    assert seal('mqs.sasl_password', password=b'').returncode == 1
    assert seal('mqs.sasl_password', password=b'x' * 1025).returncode == 1
    appiad = control_plane(tmp_path, store, engine='kafka', bootstrap_servers=f'127.0.0.1:{broker.sasl_port}',
                           **login(broker, sasl_password=sealed))
    try:
        assert ok(appiad.call('GET', MQS))['status'] == 'RUNNING'
    finally:
        assert appiad.stop() == 0


class Secured:
    """A Kafka where key-one and key-two may nothing but what its access control list says."""

    def __init__(self, engine):
        if engine == 'apache':
            self.kafka = start_apache_kafka(config=SECURED)
            self.address, self.user, self.password = self.kafka.address, 'admin', 'admin-secret'
        else:
            self.kafka = Mqs(published=[published_app(n) for n in ('admin', 'one', 'two')], administrators='key-admin')
            self.address = f'127.0.0.1:{self.kafka.sasl_plaintext_port}'
            self.user, self.password = 'key-admin', 'secret-admin'

    def may_publish(self, name, topic):
        code, _, errors = kcat(self.address, 'SASL_PLAINTEXT', 'PLAIN', f'key-{name}', f'secret-{name}', '-P', '-t', topic, '-p',
                               '0', '-X', 'message.timeout.ms=10000', data=b'hello')
        assert code == 0 or b'uthorization' in errors, errors
        return code == 0

    def may_read(self, name, topic):
        """As a member of a group, with the rights that takes."""
        code, out, errors = kcat(self.address, 'SASL_PLAINTEXT', 'PLAIN', f'key-{name}', f'secret-{name}', '-G', f'readers-{name}',
                                 '-e', '-X', 'auto.offset.reset=earliest', topic)
        assert code == 0 or b'uthorization' in errors, errors
        return code == 0 and b'uthorization' not in errors


@pytest.fixture(scope='module', params=['apache', 'embedded'])
def secured(request):
    s = Secured(request.param)
    yield s
    s.kafka.stop()


@pytest.fixture
def manager(secured, tmp_path):
    appiad = control_plane(tmp_path, engine='kafka', bootstrap_servers=secured.address, security_protocol='sasl_plaintext',
                           sasl_user=secured.user, sasl_password=secured.password)
    yield appiad
    assert appiad.stop() == 0


def test_password_without_tls(secured, manager):
    def produce(topic):
        code, _, errors = kcat(secured.address, 'SASL_PLAINTEXT', 'PLAIN', secured.user, secured.password, '-P', '-t', topic,
                               data=b'hello')
        assert code == 0, errors
    walk(manager, produce)


def test_scram_without_tls(secured, tmp_path):
    """Also with a librdkafka whose SCRAM Apache Kafka refuses."""
    if not isinstance(secured.kafka, Mqs):
        allow_scram(secured.kafka, 'SCRAM-SHA-512')

    def produce(topic):
        code, _, errors = kcat(secured.address, 'SASL_PLAINTEXT', 'PLAIN', secured.user, secured.password, '-P', '-t', topic,
                               data=b'hello')
        assert code == 0, errors
    appiad = control_plane(tmp_path, engine='kafka', bootstrap_servers=secured.address, security_protocol='sasl_plaintext',
                           sasl_mechanism='SCRAM-SHA-512', sasl_user=secured.user, sasl_password=secured.password)
    try:
        walk(appiad, produce)
    finally:
        assert appiad.stop() == 0


def test_permissions_become_an_access_list(secured, manager):
    owner = app(manager, 'one', key='key-one')
    app(manager, 'two', key='key-two')
    assert not secured.may_publish('one', 'rights')
    create(manager, owner, 'rights', partition=1, access_policy='pub')
    wait_for(lambda: secured.may_publish('one', 'rights'), what='the owner to publish')
    assert secured.may_read('one', 'rights') and not secured.may_publish('two', 'rights')
    path = TOPICS + '/rights/access-policies/batch-add'

    def permit(access):
        r = manager.call('POST', path, {'policies': [{'user_name': 'key-two', 'app_name': 'two', 'access_policy': access}]})
        assert r.status == 204, r
    permit('sub')
    wait_for(lambda: secured.may_read('two', 'rights'), what='the other to read')
    assert not secured.may_publish('two', 'rights')
    permit('pub')
    wait_for(lambda: secured.may_publish('two', 'rights'), what='the other to publish')
    wait_for(lambda: not secured.may_read('two', 'rights'), what='the other to read no longer')
    body = {'topics': [{'name': 'rights', 'policies': [{'app_id': owner, 'app_name': 'one', 'access_policy': 'all'}]}]}
    assert manager.call('POST', TOPICS + '/accesspolicy', body).status == 204
    wait_for(lambda: not secured.may_publish('two', 'rights'), what='the other to have no rights')
    assert secured.may_publish('one', 'rights')
    # Nothing is left for a topic of the same name that others make.
    delete(manager, 'rights')
    third = app(manager, 'three')
    create(manager, third, 'rights', partition=1)
    wait_for(lambda: not secured.may_publish('one', 'rights'), what='the former owner to have no rights')
    delete(manager, 'rights')


def test_rights_follow_when_kafka_returns(secured, tmp_path):
    """A change while Kafka is away is made good when it is back."""
    appiad = control_plane(tmp_path, engine='kafka', bootstrap_servers=secured.address, security_protocol='sasl_plaintext',
                           sasl_user=secured.user, sasl_password=secured.password)
    try:
        owner = app(appiad, 'owner')
        app(appiad, 'one', key='key-one')
        create(appiad, owner, 'later', partition=1)
        secured.kafka.process.send_signal(signal.SIGSTOP)
        r = appiad.call('POST', TOPICS + '/later/access-policies/batch-add', {'policies': [
            {'user_name': 'key-one', 'app_name': 'one', 'access_policy': 'pub'}]})
        assert r.status == 204, r
        secured.kafka.process.send_signal(signal.SIGCONT)
        wait_for(lambda: secured.may_publish('one', 'later'), 60, what='the right')
        delete(appiad, 'later')
    finally:
        secured.kafka.process.send_signal(signal.SIGCONT)
        assert appiad.stop() == 0
