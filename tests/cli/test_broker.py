from __future__ import annotations

import errno
import resource
import signal
import sys
from pathlib import Path

import pytest

from fedzmq.broker.broker import Broker
from fedzmq.transports.registry import connect
from tests.cli.conftest import Call
from tests.processes import Fedzmq, until

LISTEN = "tcp://127.0.0.1:0"


def test_its_options_may_be_in_a_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "broker.toml").write_text('listen = "tpc://127.0.0.1:0"\nsilence = 5\n')
    ended = call("broker", "--config", "broker.toml")

    assert ended.code == 2
    assert "tpc://127.0.0.1:0" in ended.err


def test_it_says_where_it_listens_and_parties_find_it_there(tmp_path: Path) -> None:
    with Fedzmq("broker", "--listen", LISTEN, folder=tmp_path) as broker:
        address = broker.expect("listening at ").split()[2]
        with connect(address, "alice") as alice:
            until(lambda: alice.recv(0.01) is None and alice.silent_for() < 60, lambda: "no broker")
            alice.publish("news", [])
            broker.expect("alice joined")
        broker.expect("alice left")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_lets_in_as_many_as_the_system_allows(tmp_path: Path) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, most) // 2, most))
    try:
        broker = Fedzmq("broker", "--listen", LISTEN, folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    with broker:
        broker.expect("listening at ")
        assert resource.prlimit(broker._process.pid, resource.RLIMIT_NOFILE) == (most, most)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MemoryError(), "fedzmq: this needs more memory than it gets here: see ulimit -v, and a container's limit\n"),
        (
            OSError(errno.EMFILE, "no more"),
            "fedzmq: too many files are open: allow a process more of them (ulimit -n)\n",
        ),
    ],
)
def test_what_the_system_refuses_is_a_sentence(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def refused(arguments: object) -> int:
        raise error

    monkeypatch.setattr("fedzmq.cli.commands.run_command", refused)
    ended = call("broker")

    assert (ended.code, ended.err) == (3, sentence)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: int) -> None:
    with Fedzmq("broker", "--listen", "ipc://b", folder=tmp_path) as broker:
        broker.expect("listening at ")
        broker.signal(number)

        assert broker.wait() == 0
        assert broker.out[-1] == "stopped\n"
        assert broker.err == []
        assert not (tmp_path / "b").exists()


def test_one_that_was_killed_is_started_again_at_its_address(tmp_path: Path) -> None:
    with Fedzmq("broker", "--listen", "ipc://b", folder=tmp_path) as broker:
        broker.expect("listening at ")
        broker.signal(signal.SIGKILL)
        broker.wait()
    with Fedzmq("broker", "--listen", "ipc://b", folder=tmp_path) as broker:
        broker.expect("listening at ")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_before_it_listens_leaves_no_trace(tmp_path: Path) -> None:
    with Fedzmq("broker", "--listen", "ipc://b", folder=tmp_path) as broker:
        broker.expect_handlers()
        broker.signal(signal.SIGINT)

        assert broker.wait() in (0, 130)
        assert broker.err == []
        assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        ("tpc://127.0.0.1:0", 2, "'tpc://127.0.0.1:0': expected tcp://host:port or ipc://path"),
        ("127.0.0.1:5555", 2, "'127.0.0.1:5555': expected tcp://host:port or ipc://path"),
        ("tcp://127.0.0.1:99999", 2, "the port is 99999, and the highest is 65535"),
        ("tcp://0.0.0.0:0", 2, "--allow-remote"),
        ("tcp://nosuch.invalid:5", 2, "'nosuch.invalid' is neither an IP address nor a network interface"),
        ("ipc://nowhere/b", 2, "there is no folder nowhere"),
    ],
)
def test_an_address_that_it_cannot_listen_at_is_one_sentence(
    call: Call, address: str, code: int, sentence: str
) -> None:
    ended = call("broker", "--listen", address)

    assert (ended.code, ended.out, ended.err.count("\n")) == (code, "", 1)
    assert sentence in ended.err


def test_a_short_form_of_an_ip_address_is_one() -> None:
    with Broker("tcp://127.1:0", allow_remote=True) as broker:
        assert broker.address.startswith("tcp://127.0.0.1:")


def test_a_port_in_use_is_one_sentence(call: Call) -> None:
    with Broker(LISTEN) as first:
        ended = call("broker", "--listen", first.address)

        assert (ended.code, ended.out) == (3, "")
        assert ended.err == f"fedzmq: cannot listen at {first.address}: another process listens there\n"


@pytest.mark.parametrize("seconds", ["0", "nan", "inf", "soon"])
def test_a_silence_that_is_no_time_is_refused(call: Call, seconds: str) -> None:
    ended = call("broker", "--silence", seconds)

    assert ended.code == 2
    assert "Invalid value for '--silence'" in ended.err
