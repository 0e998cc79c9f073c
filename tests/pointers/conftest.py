from __future__ import annotations

import pytest

from fedzmq.pointers.effects import Effects
from fedzmq.pointers.verbs import install
from tests.pointers.loopback import Place


@pytest.fixture(scope="session")
def effects() -> Effects:
    """Learned once for all tests: that a signature was met before must change nothing."""
    install()
    return Effects()


@pytest.fixture
def bob(effects: Effects) -> Place:
    return Place("bob", effects)


@pytest.fixture
def alice(effects: Effects) -> Place:
    return Place("alice", effects)
