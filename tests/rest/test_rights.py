# SPDX-License-Identifier: Apache-2.0
"""Who may call the REST interface, and what he may publish and see."""
import time

import pytest

from lib import signer
from lib.apic import PUBLIC, ok, refused
from lib.mqs_api import MQS
from lib.rest import any_kafka

pytestmark = any_kafka

PRODUCE = {'messages': [{'content': 'x', 'id': '1'}]}


@pytest.fixture(scope='module')
def topic(messages, owner):
    return messages.topic(owner)


def calls(topic):
    return (('POST', f'/v1/topic/{topic}/messages', PRODUCE), ('GET', f'/v1/topic/{topic}/group/g/messages', None),
            ('POST', f'/v1/topic/{topic}/group/g/messages', {'messages': [{'handler': 'x', 'status': 'success'}]}))


def unauthorised(reply, text):
    refused(reply, 401, 'APIG.0303', 'Incorrect app authentication information: ' + text)
    assert reply.headers['x-request-id'] == reply.json['request_id']


def test_signatures(messages, owner, topic):
    for method, path, body in calls(topic):
        unauthorised(owner.call(method, path, body, key=None), 'the Authorization header is missing')
        unauthorised(owner.call(method, path, body, secret='wrong'), 'verify signature fail, canonicalRequest:')
        unauthorised(owner.call(method, path, body, key='nobody'), 'app not found, appkey nobody')
        for minutes in (-16, 16):
            unauthorised(owner.call(method, path, body, at=time.time() + minutes * 60),
                         'signature expired, signature time:')
        assert owner.call(method, path, body, at=time.time() - 14 * 60).status == 200
        unauthorised(owner.call(method, path, body, key=None, headers={'Authorization': 'Basic eDp5'}),
                     'the Authorization header is malformed')
    headers = signer.sign('POST', calls(topic)[0][1], b'{}', {
        'Host': f'127.0.0.1:{messages.platform.ports["MQS_REST"]}'}, owner.key, owner.secret)
    unauthorised(owner.call('POST', calls(topic)[0][1], PRODUCE, key=None, headers=headers), 'verify signature fail')
    # The date is not the whole of it: unsigned, it protects nothing.
    headers['Authorization'] = headers['Authorization'].replace('host;', '')
    unauthorised(owner.call('POST', calls(topic)[0][1], PRODUCE, key=None, headers=headers), 'host and x-sdk-date')
    headers = {k: v for k, v in headers.items() if k != 'X-Sdk-Date'}
    unauthorised(owner.call('POST', calls(topic)[0][1], PRODUCE, key=None, headers=headers), 'the header X-Sdk-Date')


def test_rights(messages, owner, topic):
    rights = {'pub': (200, 403, 403), 'sub': (403, 200, 200), 'all': (200, 200, 200), None: (403, 403, 403)}
    for access, statuses in rights.items():
        app = messages.app(f'rights {access}')
        if access:
            messages.allow(topic, app, access)
        for (method, path, body), status in zip(calls(topic), statuses):
            r = app.call(method, path, body)
            assert r.status == status, (access, method, path, r)
            if status == 403:
                refused(r, 403, 'MQS.00403003')
    refused(owner.call('POST', '/v1/topic/nothing/messages', PRODUCE), 403, 'MQS.00403003')


def test_a_new_secret(messages, topic):
    app = messages.app()
    messages.allow(topic, app, 'all')
    ok(app.call(*calls(topic)[0]))
    r = messages.platform.call('PUT', f'{PUBLIC}/apps/{app.id}/secret', {})
    assert r.status == 200, r
    unauthorised(app.call(*calls(topic)[0]), 'verify signature fail')
    app.secret = r.json['secret']
    ok(app.call(*calls(topic)[0]))


def contents(got):
    return [m['message']['content'] for m in got]


def test_tags(messages, owner):
    topic, writer, reader = messages.topic(owner), messages.app(), messages.app()
    messages.allow(topic, writer, 'pub', 'red || blue')
    messages.allow(topic, reader, 'sub', 'red || green')
    assert writer.produce(topic, 'r', tags='red') + writer.produce(topic, 'rb', tags='red||blue') == ['success'] * 2
    for tags in ({'tags': 'green'}, {'tags': 'red||green'}, {'tags': ''}, {}):
        body = {'messages': [{'content': 'no', 'id': '1', **tags}]}
        got = ok(writer.call('POST', f'/v1/topic/{topic}/messages', body))
        assert got[0]['state'] == 'fail' and 'tags' in got[0]['error_msg']
    writer.produce(topic, 'b', tags='blue')
    owner.produce(topic, 'plain')
    owner.produce(topic, 'g', tags=' x || green ')
    got = reader.take(topic, 3)
    assert contents(got) == ['r', 'rb', 'g'] and got[1]['tags'] == 'red||blue'
    assert reader.ack(topic, got) == {'success': 3, 'fail': 0}
    assert reader.nothing(topic)
    assert contents(owner.take(topic, 5, 'all')) == ['r', 'rb', 'b', 'plain', 'g']
    # What the group has passed over is done with for those who may see it as well.
    assert owner.nothing(topic)


def test_two_with_different_tags_in_one_group(messages, owner):
    topic, red, blue = messages.topic(owner), messages.app(), messages.app()
    messages.allow(topic, red, 'sub', 'red')
    messages.allow(topic, blue, 'sub', 'blue')
    assert red.nothing(topic) and blue.nothing(topic)
    for i in range(3):
        owner.produce(topic, f'r{i}', tags='red')
        owner.produce(topic, f'b{i}', tags='blue')
    assert contents(red.take(topic, 3)) == ['r0', 'r1', 'r2']
    assert contents(blue.take(topic, 3)) == ['b0', 'b1', 'b2']


def test_sent_again_to_one_application(messages, owner):
    topic, one, other = messages.topic(owner), messages.app(), messages.app()
    messages.allow(topic, one, 'sub')
    messages.allow(topic, other, 'sub')
    owner.produce(topic, 'again')
    for app, group in ((one, 'one'), (other, 'other')):
        app.ack(topic, app.take(topic, 1, group), group)
    ok(messages.platform.call('POST', f'{MQS}/messages/action', query={'action_id': 'resend'}, body={
        'topic': topic, 'partition': 0, 'message_offset': 0, 'consumer_key': one.key}))
    got = one.take(topic, 1, 'one')
    assert contents(got) == ['again'] and got[0]['offset'] == 1
    assert other.nothing(topic, 'other')
