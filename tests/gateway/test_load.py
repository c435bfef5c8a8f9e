# SPDX-License-Identifier: Apache-2.0
"""Changes and faults while calls are in flight."""
import http.client
import os
import signal
import threading
import time

from harness import MOCK


class Load:
    """Threads with keep-alive connections that call in a closed loop and keep what went wrong."""

    def __init__(self, port, target, threads=4, method='GET', body=None, retry=False):
        self.port, self.target, self.method, self.body, self.retry = port, target, method, body, retry
        self.bad, self.done, self.stop = [], 0, False
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]
        for t in self.threads:
            t.start()

    def run(self):
        conn = http.client.HTTPConnection('127.0.0.1', self.port, timeout=10)
        while not self.stop:
            try:
                conn.request(self.method, self.target, body=self.body, headers={'Host': 'test.example'})
                answer = conn.getresponse()
                data = answer.read()
                if answer.status != 200:
                    self.bad.append((answer.status, data))
                self.done += 1
            except (OSError, http.client.HTTPException) as e:
                conn.close()
                if not self.retry:
                    self.bad.append(e)
                time.sleep(0.01)

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()
        return self.done


def test_publish_under_load_fails_no_call(make_world):
    world = make_world(workers=2)
    world.api('/load', method='POST', backend_path='/echo')
    load = Load(world.gateway.port, '/load', method='POST', body=b'payload')
    slowest = 0
    for i in range(100):
        api = world.api(f'/published/{i}', backend=MOCK, mock_body=str(i))
        # every worker obeys at once: calls on new connections reach either one
        started = time.time()
        for _ in range(4):
            assert world.call(f'/published/{i}').body == str(i).encode()
        slowest = max(slowest, time.time() - started)
        if i % 3 == 0:
            world.published.offline('group1', api)
            assert world.call(f'/published/{i}').status == 404
    time.sleep(0.2)
    done = load.end()
    assert not load.bad and done > 300, load.bad[:3]


def test_worker_killed(make_world):
    world = make_world(workers=2)
    world.api('/kill', backend_path='/echo')
    load = Load(world.gateway.port, '/kill', retry=True)
    for _ in range(5):
        time.sleep(0.1)
        os.kill(world.gateway.workers()[0], signal.SIGKILL)
    time.sleep(0.5)
    load.end()
    assert not load.bad
    deadline = time.time() + 5
    while len(world.gateway.workers()) < 2 and time.time() < deadline:
        time.sleep(0.05)
    assert len(world.gateway.workers()) == 2
    for _ in range(20):
        assert world.call('/kill').status == 200
    # the writer is not held up by readers that died
    world.api('/after-kill', backend=MOCK, mock_body='x')
    assert world.call('/after-kill').status == 200
    assert 'appia_api_requests_total' in world.gateway.metrics().body.decode()


def test_writer_killed(make_world):
    from harness import Published
    world = make_world()
    world.api('/w', backend=MOCK, mock_body='x')
    world.published.process.kill()
    world.published.process.wait()
    assert world.call('/w').status == 200
    apis = world.published.apis
    world.published = Published(world.folder)
    world.published.apis = apis
    world.api('/w2', backend=MOCK, mock_body='y')
    assert world.call('/w2').body == b'y'


def test_reload_keeps_counters(make_world):
    world = make_world()
    api = world.api('/r', backend_path='/echo')
    assert world.call('/r').status == 200
    before = world.gateway.workers()
    world.gateway.reload()
    deadline = time.time() + 10
    while set(world.gateway.workers()) & set(before) and time.time() < deadline:
        time.sleep(0.05)
    assert world.call('/r').status == 200
    assert f'appia_api_requests_total{{api="{api}",environment="RELEASE"}} 2\n' in world.gateway.metrics().body.decode()


def test_memory_does_not_grow(make_world):
    world = make_world()
    world.api('/m/{id}', method='POST', backend_path='/echo')

    def rss():
        with open(f'/proc/{world.gateway.workers()[0]}/statm') as f:
            return int(f.read().split()[1]) * 4096

    def calls(n):
        conn = http.client.HTTPConnection('127.0.0.1', world.gateway.port)
        for i in range(n):
            conn.request('POST', f'/m/{i}', body=b'x' * 3000, headers={'Host': 'test.example'})
            assert conn.getresponse().read()

    calls(500)
    before = rss()
    calls(3000)
    assert rss() - before < 1 << 20


def test_many_apis(make_world):
    world = make_world()
    routes, apis = [], []
    for i in range(10000):
        api = {
    'put': 'api',
    'id': f'many{i}',
    'group_id': 'group1',
    'env_id': 'e',
    'env_name': 'RELEASE',
    'method': 'GET',
    'path': f'/many/{i}/{{id}}',
    'backend': MOCK,
    'mock_body': str(i),
     'protocols': 3}
        apis.append(api)
        routes.append({'method': 'GET', 'path': api['path'], 'api_id': f'e/many{i}'})
    world.published.write(*apis, {'put': 'route', 'group_id': 'group1', 'env': 'RELEASE', 'routes': routes})
    for i in range(0, 10000, 501):
        assert world.call(f'/many/{i}/x').body == str(i).encode()
    assert world.call('/many/10000/x').status == 404
    assert world.call('/many/1').status == 404
