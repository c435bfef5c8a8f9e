# SPDX-License-Identifier: Apache-2.0
"""librdkafka 2.0.2, the version of Debian 12, by its Python package: it switches features on by exact old versions."""
import pytest

import test_librdkafka as newest


@pytest.fixture(autouse=True)
def old(monkeypatch):
    monkeypatch.setattr(newest, 'PACKAGES', ['confluent-kafka==2.0.2'])


test_compression = newest.test_compression
test_a_cooperative_rebalance_takes_only_what_moves = newest.test_a_cooperative_rebalance_takes_only_what_moves
test_the_last_value_of_a_key_stays = newest.test_the_last_value_of_a_key_stays
test_quotas_slow_down = newest.test_quotas_slow_down
test_aborted_records_are_not_seen = newest.test_aborted_records_are_not_seen
test_offsets_in_a_transaction = newest.test_offsets_in_a_transaction
test_a_new_instance_fences_the_old_one = newest.test_a_new_instance_fences_the_old_one
test_transaction_timeout_above_the_maximum = newest.test_transaction_timeout_above_the_maximum
test_records_without_key_on_a_compacted_topic = newest.test_records_without_key_on_a_compacted_topic
test_max_message_bytes = newest.test_max_message_bytes


def test_group_shares_the_partitions(mqs):
    newest.test_group_shares_the_partitions(mqs, 'classic')


def test_a_static_member_comes_back(mqs):
    newest.test_a_static_member_comes_back(mqs, 'classic')
