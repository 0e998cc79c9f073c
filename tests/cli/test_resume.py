from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.federated.ledger.run_ledger import RunLedger
from fedzmq.federated.run_folder import read_rounds
from tests.cli.conftest import Call
from tests.cli.test_train import NOBODY
from tests.federated.ledger.kept import run_to
from tests.processes import Fedzmq, until

SCAFFOLD = ("--strategy", "scaffold", "--fraction", "0.6", "--workers", "3", "--rounds", "12", "--json")


def made(path: Path, done: int = 2, rounds: int = 10, finished: bool = False, job: str = "rounds = 10\n") -> Path:
    """The folder of a run with so many rounds done."""
    with RunLedger(path, notes={"job": job}) as ledger:
        run_to(ledger, done, rounds=rounds)
        if finished:
            ledger.finish()
    return path


def test_a_killed_coordinator_goes_on_where_it_was_and_ends_with_the_same_bits(
    call: Call, site: LocalCluster, tmp_path: Path
) -> None:
    call("train", "--broker", site.address, *SCAFFOLD, "--out", "undisturbed")
    with Fedzmq("train", "--broker", site.address, *SCAFFOLD, "--out", "run", folder=tmp_path) as run:
        run.expect('"round"', times=4)
        run.signal(signal.SIGKILL)
        run.wait()
    ended = call("train", "--resume", "run")
    undisturbed, resumed = read_rounds(tmp_path / "undisturbed"), read_rounds(tmp_path / "run")

    assert ended.code == 0, ended.err
    assert "going on after round " in ended.err
    assert [each.round for each in resumed] == list(range(1, 13))
    assert [(each.loss, each.accuracy) for each in resumed] == [(each.loss, each.accuracy) for each in undisturbed]
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("undisturbed", "run"))
    assert first == second


def test_workers_that_were_started_for_a_run_and_died_with_it_go_on_with_what_they_kept(
    call: Call, tmp_path: Path
) -> None:
    options = ("train", *SCAFFOLD, "--rounds", "6", "--workers", "2")
    undisturbed = call(*options, "--out", "undisturbed")
    with Fedzmq(*options, "--out", "run", folder=tmp_path) as run:
        run.expect('"round"', times=3)
        run.signal(signal.SIGKILL)
        run.wait()
        until(lambda: run.family() == [], lambda: run.said)
    resumed = call("train", "--resume", "run")
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("undisturbed", "run"))

    assert (undisturbed.code, resumed.code) == (0, 0), undisturbed.err + resumed.err
    assert first == second


def test_a_run_that_sigterm_stopped_says_how_it_goes_on_and_does(
    call: Call, site: LocalCluster, tmp_path: Path
) -> None:
    with Fedzmq("train", "--broker", site.address, "--rounds", "100000", "--out", "run", folder=tmp_path) as run:
        run.expect("round ", times=2)
        run.signal(signal.SIGTERM)
        assert run.wait() == 130
        assert "Traceback" not in run.said
        assert "of 100000 rounds; the run is in run\n" in run.said
        assert run.out[-1] == "go on with: fedzmq train --resume run\n"
    done = len(read_rounds(tmp_path / "run"))
    with site.connect() as client:
        assert {each.name for each in client.workers()} == {"bob", "alice", "carol"}  # who serve on
    ended = call("train", "--resume", "run", "--rounds", str(done + 1))

    assert ended.code == 0, ended.err
    assert f"after {done + 1} rounds; the run is in run" in ended.out


def test_a_finished_run_says_so(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "run", 10, finished=True)
    ended = call("train", "--resume", "run")

    assert ended.code == 0
    assert ended.out == "the run 'run' is finished: 10 rounds, accuracy 0.9000; --rounds 20 would make it longer\n"


def test_a_run_goes_on_without_a_worker_that_is_lost_for_good(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    job = f'broker = "{site.address}"\nworkers = 5\nrounds = 2\nepochs = 1\n'
    (tmp_path / "job.toml").write_text(job)
    call("train", "--config", "job.toml", "--workers", "3", "--rounds", "1", "--out", "run")
    too_few = call("train", "--resume", "run", "--rounds", "2", "--workers", "5", "--patience", "0.2")
    ended = call("train", "--resume", "run", "--rounds", "2", "--workers", "2")

    assert (too_few.code, ended.code) == (3, 0), too_few.err + ended.err
    assert "5 workers are needed" in too_few.err
    assert len(read_rounds(tmp_path / "run")) == 2


def test_fewer_rounds_than_are_done_are_refused_and_the_run_stays_as_it_is(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "run", 4)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()}
    ended = call("train", "--resume", "run", "--rounds", "3")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "fedzmq: 4 rounds of 'run' are done already; --rounds needs more\n"
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir() if path.is_file()} == before


def test_a_run_is_found_by_its_name(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "mine", 10, finished=True)

    assert "'runs/mine' is finished" in call("train", "--resume", "mine").out


def test_a_run_of_a_living_process_is_refused(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "run")
    with RunLedger(tmp_path / "run"):
        ended = call("train", "--resume", "run")

    assert ended.code == 3
    assert "the run 'run' is in use by process " in ended.err


def test_a_run_whose_last_words_to_its_record_are_lost_is_said_to_be(call: Call, tmp_path: Path) -> None:
    (tmp_path / "run" / "models").mkdir(parents=True)
    (tmp_path / "run" / "models" / "0.safetensors").touch()
    (tmp_path / "run" / "ledger.sqlite").touch()

    assert (
        "its record is empty: ledger.sqlite-wal, which belonged to it, is lost" in call("train", "--resume", "run").err
    )


def test_an_option_that_is_as_it_was_may_be_said_again(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "run", job="rounds = 10\nlr = 0.5\n")
    again = ("--lr", "0.5", "--strategy", "fedavg", "--workers", "2")

    assert (
        "--seed cannot be changed in a run that is resumed, from 0 to 7"
        in call("train", "--resume", "run", *again, "--seed", "7").err
    )


@pytest.mark.parametrize(
    ("optimizer", "again"),
    [("sgd", ("--lr", "0.1", "--loss", "cross_entropy", "--dataset", "digits")), ("adam", ("--lr", "0.001"))],
)
def test_what_followed_from_other_options_may_be_said_as_it_was(
    call: Call, site: LocalCluster, tmp_path: Path, optimizer: str, again: tuple[str, ...]
) -> None:
    options = ("--broker", site.address, "--epochs", "1", "--optimizer", optimizer)
    call("train", *options, "--rounds", "1", "--out", "run")
    ended = call("train", "--resume", "run", *again, "--rounds", "2")

    assert ended.code == 0, ended.err
    assert len(read_rounds(tmp_path / "run")) == 2


def test_a_run_that_was_killed_before_it_began_begins(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "job.toml").write_text(f'broker = "{site.address}"\nrounds = 1\nepochs = 1\n')
    (tmp_path / "run" / "ledger.sqlite").touch()
    told = call("runs", "show", "run")
    ended = call("train", "--resume", "run")
    again = call("train", "--resume", "run")

    assert told.out.splitlines()[0] == "run run: interrupted after round 0 of 0"
    assert told.out.splitlines()[-1] == "go on with: fedzmq train --resume run"
    assert ended.code == 0, ended.err
    assert "going on after round 0 of 1" in ended.out
    assert "the run 'run' is finished: 1 round" in again.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--resume", "runn"), "no run 'runn': neither a folder, nor a name in runs (0 runs are there)"),
        (("--resume", "empty"), "no run 'empty': empty holds no ledger.sqlite"),
        (("--resume", "own"), "was not begun by `fedzmq train`"),
        (("--resume", "run", "--lr", "0.5"), "--lr cannot be changed in a run that is resumed, from 0.1 to 0.5"),
        (("--resume", "run", "--loss", "nll"), "--loss cannot be changed in a run that is resumed, from cross_entropy"),
        (("--resume", "run", "--workers", "4"), "--workers cannot be changed in a run that is resumed, from 2 to 4"),
        (("--resume", "run", "--config", "run/job.toml"), "--config cannot be changed in a run that is resumed"),
        (("--force",), "--force is for a run that is taken up again: it needs --resume RUN"),
        (("--out", "run", "--broker", NOBODY), "a run is in it already: fedzmq train --resume run goes on with it"),
    ],
)
def test_what_cannot_be_resumed_is_a_sentence(
    call: Call, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "empty").mkdir()
    made(tmp_path / "run")
    (tmp_path / "run" / "job.toml").write_text("rounds = 10\n")
    made(tmp_path / "own", job="")
    ended = call("train", *arguments)

    assert ended.code == 2
    assert sentence in ended.err
    assert "Traceback" not in ended.err


def test_other_data_is_refused_and_taken_by_force(call: Call, site: LocalCluster, tmp_path: Path) -> None:
    (tmp_path / "held.csv").write_text("".join(f"{',1' * 64},{number % 10}\n"[1:] for number in range(40)))
    options = ("--broker", site.address, "--dataset", "digits", "--rounds", "1", "--json", "--out", "run")
    first = call("train", "--data", "held.csv", *options)
    (tmp_path / "held.csv").write_text("".join(f"{',2' * 64},{number % 10}\n"[1:] for number in range(40)))
    refused = call("train", "--resume", "run", "--rounds", "2")
    forced = call("train", "--resume", "run", "--rounds", "2", "--force")

    assert first.code == 0, first.err
    assert refused.code == 2
    assert "the run 'run' cannot go on as it began: the data to evaluate it on is not what it was; with " in refused.err
    assert forced.code == 0, forced.err
    assert json.loads(forced.out.splitlines()[0])["round"] == 2
