# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka's own client: groups of both protocols, transactions, quotas, and all that user interfaces ask."""
import pytest


@pytest.mark.parametrize('name', [
    # what user interfaces ask
    'cluster', 'topics', 'offsets', 'groups', 'acls',
    # groups
    'classic', 'consumer', 'cooperative', 'staticClassic', 'staticConsumer', 'pattern',
    'transactions', 'timedOut', 'hanging', 'quotas'])
def test_scenario(mqs, java, name):
    java.run('Scenarios', name, mqs.address)
