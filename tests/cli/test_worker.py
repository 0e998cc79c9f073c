from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from fedzmq.client.client import connect
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.errors import RemoteError, WorkerLost
from tests.cli.conftest import Call
from tests.processes import Fedzmq

NOBODY = "tcp://127.0.0.1:1"  # a port that only root may listen at, and nothing does


def test_it_says_what_it_holds_and_clients_see_it(tmp_path: Path, site: LocalCluster) -> None:
    np.savez(tmp_path / "mine.npz", features=np.zeros((5, 3), np.float32), targets=np.array([0, 1, 0, 1, 0]))
    (tmp_path / "own.py").write_text("def load():\n    return [[1.0], [2.0], [3.0]], [0.5, 1.0, 1.5]\n")
    data = ["--data", "mine.npz", "--data", "readings=own:load"]
    with (
        Fedzmq("worker", "--id", "dave", "--broker", site.address, *data, folder=tmp_path) as worker,
        connect(site.address) as client,
    ):
        worker.expect("worker dave at ")
        held = {each.name: each.rows for each in client.worker("dave").data()}
        worker.signal(signal.SIGINT)

        assert held == {"mine": 5, "readings": 3}
        assert worker.out[:2] == ["holds mine: 5 examples\n", "holds readings: 3 examples\n"]
        assert worker.wait() == 0
        assert worker.out[-1] == "stopped\n"
        assert worker.err == []


def test_its_options_may_be_in_a_file(call: Call, tmp_path: Path) -> None:
    options = f'id = "dave"\nbroker = "{NOBODY}"\nwait = 0.2\ndata = ["digits"]\npart = "1/3"\n'
    (tmp_path / "worker.toml").write_text(options)
    ended = call("worker", "--config", "worker.toml")

    assert ended.code == 3
    assert ended.out.startswith("holds digits: ")
    assert f"no broker answered at {NOBODY} within 0.2 s" in ended.err


def test_it_says_which_column_its_target_is(call: Call, tmp_path: Path) -> None:
    (tmp_path / "sick.csv").write_text("age,sick\n1,0\n2,1\n3,1\n4,0\n")
    ended = call("worker", "--id", "dave", "--broker", NOBODY, "--wait", "0", "--data", "sick.csv", "--part", "1/2")

    assert ended.out.startswith("holds sick: ")
    assert " examples, target 'sick'\n" in ended.out


def test_its_owner_may_want_no_shared_memory(tmp_path: Path, site: LocalCluster) -> None:
    with (
        Fedzmq("worker", "--id", "judy", "--broker", site.address, "--no-direct", folder=tmp_path) as worker,
        connect(site.address) as client,
    ):
        worker.expect("worker judy at ")
        judy = client.worker("judy")
        for _ in range(3):
            assert torch.ones(1 << 18).send(judy).get().sum() == 1 << 18
        assert not client.endpoint.shares_with(judy.line.peer)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold no process to a limit")
def test_what_takes_more_memory_than_it_may_fails_alone(tmp_path: Path, site: LocalCluster) -> None:
    with (
        Fedzmq("worker", "--id", "mia", "--broker", site.address, "--memory", "256", folder=tmp_path) as worker,
        connect(site.address) as client,
    ):
        worker.expect("worker mia at ")
        mia = client.worker("mia")
        x = torch.ones(1, 4).send(mia)
        with pytest.raises(RuntimeError, match="allocate memory"):  # on the way to a small result
            torch.kthvalue(mia.remote.torch.ones(30_000_000), 1)[0].get()
        with pytest.raises(RemoteError, match="the bytes that this client keeps"):
            torch.ones(1 << 25).send(mia).sum().get()
        assert x.sum().get() == 4


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold no process to a limit")
def test_who_fills_the_memory_with_many_small_requests_leaves_and_the_others_stay(
    tmp_path: Path, site: LocalCluster
) -> None:
    with (
        Fedzmq("worker", "--id", "mia", "--broker", site.address, "--memory", "256", folder=tmp_path) as worker,
        connect(site.address) as client,
        connect(site.address) as other,
    ):
        worker.expect("worker mia at ")
        kept = torch.ones(4).send(client.worker("mia"))
        assert kept.sum().get() == 4
        x = torch.ones(1 << 18, requires_grad=True).send(other.worker("mia"))
        with suppress(WorkerLost):
            for _ in range(1000):
                x = x * x  # a graph holds what no name does
                x.sum().get()

        assert kept.sum().get() == 4
        assert any("it took most of the memory" in line for line in worker.out)


def test_sigterm_ends_it_cleanly(tmp_path: Path, site: LocalCluster) -> None:
    with Fedzmq("worker", "--id", "erin", "--broker", site.address, folder=tmp_path) as worker:
        worker.expect("worker erin at ")
        worker.signal(signal.SIGTERM)

        assert (worker.wait(), worker.err) == (0, [])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_while_torch_is_imported_leaves_no_trace(tmp_path: Path) -> None:
    with Fedzmq("worker", "--id", "bob", "--broker", NOBODY, folder=tmp_path) as worker:
        worker.expect_handlers()
        worker.signal(signal.SIGINT)

        assert worker.wait() == 130
        assert worker.said == ""


def test_ctrl_c_while_it_waits_for_the_broker_leaves_no_trace(tmp_path: Path) -> None:
    with Fedzmq("worker", "--id", "bob", "--broker", NOBODY, folder=tmp_path) as worker:
        worker.expect(f"waiting for the broker at {NOBODY}")
        worker.signal(signal.SIGINT)

        assert worker.wait() == 130
        assert "".join(worker.err).strip() == ""


def test_a_broker_that_is_down_is_one_sentence(call: Call) -> None:
    ended = call("worker", "--id", "bob", "--broker", NOBODY, "--wait", "0.3")

    assert (ended.code, ended.out) == (3, "")
    assert ended.err == (
        f"fedzmq: no broker answered at {NOBODY} within 0.3 s; "
        f"is `fedzmq broker --listen {NOBODY}` running, and is the address right?\n"
    )


def test_a_second_worker_of_a_living_name_is_refused_and_the_first_serves_on(call: Call, site: LocalCluster) -> None:
    with site.connect() as client:
        bob = client.worker("bob")
        ended = call("worker", "--id", "bob", "--broker", site.address)

        assert (ended.code, ended.err.count("\n")) == (3, 1)
        assert "the name 'bob' is taken" in ended.err
        assert [each.name for each in bob.data()] == ["digits"]
        assert client.worker("bob") is bob


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--broker", "tpc://127.0.0.1:5555"], "no transport for scheme 'tpc' (known: ipc, memory, tcp); did you mean"),
        (["--broker", "127.0.0.1:5555"], "'127.0.0.1:5555': a broker's is expected"),
        (["--broker", "tcp://127.0.0.1"], "'tcp://127.0.0.1': expected tcp://host:port"),
        (["--broker", "memory://here"], "'memory://here': it ends with its process"),
        (["--id", "bob builder"], "'bob builder' cannot be the name of a party"),
        (["--data", "nowhere.csv"], "'nowhere.csv': there is no such file"),
        (["--data", "empty.csv"], "cannot use the data 'empty.csv'"),
        (["--data", "digit"], "did you mean 'digits'?"),
        (["--data", "nowhere:load"], "no module 'nowhere' in "),
        (["--data", "iris", "--data", "iris"], "two sets have one name"),
        (["--part", "1/3"], "--part says how much of the data to hold: it needs --data"),
        (["--data", "iris", "--part", "1/9999"], "135 examples cannot give 9999 workers one each"),
    ],
)
def test_what_it_cannot_use_is_one_sentence(call: Call, tmp_path: Path, options: list[str], sentence: str) -> None:
    (tmp_path / "empty.csv").touch()
    ended = call("worker", "--id", "bob", "--broker", NOBODY, *options)

    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert sentence in ended.err


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--part", "3/2"),
        ("--part", "one"),
        ("--alpha", "0"),
        ("--alpha", "inf"),
        ("--silence", "nan"),
        ("--wait", "-1"),
        ("--threads", "0"),
        ("--split-seed", "x"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(call: Call, option: str, value: str) -> None:
    ended = call("worker", "--id", "bob", option, value)

    assert ended.code == 2
    assert f"Invalid value for '{option}'" in ended.err


def test_the_owners_function_is_offered_and_called(tmp_path: Path, site: LocalCluster) -> None:
    (tmp_path / "mine.py").write_text("def double(x):\n    return 2 * x\n")
    options = ["--id", "dora", "--broker", site.address, "--function", "twice=mine:double"]
    with Fedzmq("worker", *options, folder=tmp_path) as worker, site.connect() as client:
        worker.expect("offers the function twice")
        worker.expect("(Ctrl-C ends it)")
        assert client.worker("dora", timeout=60).functions() == ("twice",)
        assert client.worker("dora").function("twice")(21).get().item() == 42


def test_a_folder_where_nothing_can_be_kept_is_refused_at_the_start(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in ("file", "file/bob", "/proc/bob"):  # root may write to /proc, and yet make nothing there
        ended = call("worker", "--id", "bob", "--broker", "tcp://127.0.0.1:1", "--keep", folder)

        assert ended.code == 2
        assert f"nothing can be kept in {folder!r}: " in ended.err
