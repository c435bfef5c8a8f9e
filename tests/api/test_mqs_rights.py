# SPDX-License-Identifier: Apache-2.0
"""Chapter 7 for everybody but the administrator: what each role of an application's member may do with its topics, and
that topics are known in their own instance only."""
import json

import pytest

from lib.apic import app, member, ok, refused, user
from lib.mqs_api import MQS, TOPICS, appiad, create, delete, kafka, kcat, listed, owner  # noqa: F401

TIMES = {'start_time': 0, 'end_time': 9999999999999}
GROUP = 'rights-group'
RESET = '/v2/kafka/{project_id}/mqs/instances/{instance_id}/groups/' + GROUP + '/reset-message-offset'
ROLES = ('read', 'access', 'delete', 'modify', 'admin')


def operations(owner, key, topic):
    """name: (role that is needed, success status, arguments of a call), for operations on a topic."""
    policy = [{'user_name': key, 'app_name': 'x', 'access_policy': 'sub'}]
    update = {'topics': [{'name': topic, 'policies': [{'app_id': owner, 'app_name': 'x', 'access_policy': 'all'}]}]}
    form = json.dumps({'topics': [{'name': topic, 'app_name': 'owner of topics', 'partition': 1}]}).encode()
    form = b'--b\r\nContent-Disposition: form-data; name="upload_file_name"\r\n\r\n' + form + b'\r\n--b--\r\n'
    return {
        'export': ('read', 200, ('GET', TOPICS + '/export', None, {'name': topic})),
        'policies': ('read', 200, ('GET', f'{TOPICS}/{topic}/accesspolicy')),
        'messages by time': ('read', 200, ('GET', MQS + '/messages', None, {'topic': topic, **TIMES})),
        'message': ('read', 200, ('GET', MQS + '/messages', None, {'topic': topic, 'partition': 0, 'message_offset': 0})),
        'update policies': ('access', 204, ('POST', TOPICS + '/accesspolicy', update)),
        'add policies': ('access', 204, ('POST', f'{TOPICS}/{topic}/access-policies/batch-add', {'policies': policy})),
        'update': ('modify', 204, ('PUT', TOPICS, {'topics': [{'name': topic, 'retention_time': 5}]})),
        'import': ('modify', 204, ('POST', TOPICS + '/import', form, {'mode': 'Merge'},
                                   {'Content-Type': 'multipart/form-data; boundary=b'})),
        'resend': ('modify', 200, ('POST', MQS + '/messages/action', {'topic': topic, 'partition': 0, 'message_offset': 0},
                                   {'action_id': 'resend'})),
        'reset': ('modify', 204, ('PUT', RESET, {'topic': topic, 'message_offset': 0})),
        'delete': ('delete', 200, ('DELETE', TOPICS, None, {'name': topic})),
        'batch delete': ('delete', 200, ('POST', TOPICS + '/delete', {'topics': [topic]})),
    }


@pytest.fixture(scope='module')
def somebody(appiad):
    return user(appiad, 'member-of-topics')


@pytest.fixture
def topic(appiad, kafka, owner):
    """With a message, and a group that has read it."""
    create(appiad, owner, 'rights', partition=1)
    kcat(kafka, '-P', '-t', 'rights', data=b'hello')
    kcat(kafka, '-G', GROUP, 'rights', '-c', '1', '-q', '-X', 'auto.offset.reset=earliest')
    yield 'rights'
    if listed(appiad, name='rights')['total']:
        delete(appiad, 'rights')


def call(appiad, token, method, path, body=None, query=None, headers=None):
    return appiad.call(method, path, body, token=token, query=query, headers=headers)


@pytest.mark.parametrize('role', ('none', *ROLES))
def test_roles(appiad, owner, topic, somebody, role):
    """Every role may read; what it may not is refused and changes nothing."""
    member(appiad, owner, somebody[0], *([] if role == 'none' else [role]))
    if role == 'none':
        assert appiad.call('PUT', '/v2/{project_id}/instances/{instance_id}/apps/' + owner + '/users',
                           {'users': []}).status in (200, 201, 204)
    key = ok(appiad.call('GET', '/v2/{project_id}/instances/{instance_id}/apps/' + owner))['key']
    for name, (needed, status, args) in operations(owner, key, topic).items():
        r = call(appiad, somebody[1], *args)
        if role != 'none' and needed in ('read', role) or role == 'admin':
            if name == 'batch delete':  # the topic is gone already
                refused(r, 400, 'MQS.00400101')
            else:
                assert r.status == status, f'{role}, {name}: {r}'
        else:
            assert r.status == 403 and r.json['error_code'] == 'MQS.00403003', f'{role}, {name}: {r}'
    expect = 0 if role in ('delete', 'admin') else 1
    assert listed(appiad, name=topic)['total'] == expect


@pytest.mark.parametrize('role', ROLES)
def test_creating_needs_modify(appiad, owner, somebody, role):
    member(appiad, owner, somebody[0], role)
    r = call(appiad, somebody[1], 'POST', TOPICS, {'name': 'by-member', 'app_id': owner, 'access_policy': 'all', 'partition': 1})
    if role in ('modify', 'admin'):
        assert ok(r) == {'name': 'by-member'}
        delete(appiad, 'by-member')
    else:
        refused(r, 403, 'MQS.00403003')


@pytest.fixture(scope='module')
def second(appiad):
    made = ok(appiad.call('POST', '/v2/{project_id}/instances', {'name': 'second'}), 201)
    return made.get('id') or made['instance_id']


def test_other_instance(appiad, owner, topic, second):
    """A topic of another instance is unknown there, and its application too."""
    key = ok(appiad.call('GET', '/v2/{project_id}/instances/{instance_id}/apps/' + owner))['key']
    for name, (_, _, (method, path, *rest)) in operations(owner, key, topic).items():
        r = call(appiad, None, method, path.replace('{instance_id}', second), *rest)
        assert r.status == 400, f'{name}: {r}'
        # The import names the application first.
        assert r.json['error_code'] == ('MQS.00400062' if name == 'import' else 'MQS.00400101'), f'{name}: {r}'
    there = TOPICS.replace('{instance_id}', second)
    refused(appiad.call('POST', there, {'name': 'elsewhere', 'app_id': owner, 'access_policy': 'all'}), 400, 'MQS.00400800')
    assert ok(appiad.call('GET', there))['total'] == 0
    # A name is one topic of the one Kafka.
    theirs = ok(appiad.call('POST', f'/v2/{{project_id}}/instances/{second}/apps', {'name': 'theirs'}), 201)['id']
    refused(appiad.call('POST', there, {'name': topic, 'app_id': theirs, 'access_policy': 'all'}), 400, 'MQS.00400101')
    refused(appiad.call('POST', TOPICS + f'/{topic}/access-policies/batch-add', {'policies': [
        {'user_name': theirs, 'app_name': 'x', 'access_policy': 'sub'}]}), 400, 'MQS.00400800')


def test_full_width_commas(appiad, owner):
    for name in ('comma-1', 'comma-2', 'comma-3'):
        create(appiad, owner, name, partition=1)
    r = ok(appiad.call('DELETE', TOPICS, query={'name': 'comma-1，comma-2, comma-3'}))
    assert r == {'topics': [{'id': f'comma-{i}', 'success': True} for i in (1, 2, 3)]}


def test_batches_have_a_limit(appiad, owner):
    many = [f'm-{i:03}' for i in range(101)]
    refused(appiad.call('POST', TOPICS + '/delete', {'topics': many}), 400, 'MQS.00400800')
    refused(appiad.call('POST', TOPICS + '/delete', {'topics': []}), 400, 'MQS.00400800')
    refused(appiad.call('PUT', TOPICS, {'topics': [{'name': n} for n in many]}), 400, 'MQS.00400800')
    refused(appiad.call('POST', TOPICS + '/accesspolicy', {'topics': [{'name': n, 'policies': []} for n in many]}), 400,
            'MQS.00400800')
