# SPDX-License-Identifier: Apache-2.0
"""Consumer groups of the new protocol with times of their own (resource GROUP)."""
import time

import pytest

from lib.mqs import Mqs
from lib.wire import Wire, error, errors

SET, DELETE, GROUP = 0, 1, 32
SESSION, INTERVAL = 'consumer.session.timeout.ms', 'consumer.heartbeat.interval.ms'


@pytest.fixture(scope='module')
def broker():
    broker = Mqs()
    yield broker
    broker.stop()
    broker.remove()


def alter(wire, group, operation=SET, **values):
    rows = [{'name': {'session': SESSION, 'interval': INTERVAL}.get(k, k), 'config_operation': operation, 'value': v}
            for k, v in values.items()]
    answer = wire.call('IncrementalAlterConfigs', 1, resources=[
        {'resource_type': GROUP, 'resource_name': group, 'configs': rows}])['responses'][0]
    return errors()[answer['error_code']]


def settings(wire, group):
    answer = wire.call('DescribeConfigs', 4, resources=[
        {'resource_type': GROUP, 'resource_name': group, 'configuration_keys': None}])['results'][0]
    assert answer['error_code'] == 0
    return {c['name']: (c['value'], c['config_source']) for c in answer['configs'] if c['name'].startswith('consumer.')}


def beat(wire, group, member, epoch, **more):
    answer = wire.call('ConsumerGroupHeartbeat', 1, group_id=group, member_id=member, member_epoch=epoch, **more)
    assert error(answer) == 'NONE', answer
    return answer


def enter(wire, group, member):
    return beat(wire, group, member, 0, rebalance_timeout_ms=5000, subscribed_topic_names=['t'], topic_partitions=[])


def test_a_group_has_times_of_its_own(broker):
    with Wire(broker) as w:
        assert settings(w, 'g') == {SESSION: ('45000', 5), INTERVAL: ('5000', 5)}
        assert alter(w, 'g', session='50000', interval='1000') == 'NONE'
    broker.kill()
    broker.start()
    with Wire(broker) as w:
        assert settings(w, 'g') == {SESSION: ('50000', 8), INTERVAL: ('1000', 8)}
        assert enter(w, 'g', 'a')['heartbeat_interval_ms'] == 1000
        assert enter(w, 'other', 'a')['heartbeat_interval_ms'] == 5000
        listed = w.call('ListConfigResources', 1, resource_types=[GROUP])['config_resources']
        assert listed == [{'resource_name': 'g', 'resource_type': GROUP}]
        assert alter(w, 'g', DELETE, interval=None) == 'NONE'
        assert settings(w, 'g') == {SESSION: ('50000', 8), INTERVAL: ('5000', 5)}


def test_a_short_session(broker):
    with Wire(broker) as w:
        assert alter(w, 'short', session='1000', interval='200') == 'NONE'
        epoch = enter(w, 'short', 'a')['member_epoch']
        begin = time.monotonic()
        while time.monotonic() - begin < 2:  # as long as it reports, it stays
            beat(w, 'short', 'a', epoch)
            time.sleep(0.2)

        def members():
            return len(w.call('ConsumerGroupDescribe', 1, group_ids=['short'])['groups'][0]['members'])
        assert members() == 1
        end = time.monotonic() + 10
        while members():
            assert time.monotonic() < end
            time.sleep(0.05)


def test_bad_values(broker):
    with Wire(broker) as w:
        for values in ({'session': '10'}, {'session': 'x'}, {'interval': '0'}, {'interval': '-1'}, {'made.up': '1'},
                       {'session': '2000', 'interval': '2000'}, {'interval': '50000'}):
            assert alter(w, 'bad', **values) == 'INVALID_CONFIG', values
        assert alter(w, 'bad', 2, session='1') == 'INVALID_CONFIG'
        assert alter(w, '', session='50000') == 'INVALID_REQUEST'
        assert settings(w, 'bad') == {SESSION: ('45000', 5), INTERVAL: ('5000', 5)}
