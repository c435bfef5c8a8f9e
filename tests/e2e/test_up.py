# SPDX-License-Identifier: Apache-2.0
"""The life of an installation: first start, second start, ends of every kind, settings, and the command line."""
import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pytest

from lib import databases
from lib.apic import V2, ok
from lib.appiad import wait_for
from lib.platform import Platform, processes

APPS = '/v2/{project_id}/instances/{instance_id}/apps'
KEYS = {'domain', 'user', 'password', 'project_id', 'project_name', 'instance_id', 'access_key', 'secret_key',
        'management_url', 'gateway_url'}


def curl_line(p):
    return shlex.split(re.search(r'^ +try +(.*)$', p.summary, re.M).group(1))


def run_curl(p):
    done = subprocess.run([*curl_line(p), '-sS', '-i'], capture_output=True, text=True, timeout=30, check=True)
    head, _, body = done.stdout.partition('\n\n')  # text mode: CRLF reads as LF
    assert head.startswith('HTTP/1.1 200 '), done.stdout
    return json.loads(body)


def test_first_start(platform):
    lines = platform.summary.strip().splitlines()
    assert len(lines) <= 8, 'a few lines'
    for port in platform.ports.values():
        assert f':{port}' in platform.summary or port == platform.ports['MANAGEMENT_HTTPS'], platform.summary
    assert 'credentials.json' in platform.summary
    with open(platform.home + '/credentials.json', encoding='utf-8') as f:
        credentials = json.load(f)
    assert set(credentials) == KEYS and all(credentials.values())
    assert credentials['management_url'] == f'http://127.0.0.1:{platform.ports["MANAGEMENT_HTTP"]}'
    assert credentials['gateway_url'] == f'http://127.0.0.1:{platform.ports["GATEWAY_HTTP"]}'
    assert len(credentials['password']) >= 12


def test_secrets_are_private(platform):
    for folder, _, names in os.walk(platform.home):
        for name in names:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            assert name == 'up.log' or stat.S_ISSOCK(mode) or mode & 0o077 == 0, f'{folder}/{name}: {mode:o}'
    assert stat.S_IMODE(os.stat(platform.home + '/credentials.json').st_mode) == 0o600
    for folder in ('run', 'log', 'tls', 'published'):
        assert stat.S_IMODE(os.stat(f'{platform.home}/{folder}').st_mode) == 0o700


def test_password_is_stored_nowhere_else(platform):
    """Only its hash is: neither the database, the logs nor the published state has it."""
    needle = platform.credentials['password'].encode()
    secret = platform.credentials['secret_key'].encode()
    for folder, _, names in os.walk(platform.home):
        for name in names:
            path = os.path.join(folder, name)
            if name in ('credentials.json', 'profiles.json') or stat.S_ISSOCK(os.lstat(path).st_mode):
                continue
            with open(path, 'rb') as f:
                text = f.read()
            assert needle not in text and secret not in text, path


def test_the_printed_line_works(platform):
    cities = run_curl(platform)
    rows = cities if isinstance(cities, list) else next(iter(cities.values()))
    assert [r['name'] for r in rows][:1] == ['Rome'] and {r['country'] for r in rows} == {'IT'}


def test_front_door_speaks_tls(platform):
    import http.client
    import ssl
    context = ssl.create_default_context(cafile=platform.home + '/tls/ca.pem')
    for name in ('MANAGEMENT_HTTPS', 'GATEWAY_HTTPS'):
        c = http.client.HTTPSConnection('localhost', platform.ports[name], timeout=20, context=context)
        c.request('GET', '/')
        r = c.getresponse()
        assert r.status in (200, 300, 404) and r.getheader('X-Request-Id'), (name, r.status)
        c.close()


def test_second_start_keeps_all():
    p = Platform()
    try:
        first = dict(p.credentials)
        made = ok(p.call('POST', APPS, {'name': 'survivor'}), 201)
        p.stop(keep=True)
        p.start()
        assert first['password'] not in p.summary and 'first login' not in p.summary
        assert p.credentials == first
        assert ok(p.call('GET', f'{APPS}/{made["id"]}')) == made
        run_curl(p)
        assert p.cli('published', 'verify').stdout.strip() == '0 differences'
    finally:
        p.stop()


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_all(number):
    p = Platform()
    began = time.monotonic()
    p.stop(number)  # asserts that nothing is left
    assert time.monotonic() - began < 10


def test_stop_with_open_connections():
    """Callers that keep their connections do not delay the end."""
    p = Platform()
    idle = [socket.create_connection(('127.0.0.1', p.ports[name])) for name in p.ports for _ in range(3)]
    for s in idle[:3]:
        s.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        assert s.recv(100)
    began = time.monotonic()
    p.stop()
    assert time.monotonic() - began < 15
    for s in idle:
        s.close()


def test_killed_supervisor_leaves_nothing():
    p = Platform()
    idle = socket.create_connection(('127.0.0.1', p.ports['GATEWAY_HTTP']))
    p.process.kill()
    p.process.wait()
    wait_for(lambda: not processes(p.home), 20, what=f'the end of {processes(p.home)}')
    idle.close()
    p.start()
    run_curl(p)
    p.stop()


@pytest.mark.parametrize('name', ['appiad', 'appia-worker', 'nginx'])
def test_killed_child_is_healed(platform, name):
    before = platform.children()
    os.kill(before[name], signal.SIGKILL)

    def healed():
        now = platform.children()
        if now.get(name, before[name]) == before[name]:
            return False
        try:
            run_curl(platform)
            return platform.raw('GET', '/').status in (200, 300)
        except (AssertionError, OSError, subprocess.CalledProcessError):
            return False
    wait_for(healed, 20, what=f'{name} after kill -9')
    others = {n: p for n, p in platform.children().items() if n != name}
    assert others == {n: p for n, p in before.items() if n != name}, 'the others are not touched'
    assert 'process' in platform.output() and 'killed by signal 9' in platform.output()


def test_second_instance_is_refused(platform):
    done = platform.cli('up', check=False)
    assert done.returncode == 1 and 'another appia runs in' in done.stderr and str(platform.process.pid) in done.stderr
    run_curl(platform)


def test_port_in_use_is_said():
    """A taken port ends the start with a sentence that names it, and leaves nothing."""
    p = Platform(start=False)
    with socket.socket() as s:
        s.bind(('127.0.0.1', p.ports['GATEWAY_HTTP']))
        s.listen()
        p.spawn()
        code = p.process.wait(60)
    text = p.output() + p.logs()
    assert code != 0 and str(p.ports['GATEWAY_HTTP']) in text and 'Address already in use' in text, text
    assert not processes(p.home)
    p.remove()


def test_bad_settings_are_refused():
    for env, word in (({'APPIA_GATEWAY_HTTP_PORT': 'many'}, 'http_port'), ({'APPIA_LOG_LEVEL': 'loud'}, 'level')):
        p = Platform(start=False, env=env)
        done = p.cli('up', check=False)
        assert done.returncode == 1 and word in done.stderr.lower(), done.stderr
        assert not processes(p.home)
        p.remove()


def test_file_of_settings_is_obeyed():
    p = Platform(env={'APPIA_REGION_NAME': 'from-environment'}, start=False)
    with open(p.home + '/appia.yaml', 'w', encoding='utf-8') as f:
        f.write('gateway:\n  domain: apis.example.org\nregion:\n  name: from-file\n')
    p.start()
    assert p.credentials['project_name'] == 'from-environment', 'the environment wins'
    group = ok(p.call('POST', V2 + '/api-groups', {'name': 'group_of_domain'}), 201)
    assert group['sl_domain'].endswith('.apis.example.org')
    p.stop()


def test_system_of_record_in_postgresql():
    """The same platform with its data in a server: first start, kill -9 of the control plane, second start."""
    db = databases.postgres()
    db.sql('DROP DATABASE IF EXISTS appia_store', database='postgres')
    db.sql('CREATE DATABASE appia_store', database='postgres')
    password = db.password.replace('-', '%2D')
    p = Platform(env={'APPIA_STORE_URL': f'postgresql://{db.user}:{password}@{db.host}:{db.port}/appia_store'})
    run_curl(p)
    made = ok(p.call('POST', APPS, {'name': 'in a server'}), 201)
    before = p.children()['appiad']
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: p.children().get('appiad', before) != before and p.raw('GET', '/').status < 400, 20, 'appiad')
    assert ok(p.call('GET', f'{APPS}/{made["id"]}')) == made
    assert p.cli('published', 'verify').stdout.strip() == '0 differences'
    p.stop(keep=True)
    assert not os.path.exists(p.home + '/appia.db')
    p.start()
    assert ok(p.call('GET', f'{APPS}/{made["id"]}')) == made
    run_curl(p)
    assert db.password not in p.logs()
    p.stop()


def test_worker_settings_reach_the_worker():
    p = Platform(
    env={
        'APPIA_WORKER_SCRIPT_MEMORY': '32M',
        'APPIA_WORKER_CONNECTIONS': '2',
         'APPIA_WORKER_SCRIPT_CPU': '500ms'})
    run_curl(p)
    p.stop()


# --- the command line

def test_status_and_doctor(platform):
    text = platform.cli('status').stdout
    assert text.count('ready') >= 2 and str(platform.process.pid) in text and platform.home in text
    text = platform.cli('doctor').stdout
    assert 'BAD' not in text and text.count('ok ') >= 5


def test_logs(platform):
    text = platform.cli('logs').stdout
    assert 'appiad' in text and '"msg":"ready"' in text
    assert 'appiad ' not in platform.cli('logs', 'appia-worker').stdout


def test_resources(platform):
    made = json.loads(platform.cli('apps', 'create', '--name', 'from the shell', '--remark=r').stdout)
    listed = json.loads(platform.cli('apps', 'list', '--name', 'from the shell').stdout)
    assert [a['id'] for a in listed['apps']] == [made['id']]
    group = json.loads(
    platform.cli(
        'api-groups',
        'create',
        '--name',
        'group_from_shell',
        '--version',
        'V2',
        '--roma-app-id',
         made['id']).stdout)
    assert group['roma_app_id'] == made['id']
    shown = platform.cli('api-groups', 'list', '--output', 'table').stdout
    assert 'group_from_shell' in shown and '{' not in shown.splitlines()[0]
    body = json.dumps({'name': 'by file', 'remark': 'überall'})
    assert json.loads(platform.cli('apps', 'create', '--file', '-', text=body).stdout)['remark'] == 'überall'
    done = platform.cli('apps', 'create', '--name', 'from the shell', check=False)
    assert done.returncode == 1 and 'ROMA.14011' in done.stderr
    done = platform.cli('apps', 'fly', check=False)
    assert done.returncode == 2 and 'fly' in done.stderr
    assert platform.cli('apps', 'create', '--nmae', 'x', check=False).returncode == 2


def test_login(platform):
    c = platform.credentials
    text = platform.cli('login', '--profile', 'other', '--url', c['management_url'], '--domain', c['domain'], '--user',
                        c['user'], '--project', c['project_name'], text=c['password'] + '\n').stdout
    assert 'other' in text
    assert stat.S_IMODE(os.stat(platform.home + '/profiles.json').st_mode) == 0o600
    env = {'APPIA_HOME': '/nonexistent'}
    assert 'apps' in json.loads(platform.cli('apps', 'list', '--profile', 'other', env=env).stdout)
    done = platform.cli('apps', 'list', '--profile', 'nobody', check=False)
    assert done.returncode == 1 and 'nobody' in done.stderr
    done = platform.cli(
    'login',
    '--profile',
    'bad',
    '--url',
    c['management_url'],
    '--domain',
    c['domain'],
    '--user',
    'nobody',
    text='Not-The-Password\n',
     check=False)
    assert done.returncode == 1 and 'refused' in done.stderr and 'Not-The' not in done.stderr


def test_authority(platform):
    """Over https: the certificate is checked, against the authority that is named or the platform's own."""
    c, url = platform.credentials, f'https://localhost:{platform.ports["MANAGEMENT_HTTPS"]}'
    ca = platform.home + '/tls/ca.pem'

    def login(profile, *more, check=True):
        return platform.cli('login', '--profile', profile, '--url', url, '--domain', c['domain'], '--user', c['user'],
                            '--project', c['project_name'], *more, text=c['password'] + '\n', check=check)
    done = login('unknown', check=False)
    assert done.returncode == 1 and 'secure connection failed' in done.stderr
    done = login('unknown', '--ca-file', platform.home + '/none.pem', check=False)
    assert done.returncode == 1 and 'none.pem' in done.stderr
    os.symlink(ca, platform.home + '/link.pem')
    login('tls', '--ca-file', platform.home + '/link.pem')
    with open(platform.home + '/profiles.json', encoding='utf-8') as f:
        assert json.load(f)['tls']['ca_file'] == os.path.realpath(ca)
    elsewhere = {'APPIA_HOME': '/nonexistent'}
    assert 'apps' in json.loads(platform.cli('apps', 'list', '--profile', 'tls', env=elsewhere).stdout)

    # A file of credentials brings the authority beside it; one alone does not.
    own = {**c, 'management_url': url}
    folder = tempfile.mkdtemp(dir=platform.home)
    with open(folder + '/credentials.json', 'w', encoding='utf-8') as f:
        json.dump(own, f)
    platform.cli('login', '--profile', 'alone', '--credentials', folder + '/credentials.json')
    done = platform.cli('apps', 'list', '--profile', 'alone', check=False)
    assert done.returncode == 1 and 'secure connection failed' in done.stderr
    assert 'apps' in json.loads(platform.cli('apps', 'list', '--profile', 'alone', '--ca-file', ca).stdout)
    os.mkdir(folder + '/tls')
    shutil.copy(ca, folder + '/tls/ca.pem')
    assert 'apps' in json.loads(platform.cli('apps', 'list', env={'APPIA_HOME': folder, 'APPIA_CONFIG': folder + '/none'}).stdout)
    platform.cli('login', '--profile', 'beside', '--credentials', folder + '/credentials.json')
    assert 'apps' in json.loads(platform.cli('apps', 'list', '--profile', 'beside', env=elsewhere).stdout)


def test_published(platform):
    assert platform.cli('published', 'verify').stdout.strip() == '0 differences'
    before = platform.cli('published', 'dump').stdout
    assert 'api/' in before
    assert platform.cli('published', 'rebuild').returncode == 0
    assert platform.cli('published', 'dump').stdout.splitlines() == before.splitlines()
    run_curl(platform)


def test_help_and_completion(platform):
    text = platform.cli('help').stdout
    assert 'apps' in text and 'livedata' in text
    assert 'required' in platform.cli('help', 'apps', 'create').stdout
    script = platform.cli('completion', 'bash').stdout
    assert subprocess.run(['bash', '-n'], input=script, text=True, check=False).returncode == 0

    def complete(*words):
        ask = script + f'COMP_WORDS=({" ".join(words)} ""); COMP_CWORD={len(words)}; COMP_WORDS[-1]=--; _appia; echo ${{COMPREPLY[*]}}'
        return subprocess.run(['bash', '-c', ask], capture_output=True, text=True, check=True).stdout.split()
    assert '--ca-file' in complete('appia', 'apps', 'list') and '--ca-file' in complete('appia', 'login')
    assert '--ca-file' in platform.cli('help', 'apps', 'list').stdout


def test_down():
    p = Platform()
    assert p.cli('down').stdout.strip() == 'stopped'
    assert p.process.wait(20) == 0
    assert p.cli('down').stdout.strip() == 'not running'
    assert p.cli('status', check=False).returncode == 1
    p.stop()
