# SPDX-License-Identifier: Apache-2.0
"""Debian's kcat, with Debian's librdkafka."""
import re
import shutil
import subprocess
import time

import pytest

pytestmark = pytest.mark.skipif(not shutil.which('kcat'), reason='kcat is not installed')


def kcat(mqs, *args, text='', seconds=30, address=None):
    done = subprocess.run(['kcat', '-b', address or mqs.address, *args], input=text, capture_output=True, text=True, timeout=seconds,
                          check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_lists_the_cluster(mqs):
    assert f'broker 1 at 127.0.0.1:{mqs.port} (controller)' in kcat(mqs, '-L')


@pytest.mark.parametrize('codec', ['none', 'gzip', 'snappy', 'lz4', 'zstd'])
def test_consumes_what_was_produced(mqs, codec):
    lines = [f'{codec} {i}' for i in range(500)]
    kcat(mqs, '-P', '-t', 'codec-' + codec, '-p', '0', '-z', codec, text='\n'.join(lines) + '\n')
    assert kcat(mqs, '-C', '-t', 'codec-' + codec, '-p', '0', '-e', '-q').splitlines() == lines


@pytest.mark.parametrize('acks', ['0', '1', 'all'])
def test_acks(mqs, acks):
    kcat(mqs, '-P', '-t', 'acks-' + acks, '-p', '0', '-X', 'acks=' + acks, text='one\n')
    assert kcat(mqs, '-C', '-t', 'acks-' + acks, '-p', '0', '-c', '1', '-q') == 'one\n'


def test_group_goes_on_where_it_was(mqs):
    kcat(mqs, '-P', '-t', 'groups', '-p', '0', text='a\nb\n')
    options = ['-G', 'g', '-X', 'auto.offset.reset=earliest', '-q', '-c']
    assert kcat(mqs, *options, '1', 'groups') == 'a\n'
    assert kcat(mqs, *options, '1', 'groups') == 'b\n'


def test_old_message_formats(mqs):
    kcat(mqs, '-P', '-t', 'old', '-p', '0', '-X', 'api.version.request=false', '-X', 'broker.version.fallback=0.9.0',
         text='x\ny\n')
    got = kcat(mqs, '-C', '-t', 'old', '-p', '0', '-e', '-q', '-X', 'api.version.request=false', '-X',
               'broker.version.fallback=0.9.0')
    assert got == 'x\ny\n'
    assert kcat(mqs, '-C', '-t', 'old', '-p', '0', '-e', '-q') == 'x\ny\n'


def test_no_feature_of_the_client_is_switched_off(mqs):
    done = subprocess.run(['kcat', '-b', mqs.address, '-L', '-X', 'debug=feature'], capture_output=True, text=True,
                          timeout=30, check=True)
    assert 'Disabling feature' not in done.stderr


def test_offset_of_a_time(mqs):
    kcat(mqs, '-P', '-t', 'times', '-p', '0', text='a\nb\n')
    assert 'offset 0' in kcat(mqs, '-Q', '-t', 'times:0:1')
    assert 'offset 2' in kcat(mqs, '-Q', '-t', 'times:0:-1')


def login(mqs, app, mechanism='PLAIN', protocol='SASL_PLAINTEXT'):
    """Address and options of an application."""
    port = mqs.sasl_port if protocol == 'SASL_SSL' else mqs.sasl_plaintext_port
    options = {'security.protocol': protocol, 'sasl.mechanisms': mechanism, 'sasl.username': f'key-{app}',
               'sasl.password': f'secret-{app}', 'ssl.ca.location': mqs.ca}
    return f'localhost:{port}', [w for k, v in options.items() for w in ('-X', f'{k}={v}')]


def failure(address, *args, text=''):
    done = subprocess.run(['kcat', '-b', address, *args], input=text, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0 and not done.stdout, (done.stdout, done.stderr)
    return done.stderr


@pytest.mark.parametrize('protocol', ['SASL_PLAINTEXT', 'SASL_SSL'])
@pytest.mark.parametrize('mechanism', ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'])
def test_sasl(mqs, mechanism, protocol):
    topic = f'sasl-{mechanism}-{protocol}'
    address, who = login(mqs, 'root', mechanism, protocol)
    kcat(mqs, '-P', '-t', topic, '-p', '0', *who, text='a\nb\n', address=address)
    assert kcat(mqs, '-C', '-t', topic, '-p', '0', '-e', '-q', *who, address=address) == 'a\nb\n'
    assert 'wrong user or password' in failure(address, '-L', '-m', '2', *who, '-X', 'sasl.password=wrong')


def test_denials(mqs):
    address, who = login(mqs, 'low')
    kcat(mqs, '-P', '-t', 'denied', '-p', '0', text='a\n')
    assert 'authorization failed' in failure(address, '-P', '-t', 'denied', '-p', '0', *who, text='x\n')
    assert 'authorization failed' in failure(address, '-C', '-t', 'denied', '-p', '0', '-e', *who)
    assert 'topic "denied"' not in kcat(mqs, '-L', *who, address=address)


def test_a_transaction(mqs):
    kcat(mqs, '-P', '-t', 'txn', '-p', '0', '-X', 'transactional.id=kcat', text='a\nb\n')
    kcat(mqs, '-P', '-t', 'txn', '-p', '0', text='c\n')
    assert kcat(mqs, '-C', '-t', 'txn', '-p', '0', '-e', '-q', '-X', 'isolation.level=read_committed') == 'a\nb\nc\n'


class Member:
    """kcat as a member of a group; its assignment is what it said last."""

    def __init__(self, mqs, folder, name):
        self.log = folder / name
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(['kcat', '-b', mqs.address, '-G', 'pair', '-X', 'session.timeout.ms=6000', '-X',
                                             'heartbeat.interval.ms=200', 'pair'], stdout=log, stderr=log)

    def parts(self):
        found = re.findall(r'rebalanced.*assigned: (.*)', self.log.read_text())
        return sorted(re.findall(r'\[(\d+)\]', found[-1])) if found else []


def test_members_share_the_partitions(mqs, tmp_path):
    kcat(mqs, '-P', '-t', 'pair', text='x\n')  # makes it, with three partitions
    members = [Member(mqs, tmp_path, 'a')]

    def until(*counts):
        end = time.monotonic() + 30
        while sorted(len(m.parts()) for m in members) != list(counts):
            assert time.monotonic() < end, [m.log.read_text() for m in members]
            time.sleep(0.05)

    try:
        until(3)
        members.append(Member(mqs, tmp_path, 'b'))
        until(1, 2)
        assert sorted(members[0].parts() + members[1].parts()) == ['0', '1', '2']
        members.pop().process.terminate()
        until(3)
    finally:
        for m in members:
            m.process.kill()


def test_quotas_slow_down(mqs):
    mqs.quota(client='kcat-slow', producer_byte_rate=200000, consumer_byte_rate=200000)
    begun = time.monotonic()
    kcat(mqs, '-P', '-t', 'quota', '-p', '0', '-X', 'client.id=kcat-slow', '-X', 'batch.size=10000', '-X',
         'max.in.flight=1',
         text=''.join('x' * 10000 + '\n' for _ in range(60)))
    assert time.monotonic() - begun > 1.5
    begun = time.monotonic()
    assert len(kcat(mqs, '-C', '-t', 'quota', '-p', '0', '-e', '-q', '-X', 'client.id=kcat-slow', '-X',
                    'fetch.message.max.bytes=20000').splitlines()) == 60
    assert time.monotonic() - begun > 1.5
