from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from fedzmq.errors import MissingExtraError, UsageError
from fedzmq.federated.report import Evaluation, RoundReport
from fedzmq.federation.federation import Federation
from fedzmq.federation.loggers import LOGGERS, Outcome, RoundLogger, logger_by_name, scalars
from tests.federation.loggers.recorded import POINTS, REPORT, trained


class Notes(RoundLogger):
    def __init__(self, fails: str = "") -> None:
        self.heard: list[object] = []
        self.job: Mapping[str, Any] = {}
        self._fails = fails

    def begin(self, job: Mapping[str, Any], folder: Path | None) -> None:
        self.job = job
        self._note("begin", folder)

    def round(self, report: RoundReport) -> None:
        self._note("round", report.round)

    def end(self, outcome: Outcome) -> None:
        self._note("end", outcome)

    def _note(self, what: str, value: object) -> None:
        self.heard.append((what, value))
        if what == self._fails:
            raise OSError("the disk is full")


def test_a_logger_hears_of_the_beginning_every_round_and_the_end(tmp_path: Path) -> None:
    notes = Notes()
    trained(notes, tmp_path / "run")

    assert notes.heard == [("begin", tmp_path / "run"), *(("round", each) for each in (1, 2, 3)), ("end", "finished")]
    expected = {"model": "Linear", "strategy": "fedavg", "rounds": 3, "seed": 7, "options": {"lr": 0.1}}
    assert {name: notes.job[name] for name in expected} == expected


def test_a_break_is_told_as_stopped_and_an_error_as_failed() -> None:
    stopped, failed, other = Notes(), Notes("round"), Notes()
    with Federation(workers={"bob": POINTS}) as federation:
        with federation.train(nn.Linear(2, 2), log=stopped) as training:
            next(training)
        with pytest.raises(OSError, match="the disk is full"):
            federation.train(nn.Linear(2, 2), log=[other, failed]).run()

    assert stopped.heard == [("begin", None), ("round", 1), ("end", "stopped")]
    assert failed.heard[-1] == other.heard[-1] == ("end", "failed")


def test_who_could_not_begin_is_told_nothing_more() -> None:
    first, second = Notes(), Notes("begin")
    with Federation(workers={"bob": POINTS}) as federation, pytest.raises(OSError, match="the disk is full"):
        federation.train(nn.Linear(2, 2), log=[first, second]).run()

    assert first.heard == [("begin", None), ("end", "failed")]
    assert second.heard == [("begin", None)]


def test_the_numbers_of_a_report_have_names_and_those_that_are_none_are_left_out() -> None:
    assert scalars(REPORT) == {
        "loss": 0.5,
        "train_loss": 0.25,
        "seconds": 1.5,
        "bytes_sent": 100.0,
        "bytes_received": 200.0,
        "answered": 1.0,
        "failed": 1.0,
        "worker/bob/loss": 0.25,
        "worker/bob/seconds": 1.0,
        "worker/bob/examples": 10.0,
        "worker/bob/accuracy": 0.75,
    }


def test_what_was_measured_is_logged_too_of_all_and_of_each() -> None:
    bob, whole = Evaluation("bob", 4, 0.3, 0.5, {"f1": 0.4}), Evaluation("", 4, 0.2, None, {"f1": 0.6})
    report = replace(REPORT, metrics={"f1": 0.5, "confusion": [[1, 2], [3, 4]]}, evaluated=(bob,), together=whole)

    assert scalars(report) == scalars(REPORT) | {
        "f1": 0.5,
        "worker/bob/evaluated/loss": 0.3,
        "worker/bob/evaluated/accuracy": 0.5,
        "worker/bob/evaluated/f1": 0.4,
        "workers/loss": 0.2,
        "workers/f1": 0.6,
    }


def test_a_wrong_name_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="did you mean 'tensorboard'"):
        logger_by_name("tensorbord")


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("mlflow", "mlflow")])
def test_a_missing_package_names_the_extra(name: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)

    assert name in LOGGERS
    with pytest.raises(MissingExtraError, match=rf"pip install '\.\[{name}\]'"):
        logger_by_name(name)
