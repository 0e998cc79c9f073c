"""What all tests share. They run in as many processes as there are cores, so each of them computes with one thread."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from fedzmq.cluster.local_cluster import LocalCluster

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported, and for the processes that tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as it is in the background of a shell, and would be inherited
    signal.signal(signal.SIGINT, signal.default_int_handler)
# How long an example takes is the machine's affair.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
gc.disable()  # what is collected is kept, and five thousand tests are much to look through again and again


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def home_of_secrets(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test leaves anything with the user."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(autouse=True)
def unseeded() -> None:
    """No test begins with the seed that another one gave torch."""
    from fedzmq.pointers import seeding  # which brings torch

    seeding._SEEDS._last = None


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
