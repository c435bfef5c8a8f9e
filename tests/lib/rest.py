# SPDX-License-Identifier: Apache-2.0
"""What scenarios of the REST interface of message integration need: a platform with a Kafka, and applications."""
import itertools
import re
import subprocess

import pytest

from lib.apic import PUBLIC, ok
from lib.appiad import UnixConnection
from lib.kafka import start_apache_kafka
from lib.mqs_api import TOPICS
from lib.platform import Platform

numbers = itertools.count(1)
# Of what the interface does by itself, whatever Kafka is behind it.
any_kafka = pytest.mark.parametrize('messages', ['embedded'], indirect=True)
SESSION = '3s'  # what Kafka waits for a process that was killed


class App:
    """An integration application that calls the REST interface."""

    def __init__(self, messages, name):
        self.platform, self.name = messages.platform, name
        made = ok(self.platform.call('POST', PUBLIC + '/apps', {'name': name}), 201)
        self.id, self.key = made['id'], made['key']
        self.secret = ok(self.platform.call('GET', f'{PUBLIC}/apps/{self.id}/secret'))['secret']

    def call(self, method, path, body=None, **how):
        return self.platform.rest(method, path, body, **{'key': self.key, 'secret': self.secret, **how})

    def produce(self, topic, *contents, **fields):
        """The states, of messages with the ids 0, 1, ..."""
        body = {'messages': [{'content': c, 'id': str(i), **fields} for i, c in enumerate(contents)]}
        got = ok(self.call('POST', f'/v1/topic/{topic}/messages', body))
        assert [m['id'] for m in got] == [str(i) for i in range(len(contents))]
        return [m['state'] for m in got]

    def consume(self, topic, group='g', **query):
        query = '&'.join(f'{k}={v}' for k, v in query.items())
        return ok(self.call('GET', f'/v1/topic/{topic}/group/{group}/messages' + ('?' + query if query else '')))

    def ack(self, topic, messages, group='g', status='success'):
        body = {'messages': [{'handler': m['handler'], 'status': status} for m in messages]}
        return ok(self.call('POST', f'/v1/topic/{topic}/group/{group}/messages', body))

    def take(self, topic, n, group='g', **query):
        """n messages, in as many calls as it takes."""
        got, empty = [], 0
        while len(got) < n:
            some = self.consume(topic, group, **{'time_wait': 10, **query})
            empty = 0 if some else empty + 1
            assert empty < 3, f'{len(got)} of {n} messages'
            got += some
        assert len(got) == n
        return got

    def nothing(self, topic, group='g', **query):
        return self.consume(topic, group, **{'time_wait': 1, **query}) == []


class Messages:
    """A running platform, the address of its Kafka, and what scenarios make in it."""

    TOPICS = TOPICS

    def __init__(self, engine, env=None):
        """engine: 'embedded', 'apache', or the address of a Kafka."""
        self.kafka = start_apache_kafka() if engine == 'apache' else None
        self.address = self.kafka.address if self.kafka else engine
        self.platform = Platform(mqs=engine == 'embedded' or self.address,
                                 env={'APPIA_MQS_REST_IDLE': '2s', 'APPIA_MQS_REST_SESSION': SESSION, **(env or {})})
        if engine == 'embedded':
            self.address = f'127.0.0.1:{self.platform.ports["MQS"]}'

    def app(self, name=None):
        return App(self, name or f'app {next(numbers)}')

    def topic(self, owner, partitions=1, **fields):
        name = f'topic-{next(numbers)}'
        ok(self.platform.call('POST', TOPICS, {'name': name, 'app_id': owner.id, 'access_policy': 'all',
                                               'partition': partitions, **fields}))
        return name

    def allow(self, topic, app, access, tag=''):
        r = self.platform.call('POST', f'{TOPICS}/{topic}/access-policies/batch-add', {'policies': [
            {'user_name': app.key, 'app_name': app.name, 'access_policy': access, 'tag': tag}]})
        assert r.status == 204, r

    def kcat(self, *args, data=b''):
        done = subprocess.run(['kcat', '-b', self.address, *args], input=data, capture_output=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stderr.decode(errors='replace')
        return done.stdout.decode()

    def metric(self, name):
        connection = UnixConnection(self.platform.home + '/mqs-rest.sock', timeout=10)
        try:
            connection.request('GET', '/metrics')
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return int(re.search(rf'^appia_mqs_rest_{name} (\d+)$', text, re.M).group(1))

    def stop(self):
        self.platform.stop()
        if self.kafka:
            self.kafka.stop()
