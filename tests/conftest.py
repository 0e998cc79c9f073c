from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedzmq.testing.cluster import LocalCluster


@pytest.fixture(scope="session")
def standing_cluster() -> Iterator[LocalCluster]:
    """A broker and three workers that split the digits, each a process."""
    with LocalCluster(["bob", "alice", "carol"], data="digits", listen="tcp://127.0.0.1:0") as cluster:
        yield cluster


@pytest.fixture
def site(standing_cluster: LocalCluster) -> LocalCluster:
    """That cluster with everybody there; a test that kills one starts it again."""
    standing_cluster.connect().close()
    return standing_cluster
