from __future__ import annotations

import errno
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fedzmq.client.client import connect
from fedzmq.cluster import local_cluster
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.cluster.memory import WORKER_BYTES
from fedzmq.errors import ClusterError, InvalidName, TransportClosed, UsageError
from tests.processes import Spoken, living_in, until

OWNER = """
import time
from fedzmq.cluster.local_cluster import LocalCluster

with LocalCluster(["bob"]) as cluster:
    while "worker bob at" not in cluster.last_words("bob"):
        cluster.check("bob")
        time.sleep(0.02)
    print("all here", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where clusters of this test put their folders; that neither a file nor a process is left is checked here."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield tmp_path
    assert list(tmp_path.iterdir()) == []
    assert living_in(tmp_path) == []


def test_it_gives_a_broker_and_workers_and_takes_them_away(temporary: Path) -> None:
    with LocalCluster(["bob"], listen="tcp://127.0.0.1:0") as cluster:
        assert cluster.address.startswith("tcp://127.0.0.1:")
        assert not cluster.address.endswith(":0")
        with cluster.connect() as client:
            assert [worker.name for worker in client.workers()] == ["bob"]
        processes = dict(cluster.processes)
    cluster.close()

    assert {name: process.returncode for name, process in processes.items()} == {"broker": 0, "bob": 0}


def test_its_processes_end_though_a_client_cannot_be_closed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = LocalCluster([]).start()
    with cluster.connect() as client:
        broker = cluster.processes["broker"]
        with monkeypatch.context() as patch:
            patch.setattr(client, "close", lambda: signal.raise_signal(signal.SIGINT))
            with pytest.raises(KeyboardInterrupt):
                cluster.close()
        assert broker.wait(10) is not None
    cluster.close()


def test_its_clients_wait_for_nothing_once_it_is_closed(temporary: Path) -> None:
    cluster = LocalCluster(1).start()
    client = cluster.connect(name="anna")
    assert client.endpoint.connection.name == "anna"
    pointer = torch.ones(3).send(client.worker("bob"))  # type: ignore[attr-defined]  # a client gave it `send`
    cluster.close()

    with pytest.raises(TransportClosed):
        pointer.get()


def test_no_port_is_opened_unless_asked_for(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="fz") as short:  # a socket's path has to be
        monkeypatch.setattr(tempfile, "tempdir", short)
        with LocalCluster([]) as cluster, cluster.connect():
            folder = Path(cluster.address.removeprefix("ipc://")).parent
            assert folder.parent == Path(short)
            assert folder.stat().st_mode & 0o077 == 0


def test_workers_split_the_data(site: LocalCluster) -> None:
    with site.connect() as client:
        rows = [client.worker(name).data()[0].rows for name in site.workers]

    assert sum(rows) == 1617  # nine tenths of the digits
    assert len(set(rows)) == 3


def test_an_owner_that_is_killed_takes_every_process_along_and_the_next_cluster_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spoken(["-c", OWNER], folder=tmp_path) as owner:
        owner.expect("all here")
        assert len(owner.family()) == 3
        owner.signal(signal.SIGKILL)
        owner.wait()
        until(lambda: owner.family() == [], lambda: str(owner.family()))
    monkeypatch.setattr(tempfile, "tempdir", str(owner.temporary))
    with LocalCluster([], listen="tcp://127.0.0.1:0"):
        assert len(list(owner.temporary.glob("fedzmq-*"))) == 1
    assert list(owner.temporary.glob("fedzmq-*")) == []


def test_a_worker_that_cannot_start_is_an_error_with_its_last_words(temporary: Path) -> None:
    with (
        LocalCluster(["bob"], data="nowhere.csv") as cluster,
        pytest.raises(ClusterError, match=r"bob ended with exit code 2; its last words: cannot use .* no such file"),
    ):
        cluster.connect()


def test_more_workers_than_have_room_in_memory_are_refused_before_one_is_started(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_cluster, "free_bytes", lambda: WORKER_BYTES)
    cluster = LocalCluster(["bob", "alice"])
    with pytest.raises(ClusterError, match="1 have room"):
        cluster.start()
    assert cluster.processes == {}


def test_more_processes_than_files_can_be_open_is_a_sentence(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*given: object, **named: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(local_cluster.subprocess, "Popen", start)
    with pytest.raises(ClusterError, match="broker cannot be started: Too many open files"):
        LocalCluster([]).start()


def test_a_broker_that_cannot_start_is_an_error_with_its_last_words(temporary: Path, site: LocalCluster) -> None:
    with pytest.raises(ClusterError, match=r"broker ended with exit code 3; its last words: cannot listen at tcp://"):
        LocalCluster(["bob"], listen=site.address).start()


def test_a_broker_whose_socket_another_has_is_an_error_and_not_a_visit(temporary: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="fz") as short:
        listen = f"ipc://{short}/b"
        with (
            LocalCluster([], listen=listen) as first,
            first.connect(),
            LocalCluster([], listen=listen) as second,
            pytest.raises(ClusterError, match="another process listens there"),
        ):
            second.connect()


def test_a_broker_that_was_killed_is_restarted_at_its_address(temporary: Path) -> None:
    with LocalCluster([], listen="tcp://127.0.0.1:0") as cluster:
        address = cluster.address
        cluster.kill("broker")
        with pytest.raises(ClusterError, match="broker was killed by SIGKILL"):
            cluster.check("broker")
        cluster.restart_broker()
        assert cluster.address == address
        connect(address).close()


def test_of_a_worker_that_ended_it_is_told_how_once(temporary: Path) -> None:
    with LocalCluster(["bob"]) as cluster:
        assert cluster.ended() == []
        for _ in range(2):
            cluster.kill("bob")
            (told,) = cluster.ended()
            assert told.startswith(
                "bob was killed by SIGKILL (by somebody, or by the system, which had no memory left)"
            )
            assert cluster.ended() == []
            cluster.start_worker("bob")
            assert cluster.ended() == []


def test_what_still_runs_is_not_started_again(temporary: Path) -> None:
    with (
        LocalCluster([], listen="tcp://127.0.0.1:0") as cluster,
        pytest.raises(ClusterError, match=r"broker still runs, as process \d+: kill it first"),
    ):
        cluster.restart_broker()


def test_a_process_that_it_does_not_have_is_named_with_those_it_has(temporary: Path) -> None:
    with (
        LocalCluster([], listen="tcp://127.0.0.1:0") as cluster,
        pytest.raises(ClusterError, match=r"no process 'bob' is in this cluster \(it has: broker\)"),
    ):
        cluster.kill("bob")


@pytest.mark.parametrize(
    ("workers", "error"), [(["bob", "bob"], ClusterError), (["broker"], InvalidName), (["../bob"], InvalidName)]
)
def test_names_that_workers_cannot_have_are_refused(
    temporary: Path, workers: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        LocalCluster(workers).start()


def test_before_the_start_it_has_no_address() -> None:
    with pytest.raises(ClusterError, match="use it in a `with`"):
        LocalCluster().address  # noqa: B018


def test_a_number_of_workers_are_called_as_elsewhere() -> None:
    assert LocalCluster(workers=3).workers == ("bob", "alice", "carol")


@pytest.mark.parametrize("workers", ["bob", b"bob", None, 1.5])
def test_one_name_is_not_read_as_the_workers_of_its_letters(workers: Any) -> None:
    with pytest.raises(UsageError, match="workers are a list of names"):
        LocalCluster(workers=workers)
