from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedzmq.testing.cluster import LocalCluster


@pytest.fixture(scope="session")
def site() -> Iterator[LocalCluster]:
    """A broker and three workers that split the digits, each a process; whoever kills one starts it again."""
    with LocalCluster(["bob", "alice", "carol"], data="digits", listen="tcp://127.0.0.1:0") as cluster:
        yield cluster
