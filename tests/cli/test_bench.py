"""`fedzmq bench`, with so little work that its numbers mean nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.errors import ClusterError
from fedzmq.testing.benchmarks.figures import FIGURES, ON_REQUEST
from fedzmq.testing.benchmarks.outcome import Outcome
from fedzmq.testing.benchmarks.site import Site
from tests.cli.conftest import Call

FIELDS = {"figure", "what", "unit", "ours", "peer", "theirs", "bound", "compared", "spread", "extra", "why", "met"}


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fedzmq", "bench", "--quick", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=110)


def test_every_figure_is_measured_beside_its_peer() -> None:
    done = bench("--json")

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert all(set(row) == FIELDS for row in rows)
    assert {row["figure"] for row in rows if row["met"] in (True, False)} == set(FIGURES) - ON_REQUEST
    assert {row["peer"] for row in rows if row["theirs"]} == {
        "torch.distributed.rpc",
        "raw pyzmq, two hops",
        "plain torch",
        "torch add_, in float32",
        "raw pyzmq, the same bytes",
    }


def test_what_takes_dozens_of_processes_is_measured_on_request() -> None:
    done = bench("--json", *sorted(ON_REQUEST))

    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert {row["figure"] for row in rows} == ON_REQUEST
    assert all(row["met"] in (True, False) for row in rows)


def test_a_table_says_what_is_wanted(call: Call) -> None:
    ended = call("bench", "--quick", "virtual")

    assert ended.code == 0, ended.err
    assert "plain torch" in ended.out
    assert "2.2" in ended.out


def test_a_figure_that_fails_is_told_and_the_others_are_measured(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(site: Site) -> Iterator[Outcome]:
        raise ClusterError("no room for it")
        yield

    monkeypatch.setattr("fedzmq.cli.bench.FIGURES", {"fold": fail, "virtual": FIGURES["virtual"]})
    ended = call("bench", "--quick", "--json", "fold", "virtual")

    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 1
    assert "could not be measured: fold" in ended.err
    assert [(row["figure"], row["ours"] is None) for row in rows] == [("fold", True), ("virtual", False)]
    assert rows[0]["why"] == "ClusterError: no room for it"


def test_what_needs_a_broker_of_its_own_is_refused_at_another(call: Call) -> None:
    ended = call("bench", "--broker", "tcp://127.0.0.1:9", "round")

    assert ended.code == 2
    assert "leave --broker out" in ended.err


def test_at_a_running_broker_only_fedzmq_is_measured(call: Call, site: LocalCluster) -> None:
    figures = ("operations", "get", "transfer", "plan")
    ended = call("bench", "--quick", "--json", "--broker", site.address, "--worker", "bob", *figures)

    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert ended.code == 0, ended.err
    assert [row["figure"] for row in rows if row["theirs"] is None][:2] == ["operations", "get"]
    assert not any(row["peer"] for row in rows)


def test_an_unknown_figure_names_the_known(call: Call) -> None:
    ended = call("bench", "speed")

    assert ended.code == 2
    assert "operations" in ended.err
