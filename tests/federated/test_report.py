from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from fedzmq.errors import DataError
from fedzmq.federated.report import Absence, Answer, Evaluation, RoundReport

REPORT = RoundReport(
    round=3,
    loss=0.25,
    accuracy=0.875,
    train_loss=0.1,
    seconds=1.5,
    bytes_sent=1000,
    bytes_received=2000,
    answered=(Answer("bob", 100, 0.1, 0.5), Answer("zoë", 50, 0.2, 0.7)),
    failed=(Absence("alice", 'worker "alice" is lost:\nno heartbeat'),),
)


def test_a_report_is_one_line_of_json_and_back() -> None:
    line = REPORT.to_json()

    assert "\n" not in line
    assert RoundReport.from_json(line) == REPORT


def test_a_regression_has_no_accuracy() -> None:
    report = replace(REPORT, accuracy=None)

    assert RoundReport.from_json(report.to_json()) == report


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_still_json(value: float) -> None:
    line = replace(REPORT, loss=value, answered=(Answer("bob", 1, value, 0.5),)).to_json()

    assert json.loads(line, parse_constant=pytest.fail)["loss"] is None
    assert math.isnan(RoundReport.from_json(line).loss)
    assert math.isnan(RoundReport.from_json(line).answered[0].loss)


def test_the_examples_are_those_of_the_answers() -> None:
    assert REPORT.examples == 150


@pytest.mark.parametrize(
    "line", ["", "{", "[]", "{}", "3", '{"round": 1}', '{"loss": 1, "train_loss": 1, "answered": [3]}']
)
def test_a_line_that_is_no_report_is_refused(line: str) -> None:
    with pytest.raises(DataError, match="expected the report of a round as JSON, with round, loss, accuracy"):
        RoundReport.from_json(line)


EVALUATED = replace(
    REPORT,
    metrics={"f1": 0.5, "confusion": [[1, 2], [3, 4]]},
    evaluated=(Evaluation("alice", 10, 0.5, 0.75, {"f1": 0.25}, 0.1), Evaluation("bob", 30, math.inf, 0.5)),
    together=Evaluation("all", 40, 0.25, 0.5625, {"f1": 0.5}, 0.1),
)


def test_what_workers_found_comes_back_from_its_line() -> None:
    back = RoundReport.from_json(EVALUATED.to_json())

    assert math.isnan(back.evaluated[1].loss)
    assert replace(back, evaluated=()) == replace(EVALUATED, evaluated=())
    assert back.evaluated[0] == EVALUATED.evaluated[0]


def test_a_line_from_before_workers_evaluated_is_read() -> None:
    values = json.loads(REPORT.to_json())
    for name in ("metrics", "evaluated", "together"):
        del values[name]

    assert RoundReport.from_json(json.dumps(values)) == REPORT


def test_the_spread_over_the_workers_is_said() -> None:
    assert EVALUATED.spread() == "workers 0.5625 (0.5000 to 0.7500)"
    assert REPORT.spread() == ""


def test_a_line_leaves_out_who_and_at_what_cost_before_how_good_the_model_is() -> None:
    whole = EVALUATED.line()
    found = "  f1 0.5000  workers 0.5625 (0.5000 to 0.7500)  "

    assert found in whole
    assert EVALUATED.line(width=len(whole)) == whole
    for width in (10, 60, 80):
        line = EVALUATED.line(width=width)
        assert found in line
        assert " s  " not in line


def test_figures_are_those_that_are_one_number() -> None:
    assert replace(EVALUATED.evaluated[0], metrics={"f1": 0.5, "confusion": [[1]]}).figures() == {
        "loss": 0.5, "accuracy": 0.75, "f1": 0.5,
    }  # fmt: skip


def test_a_worker_that_answered_several_times_is_one_worker() -> None:
    often = replace(REPORT, answered=REPORT.answered * 5)

    assert often.line(width=200).endswith("  bob, zoë; without alice")
    assert often.line(width=50).endswith("  2 workers; without alice")
    assert replace(often, answered=often.answered[:1]).line(width=50).endswith("  1 worker; without alice")
