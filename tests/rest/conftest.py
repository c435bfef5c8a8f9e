# SPDX-License-Identifier: Apache-2.0
"""The platform with message integration, on its own broker and on Apache Kafka."""
import pytest

from lib.rest import Messages


@pytest.fixture(scope='session', params=['apache', 'embedded'])
def messages(request):
    m = Messages(request.param)
    yield m
    m.stop()


@pytest.fixture(scope='session')
def owner(messages):
    return messages.app('owner')
