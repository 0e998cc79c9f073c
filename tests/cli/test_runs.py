from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from fedzmq.cli.run_options import labels_of
from fedzmq.errors import UpdateRefused
from fedzmq.federated.ledger.checkpoint import Opened
from fedzmq.federated.ledger.run_history import read_history
from fedzmq.federated.ledger.run_ledger import RunLedger
from tests.cli.conftest import Call
from tests.cli.test_resume import made

PNG = b"\x89PNG"


def test_no_runs_are_said_to_be_none(call: Call) -> None:
    ended = call("runs")

    assert (ended.code, ended.out) == (0, "no runs in runs/\n")


def test_each_run_is_a_line_the_latest_first(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "first", 10, finished=True)
    made(tmp_path / "runs" / "second", 3)
    made(tmp_path / "runs" / "third")
    with RunLedger(tmp_path / "runs" / "third"):
        ended = call("runs")
    head, *lines = ended.out.splitlines()

    assert head.split() == ["run", "state", "rounds", "accuracy", "last", "heard", "of"]
    assert [line.split()[:4] for line in lines] == [
        ["third", "running", "2/10", "0.9000"],
        ["second", "interrupted", "3/10", "0.9000"],
        ["first", "finished", "10/10", "0.9000"],
    ]


def test_a_run_that_ended_by_an_error_is_told_to_have_failed_and_why(call: Call, tmp_path: Path) -> None:
    with pytest.raises(UpdateRefused), RunLedger(made(tmp_path / "runs" / "mine")):
        raise UpdateRefused("it diverged")
    listed, shown = call("runs"), call("runs", "show", "mine")

    assert listed.out.splitlines()[1].split()[:3] == ["mine", "failed", "2/10"]
    assert "run mine: failed after round 2 of 10" in shown.out
    assert "  it diverged" in shown.out


def test_a_damaged_record_is_told_of_beside_the_others(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "whole")
    made(tmp_path / "runs" / "torn")
    (tmp_path / "runs" / "torn" / "ledger.sqlite").write_bytes(b"SQLite? It says so, and is not: never was, never is")
    ended = call("runs", "--json")

    assert ended.code == 0
    assert [json.loads(line)["name"] for line in ended.out.splitlines()] == ["whole"]
    assert ended.err == "cannot use the run folder 'runs/torn': its record cannot be opened: file is not a database\n"


@pytest.mark.parametrize("value", ['"rounds = ["', "3", "{"])
def test_a_damaged_job_is_a_sentence_and_the_other_runs_are_listed(call: Call, tmp_path: Path, value: str) -> None:
    made(tmp_path / "runs" / "whole")
    made(tmp_path / "runs" / "torn")
    with sqlite3.connect(tmp_path / "runs" / "torn" / "ledger.sqlite") as database:
        database.execute("UPDATE facts SET value = ? WHERE name = 'job'", (value,))
    database.close()

    for command in (("runs", "show", "torn"), ("runs", "plot", "torn", "whole"), ("train", "--resume", "torn")):
        ended = call(*command)
        assert ended.code == 2
        assert ended.err.startswith("fedzmq: cannot use the ")
    assert "whole " in call("runs").out


def test_a_run_is_told_in_its_order_with_who_failed_and_why(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "run", 2, job='rounds = 10\nstrategy = "fedadam"\n')
    with RunLedger(tmp_path / "run") as ledger:
        ledger.open(Opened(3, ("alice", "bob"), ("alice", "bob")))
        ledger.fail("interrupted")
    lines = call("runs", "show", "run").out.splitlines()
    words = [
        "after round 2 of 10",
        "strategy",
        " began",
        "round  1/10",
        "alice: it left",
        "round  2/10",
        "alice: it left",
    ]
    words += [" closed", " went on after round 2", "round 3 was under way: alice, bob", " interrupted"]

    assert len(lines) == len(words) + 1
    assert all(word in line for word, line in zip(words, lines, strict=False))
    assert lines[-1] == "go on with: fedzmq train --resume run"


def test_a_run_tells_what_was_asked_for_and_no_data_that_were_not_used(call: Call, tmp_path: Path) -> None:
    job = 'rounds = 10\nbatch-size = 8\nlr = 0.05\nepochs = 2\nno-evaluation = true\ndata = "digits"\n'
    made(tmp_path / "run", 2, job=job)
    _, *lines = call("runs", "show", "run").out.splitlines()
    told = dict(line.split() for line in lines[:3])

    assert told == {"batch-size": "8", "lr": "0.05", "epochs": "2"}


def test_a_run_is_told_as_json(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "run", 2)
    told = json.loads(call("runs", "show", "run", "--json").out)

    assert (told["state"], told["rounds"], told["of"]) == ("interrupted", 2, 10)
    assert told["options"] == {"rounds": 10}
    assert [report["round"] for report in told["reports"]] == [1, 2]
    assert told["reports"][0]["failed"] == [{"worker": "alice", "reason": "it left", "is_late": False}]


def test_a_run_in_a_folder_that_nobody_may_write_is_told(call: Call, tmp_path: Path) -> None:
    run = made(tmp_path / "run", 2)
    before = {path.name for path in run.iterdir()}
    ended = call("runs", "show", "run")

    assert ended.code == 0
    assert {path.name for path in run.iterdir()} == before == {"ledger.sqlite", "lock", "models"}


@pytest.mark.parametrize("by", ["rounds", "seconds", "bytes"])
def test_runs_are_drawn_in_one_picture(call: Call, tmp_path: Path, by: str) -> None:
    for name, strategy in (("a", "fedavg"), ("b", "fedadam")):
        made(tmp_path / "runs" / name, 4, job=f'strategy = "{strategy}"\n')
    ended = call("runs", "plot", "a", "b", "--out", "both.png", "--by", by)

    assert (ended.code, ended.out) == (0, "2 runs are drawn in both.png\n")
    assert (tmp_path / "both.png").read_bytes().startswith(PNG)


def test_a_picture_is_what_its_ending_says_and_where_the_runs_are(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a", 2)

    assert call("runs", "plot", "a").out == "1 run is drawn in runs/runs.png\n"
    for name, begins in (("a.svg", b"<?xml"), ("a.pdf", b"%PDF"), ("A.PNG", PNG)):
        assert call("runs", "plot", "a", "--out", name).code == 0
        assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_picture_in_another_form_is_refused(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a", 2)
    ended = call("runs", "plot", "a", "--out", "r.xyz")

    assert (ended.code, (tmp_path / "r.xyz").exists()) == (2, False)
    assert "'r.xyz' cannot be drawn: the picture is .png, .svg or .pdf" in ended.err


def test_runs_are_told_apart_by_what_they_were_asked_for(tmp_path: Path) -> None:
    jobs = (
        'broker = "tcp://a:1"\nseed = 0\nholdout = 0.0\nmetric = []\n',
        'broker = "tcp://b:2"\nseed = 1\nholdout = 0.2\nmetric = ["f1", "top3"]\n',
    )
    runs = [made(tmp_path / name, 2, job=job) for name, job in zip("ab", jobs, strict=True)]

    assert labels_of(list(map(read_history, runs))) == ["a: seed 0", "b: holdout 0.2, metric f1 top3, seed 1"]


def test_a_run_that_was_made_longer_is_told_apart_by_the_rounds_that_it_has(tmp_path: Path) -> None:
    runs = [made(tmp_path / name, 2, rounds) for name, rounds in (("longer", 203), ("other", 10))]
    alike = [made(tmp_path / name, 2, 203, job=f"rounds = {rounds}\n") for name, rounds in (("a", 200), ("b", 203))]

    assert labels_of(list(map(read_history, runs))) == ["longer: rounds 203", "other: rounds 10"]
    assert labels_of(list(map(read_history, alike))) == ["a", "b"]


def test_runs_are_not_told_apart_by_whether_and_when_they_were_evaluated(tmp_path: Path) -> None:
    jobs = "no-evaluation = true\nevaluate-every = 1\n", "no-evaluation = false\nevaluate-every = 5\n"
    runs = [made(tmp_path / name, 2, job=job) for name, job in zip("ab", jobs, strict=True)]

    assert labels_of(list(map(read_history, runs))) == ["a", "b"]


def test_a_run_that_nobody_evaluated_is_not_said_to_be_evaluated_at_the_coordinator(tmp_path: Path) -> None:
    jobs = [f'no-evaluation = true\nevaluate-at = "{place}"\n' for place in ("coordinator", "workers")]
    runs = [made(tmp_path / name, 2, job=job) for name, job in zip("ab", jobs, strict=True)]

    assert labels_of(list(map(read_history, runs))) == ["a", "b: evaluate-at workers"]


def test_a_picture_that_cannot_be_written_is_a_sentence(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a", 4)
    ended = call("runs", "plot", "a", "--out", "nowhere/both.png")

    assert ended.code == 2
    assert "both.png cannot be written: No such file or directory" in ended.err


def test_a_name_that_is_nearly_right_is_corrected(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "runs" / "20261125-digits", 4)
    ended = call("runs", "show", "20261125-digit")

    assert ended.code == 2
    assert ended.err == "fedzmq: no run '20261125-digit': did you mean '20261125-digits'?\n"
