# SPDX-License-Identifier: Apache-2.0
"""Debian's kcat, with Debian's librdkafka."""
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(not shutil.which('kcat'), reason='kcat is not installed')


def kcat(mqs, *args, text='', seconds=30):
    done = subprocess.run(['kcat', '-b', mqs.address, *args], input=text, capture_output=True, text=True, timeout=seconds,
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
