#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the test suites of other projects against the message broker.

usage: conformance.py BUILD [SUITE...]

Fetches the suites from the registries of their languages, in a cache outside the tree, and starts a broker for each.
What does not apply is in tests/conformance/known.yaml with the reason. Ends with 1 when another test fails or is left
out. A suite that cannot be fetched, or whose language is not installed, is named and left out.
"""
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
FRANZ, KFAKE, SARAMA = 'v1.22.2', 'v0.0.0-20260918054303-01f206a7e32c', 'v1.61.1'
KADM, KMSG = 'v1.18.0', 'v1.15.0'
CRATE = '4.10.0+2.12.1'  # of rdkafka-sys, which carries librdkafka with its tests
CARGO = f'''[package]
name = "suite"
version = "0.0.0"
[lib]
path = "/dev/null"
[dependencies]
rdkafka-sys = "={CRATE}"
'''
# Scripts of librdkafka's tests: class, version (topics of 4.x are refused settings that the tests use).
TOOLS = {'kafka-topics.sh': ('TopicCommand', '3.9.1'), 'kafka-acls.sh': ('AclCommand', '4.2.1')}
POM = '''<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>test</groupId>
<artifactId>tools</artifactId><version>1</version><packaging>pom</packaging><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{version}</version></dependency></dependencies>
</project>'''
SCRIPT = '''#!/bin/sh
# The caller may know another listener: administration goes to the one without passwords.
while [ "$1" != --bootstrap-server ]; do shift; done
shift 2
exec java -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -cp '{jars}/*' org.apache.kafka.tools.{name} --bootstrap-server "$BROKERS" "$@"
'''
KNOWN_SKIPS = '0028,0038,0047,0101,0126,0142,8000,8001'


class NotFetched(Exception):
    pass


def run(*args, log, seconds=600, **kwargs):
    """Exit code; 124 when it took too long. What it says goes to the log."""
    with open(log, 'w', encoding='utf-8') as out:
        try:
            return subprocess.run(args, stdout=out, stderr=subprocess.STDOUT, timeout=seconds, check=False, **kwargs).returncode
        except subprocess.TimeoutExpired:
            return 124


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            raise NotFetched(f'{p} is not installed')


def go_module(cache, module, version):
    """A copy of the module that can be written to."""
    need('go')
    where = cache / (module.replace('/', '-') + '-' + version)
    if where.exists():
        return where
    (cache / 'go.mod').write_text('module fetch\n', encoding='utf-8')
    done = subprocess.run(['go', 'mod', 'download', '-json', f'{module}@{version}'], cwd=cache, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise NotFetched(f'{module}: the Go proxy does not answer')
    new = where.with_suffix('.new')
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(json.loads(done.stdout)['Dir'], new)
    for path in (new, *new.rglob('*')):
        path.chmod(path.stat().st_mode | 0o200)
    new.rename(where)
    return where


def replaced(path, *pairs):
    """Changes a file of a suite; what is to be replaced has to be there, once or replaced already."""
    text = path.read_text(encoding='utf-8')
    for old, new in pairs:
        if new not in text:
            assert text.count(old) == 1, f'{path}: {old}'
            text = text.replace(old, new)
    path.write_text(text, encoding='utf-8')


def checked(code, what, log):
    if code:
        text = pathlib.Path(log).read_text(encoding='utf-8', errors='replace')
        sys.exit(f'{what} failed:\n{text[-3000:]}')


# ---- suites: name -> state ("passed", "failed", "skipped") of each test

def go_results(log):
    text = pathlib.Path(log).read_text(encoding='utf-8', errors='replace')
    states = {'PASS': 'passed', 'FAIL': 'failed', 'SKIP': 'skipped'}
    results = {name: states[word] for word, name in re.findall(r'^--- (PASS|FAIL|SKIP): (\w+)', text, re.M)}
    for name in re.findall(r'^=== RUN   (\w+)$', text, re.M):
        results.setdefault(name, 'failed')  # it did not end
    return results


def franz(work, cache, tls):
    source = go_module(cache, 'github.com/twmb/franz-go', FRANZ)
    helpers = source / 'pkg/kgo/helpers_test.go'
    tls_only = 'opts = append(opts, DialTLSConfig(testCert)'
    replaced(helpers, (tls_only + ')', tls_only + ', SASL(saslScram))'))
    checked(run('go', 'test', '-c', '-o', work / 'kgo.test', './pkg/kgo', cwd=source, log=work / 'build.log'), 'the build of kgo',
            work / 'build.log')
    mqs = Mqs(tls=True, administrators='root')
    make_user(mqs, 'root')
    seeds = f'localhost:{mqs.sasl_port}' if tls else mqs.address
    env = {**os.environ, 'KGO_SEEDS': seeds, 'KGO_TEST_RF': '1', 'KGO_TEST_RECORDS': '10000', 'KGO_LOG_LEVEL': 'none',
           'KGO_TEST_SCRAM': 'root:secret' + (':512' if tls else ''),
           'KGO_TEST_SCRAM_SEEDS': f'127.0.0.1:{mqs.sasl_plaintext_port}'}
    if tls:
        env['KGO_TEST_TLS'] = f'ca:{mqs.ca}'
    # That one brings a dialer of its own, which the client refuses together with TLS; its end is the end of all.
    options = ['-test.skip', '^TestIssue769$'] if tls else []
    run(work / 'kgo.test', '-test.v', '-test.timeout', '15m', *options, cwd=source / 'pkg/kgo', env=env, log=work / 'log', seconds=1000)
    return mqs, go_results(work / 'log')


def kfake(work, cache):
    source = go_module(cache, 'github.com/twmb/franz-go/pkg/kfake', KFAKE)
    shutil.copytree(source / 'kafka_tests', work / 'kafka_tests')
    shutil.copy(ROOT / 'tests/conformance/kfake.go', work)
    (work / 'go.mod').write_text(f'''module github.com/twmb/franz-go/pkg/kfake
go 1.26.0
require (
	github.com/twmb/franz-go {FRANZ}
	github.com/twmb/franz-go/pkg/kadm {KADM}
	github.com/twmb/franz-go/pkg/kmsg {KMSG}
)
''', encoding='utf-8')
    env = {**os.environ, 'APPIA_MQS': str(BUILD / 'src/bin/appia-mqs'), 'GOFLAGS': '-mod=mod'}
    run('go', 'test', '-count=1', '-v', '-timeout', '10m', './kafka_tests', cwd=work, env=env, log=work / 'log', seconds=900)
    return None, go_results(work / 'log')


def sarama(work, cache):
    source = go_module(cache, 'github.com/IBM/sarama', SARAMA)
    # One broker, and no proxies before it, which make everything slow and break it.
    replaced(source / 'functional_test.go', ('''	if err := setupToxiProxies(env, toxiproxyURL.String()); err != nil {
		return false, fmt.Errorf("failed to setup toxiproxies: %w", err)
	}
''', '	env.KafkaBrokerAddrs = []string{toxiproxyURL.Host}\n'))
    replaced(source / 'functional_test.go', ('''	if err := FunctionalTestEnv.ToxiproxyClient.ResetState(); err != nil {
		t.Error(err)
	}
''', '	// no proxies\n'))
    replaced(source / 'functional_producer_test.go', ('minRequestLatencyInMs := 10\n', 'minRequestLatencyInMs := 0\n'))
    checked(run('go', 'test', '-c', '-tags=functional', '-o', work / 'sarama.test', '.', cwd=source, log=work / 'build.log'),
            'the build of sarama', work / 'build.log')
    mqs = Mqs(auto_create='false')
    env = {**os.environ, 'TOXIPROXY_ADDR': 'http://' + mqs.address, 'KAFKA_VERSION': '4.1.0'}
    run(work / 'sarama.test', '-test.v', '-test.timeout', '12m', cwd=source, env=env, log=work / 'log', seconds=800)
    return mqs, go_results(work / 'log')


def fetch_librdkafka(cache):
    need('cargo', 'make', 'gcc', 'g++')
    where = cache / ('librdkafka-' + CRATE.split('+')[1])
    if where.exists():
        return where
    new = cache / 'librdkafka.new'
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    (new / 'Cargo.toml').write_text(CARGO, encoding='utf-8')
    if run('cargo', 'vendor', '-q', 'crates', cwd=new, log=cache / 'cargo.log'):
        raise NotFetched("cargo's registry does not answer")
    source = new / 'crates/rdkafka-sys/librdkafka'
    admin = source / 'tests/0081-admin.c'
    # Kerberos has no settings here; another one of the broker serves as well. The scripts need no password.
    text = admin.read_text(encoding='utf-8')
    admin.write_text(text.replace('sasl.kerberos.min.time.before.relogin', 'log.segment.delete.delay.ms'), encoding='utf-8')
    for name in ('0115-producer_auth.cpp', '0119-consumer_auth.cpp'):
        replaced(source / 'tests' / name, ('if (test_needs_auth())', 'if (false)'))
    log, jobs = cache / 'librdkafka.log', str(os.cpu_count())
    for step in (['./configure', '--disable-gssapi'], ['make', '-j', jobs, 'libs'], ['make', '-j', jobs, '-C', 'tests', 'build']):
        checked(run(*step, cwd=source, log=log, seconds=1800), 'the build of librdkafka', log)
    source.rename(where)
    return where


def fetch_tools(cache):
    """Kafka's scripts as librdkafka's tests call them."""
    need('java', 'mvn')
    where = cache / ('tools-' + '-'.join(version for _, version in TOOLS.values()))
    if not where.exists():
        new = cache / 'tools.new'
        shutil.rmtree(new, ignore_errors=True)
        (new / 'bin').mkdir(parents=True)
        for script, (name, version) in TOOLS.items():
            (new / 'pom.xml').write_text(POM.format(version=version), encoding='utf-8')
            if run('mvn', '-q', '-B', 'dependency:copy-dependencies', f'-DoutputDirectory={new}/{version}', cwd=new,
                   log=cache / 'tools.log'):
                raise NotFetched('Maven Central does not answer')
            (new / 'bin' / script).write_text(SCRIPT.format(jars=where / version, name=name), encoding='utf-8')
            (new / 'bin' / script).chmod(0o755)
        new.rename(where)
    return where


def librdkafka(work, cache, protocol, only=None, acls=False, scenario='default'):
    source, tools = fetch_librdkafka(cache), fetch_tools(cache)
    mqs = Mqs(partitions=4, auto_create='false' if scenario == 'noautocreate' else 'true')
    conf = f'metadata.broker.list={mqs.address}\n'
    env = {**os.environ, 'LD_LIBRARY_PATH': '../src:../src-cpp', 'RDKAFKA_TEST_CONF': str(work / 'conf'), 'KAFKA_PATH': str(tools),
           'BROKERS': mqs.address, 'TEST_KAFKA_VERSION': '4.0.0', 'TEST_CONSUMER_GROUP_PROTOCOL': protocol,
           'TEST_REPORT': str(work / 'report'), 'TEST_SCENARIO': scenario}
    env.update({'TESTS': only} if only else {'TESTS_SKIP': KNOWN_SKIPS + ',' + ACL_TESTS})
    if acls:
        make_user(mqs, 'tester')
        conf = (f'metadata.broker.list=127.0.0.1:{mqs.sasl_plaintext_port}\nsecurity.protocol=SASL_PLAINTEXT\n'
                'sasl.mechanism=SCRAM-SHA-512\nsasl.username=tester\nsasl.password=secret\n')
    (work / 'conf').write_text(conf, encoding='utf-8')
    run('./test-runner', '-p2', '-Q', '-E', cwd=source / 'tests', env=env, log=work / 'log', seconds=2400)
    report = json.loads((work / 'report').read_text(encoding='utf-8'))['tests']
    asked = [n for n, t in report.items() if n != '<MAIN>' and (not only or t['state'] != 'SKIPPED')]
    return mqs, {n: report[n]['state'].lower() for n in asked}


ACL_TESTS = '0109,0115,0119,0135'
SUITES = {
    'kgo': lambda w, c: franz(w, c, False),
    'kgo-tls': lambda w, c: franz(w, c, True),
    'kfake': kfake,
    'sarama': sarama,
    'librdkafka-classic': lambda w, c: librdkafka(w, c, 'classic'),
    'librdkafka-consumer': lambda w, c: librdkafka(w, c, 'consumer'),
    'librdkafka-noautocreate': lambda w, c: librdkafka(w, c, 'classic', '0045,0107,0111', scenario='noautocreate'),
    'librdkafka-acls': lambda w, c: librdkafka(w, c, 'classic', ACL_TESTS, acls=True),
}


def make_user(mqs, name):
    """A SCRAM user who may do everything, the password is "secret"."""
    salt = os.urandom(16)
    users = [{'name': name, 'mechanism': i, 'iterations': 4096, 'salt': salt,
              'salted_password': hashlib.pbkdf2_hmac(h, b'secret', salt, 4096)} for i, h in ((1, 'sha256'), (2, 'sha512'))]
    acls = [{'resource_type': kind, 'resource_name': what, 'resource_pattern_type': 3, 'principal': 'User:' + name, 'host': '*',
             'operation': 2, 'permission_type': 3} for kind, what in ((2, '*'), (3, '*'), (4, 'kafka-cluster'), (5, '*'))]
    with Wire(mqs) as w:
        rows = w.call('AlterUserScramCredentials', 0, deletions=[], upsertions=users)['results']
        rows += w.call('CreateAcls', 2, creations=acls)['results']
    assert not any(r['error_code'] for r in rows), rows


def report(suite, results, known, seconds):
    """True when all is well."""
    bad = {n: s for n, s in results.items() if s != 'passed' and n not in known}
    left = {n: s for n, s in results.items() if s != 'passed' and n in known}
    passed = sum(s == 'passed' for s in results.values())
    failed = sum(s == 'failed' for s in bad.values())
    print(f'{suite}: {passed} passed, {failed} failed, {len(bad) - failed} skipped, {len(left)} not applicable ({seconds:.0f} s)')
    for name, state in sorted(bad.items()):
        print(f'  {state.upper()} {name}')
    for name in sorted(left):
        print(f'  not applicable: {name}: {known[name]}')
    for name in sorted(n for n in known if results.get(n) == 'passed'):
        print(f'  passed though known not to: {name}')
    sys.stdout.flush()
    return bool(results) and not bad


def one(suite, cache, known):
    work = cache / 'run' / suite
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    begin = time.monotonic()
    try:
        mqs, results = SUITES[suite](work, cache)
    except NotFetched as e:
        print(f'{suite}: not run: {e}')
        return True
    if mqs:
        mqs.stop()  # it has lived through all this, and ends without a complaint of a sanitizer
        mqs.remove()
    return report(suite, results, known.get(suite, {}), time.monotonic() - begin)


def main():
    names = sys.argv[2:] or list(SUITES)
    if len(sys.argv) < 2 or any(n not in SUITES for n in names):
        sys.exit(f'{__doc__}\nsuites: {", ".join(SUITES)}')
    cache = pathlib.Path(vendor.CACHE) / 'conformance'
    cache.mkdir(parents=True, exist_ok=True)
    known = yaml.safe_load((ROOT / 'tests/conformance/known.yaml').read_text(encoding='utf-8'))
    good = [one(n, cache, known) for n in names]
    sys.exit(not all(good))


if __name__ == '__main__':
    BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else 'build-release').resolve()
    os.environ['APPIA_BUILD'] = str(BUILD)
    sys.path.insert(0, str(ROOT / 'tests'))
    from lib import vendor
    from lib.mqs import Mqs
    from lib.wire import Wire
    main()
