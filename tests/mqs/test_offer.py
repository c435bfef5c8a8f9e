# SPDX-License-Identifier: Apache-2.0
"""What is offered to clients, whole; and the small answers that nobody else asks for."""
import pytest

from lib.wire import Wire, message

# By key: the newest version. All begin at 0, but share groups.
OFFERED = {
    0: 13, 1: 17, 2: 10, 3: 13, 8: 9, 9: 9, 10: 6, 11: 9, 12: 4, 13: 5, 14: 5, 15: 6, 16: 5, 17: 1, 18: 4, 19: 7, 20: 6, 21: 2,
    22: 5, 23: 4, 24: 5, 25: 4, 26: 5, 27: 2, 28: 5, 29: 3, 30: 3, 31: 3, 32: 4, 33: 2, 34: 2, 35: 4, 36: 2, 37: 3, 38: 3, 39: 2, 40: 2,
    41: 3, 42: 2, 43: 2, 44: 1, 45: 1, 46: 0, 47: 0, 48: 1, 49: 1, 50: 0, 51: 0, 55: 2, 57: 2, 60: 2, 61: 0, 65: 0, 66: 2,
    68: 1, 69: 1, 74: 1, 75: 0, 76: 1, 77: 1, 78: 2, 79: 2, 90: 1, 91: 0, 92: 0}
FIRST = {76: 1, 77: 1, 78: 1, 79: 1}


@pytest.fixture
def wire(mqs):
    with Wire(mqs) as w:
        yield w


def test_ranges_and_features(wire):
    for version in range(5):
        more = {'client_software_name': 'x', 'client_software_version': '1'} if version >= 3 else {}
        answer = wire.call('ApiVersions', version, **more)
        assert {k['api_key']: (k['min_version'], k['max_version']) for k in answer['api_keys']} == {
            k: (FIRST.get(k, 0), v) for k, v in OFFERED.items()}
        if version >= 3:
            levels = {f['name']: (f['min_version_level'], f['max_version_level']) for f in answer['finalized_features']}
            assert levels.keys() == {f['name'] for f in answer['supported_features']}
            assert levels['group.version'] == levels['share.version'] == (1, 1) and levels['transaction.version'] == (2, 2)
            assert levels['metadata.version'][1] >= 25 and answer['finalized_features_epoch'] >= 0


def test_telemetry_wants_nothing(wire):
    """Not offered, so that clients do not ask; answered to those that do."""
    answer = wire.call('GetTelemetrySubscriptions', 0, client_instance_id=bytes(16))
    assert answer['error_code'] == 0 and answer['requested_metrics'] == [] and answer['client_instance_id'] != bytes(16)
    again = wire.call('GetTelemetrySubscriptions', 0, client_instance_id=answer['client_instance_id'])
    assert again['client_instance_id'] == answer['client_instance_id']
    assert again['push_interval_ms'] >= 60000
    pushed = wire.call('PushTelemetry', 0, client_instance_id=answer['client_instance_id'],
                       subscription_id=answer['subscription_id'], terminating=True, compression_type=0, metrics=b'')
    assert pushed['error_code'] == 0


def test_resources_with_settings(wire):
    wire.create('listed')
    # Version 0 knows metrics of clients only.
    answer = wire.call('ListConfigResources', 0)
    assert answer['error_code'] == 0 and answer['config_resources'] == []
    def rows(*types):
        found = wire.call('ListConfigResources', 1, resource_types=list(types))['config_resources']
        return {(r['resource_type'], r['resource_name']) for r in found}
    assert (2, 'listed') in rows(2) and {t for t, _ in rows(2)} == {2}
    assert rows(4) == {(4, '1')}
    assert {(2, 'listed'), (4, '1')} <= rows()


def test_apis_of_brokers_are_refused(mqs):
    """UpdateMetadata and its like: the connection ends, the broker goes on."""
    for key in (4, 5, 6, 7, 52, 53, 54, 56, 58, 62, 63, 64, 67, 70, 73, 80, 82, 83, 84, 85, 86, 87, 88, 89):
        with Wire(mqs) as w:
            w.socket.sendall(b'\0\0\0\x0e' + key.to_bytes(2, 'big') + b'\0\0\0\0\0\1\0\4wire')
            assert w.socket.recv(10) == b'', key
    with Wire(mqs) as w:
        assert w.call('ApiVersions', 0)['error_code'] == 0
    assert message('ApiVersions')['key'] == 18
