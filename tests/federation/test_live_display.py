from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from fedzmq.federated.report import WIDTH, Absence, Answer, Evaluation, RoundReport
from fedzmq.federation.live_display import LiveDisplay

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi", "ivan", "judy", "mallory", "niaj")


def report(number: int, workers: int, *, failed: tuple[Absence, ...] = (), accuracy: float | None = 0.5) -> RoundReport:
    answered = tuple(Answer(name, 100, 1.25, 0.5) for name in NAMES[:workers])
    loss = math.nan if accuracy is None else 1.5
    return RoundReport(number, loss, accuracy, 1.25, 0.5, 3 << 20, 1 << 20, answered, failed)


@pytest.fixture
def page() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def display(page: io.StringIO) -> LiveDisplay:
    return LiveDisplay(15, Console(file=page, width=100, highlight=False))


def test_a_round_is_one_line(display: LiveDisplay, page: io.StringIO) -> None:
    with display:
        display.show(report(3, 2))

    assert page.getvalue() == "round  3/15  loss 1.5000  accuracy 0.5000    0.50 s    4.0 MiB  alice, bob\n"


def test_a_line_is_that_of_the_record_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    evaluated = (Evaluation("alice", 10, 0.5, 0.75), Evaluation("bob", 30, 0.25, 0.5))
    told = replace(report(3, 2), metrics={"f1": 0.25}, evaluated=evaluated, together=evaluated[0])
    LiveDisplay(15).show(told)

    assert capfd.readouterr().out == told.line(15, WIDTH) + "\n"
    assert "f1 0.2500  workers 0.7500 (0.5000 to 0.7500)" in told.line(15, WIDTH)


def test_names_that_do_not_fit_into_the_line_are_counted(display: LiveDisplay, page: io.StringIO) -> None:
    display.show(report(3, 12))

    assert page.getvalue().endswith("  12 workers\n")
    assert len(page.getvalue()) <= 100


def test_who_was_missing_is_said(display: LiveDisplay, page: io.StringIO) -> None:
    display.show(report(3, 2, failed=(Absence("carol", "it left"),)))

    assert page.getvalue().endswith("  alice, bob; without carol\n")


def test_where_nobody_evaluates_the_loss_is_said_to_be_that_of_training(
    display: LiveDisplay, page: io.StringIO
) -> None:
    display.show(report(3, 1, accuracy=None))

    assert page.getvalue().startswith("round  3/15  train loss 1.2500    0.50 s")


def test_one_round_is_a_round(page: io.StringIO) -> None:
    with LiveDisplay(1, Console(file=page, width=100, highlight=False)) as display:
        display.finish(report(1, 2), None, [])

    assert page.getvalue().splitlines()[-1] == "accuracy 0.5000 after 1 round"


def test_a_run_that_was_cut_short_says_how_far_it_came(display: LiveDisplay, page: io.StringIO) -> None:
    with display:
        display.finish(report(7, 2), "runs/mine", ["model.safetensors", "rounds.jsonl"])

    assert page.getvalue().splitlines() == [
        "",
        "accuracy 0.5000 after 7 of 15 rounds; the run is in runs/mine",
        "  model.safetensors  the model",
        "  rounds.jsonl       what happened in each round",
    ]


@pytest.mark.parametrize(
    ("accuracies", "plot"),
    [
        ((None, None), "loss by round"),
        ((0.5, None), "loss and accuracy by round"),
        ((0.5,), "loss and accuracy by round"),
    ],
)
def test_a_picture_is_said_to_show_what_is_in_it(
    display: LiveDisplay, page: io.StringIO, accuracies: tuple[float | None, ...], plot: str
) -> None:
    rounds = [report(number, 2, accuracy=accuracy) for number, accuracy in enumerate(accuracies, 1)]
    for each in rounds:
        display.show(each)
    display.finish(rounds[-1], "runs/mine", ["plot.png"])

    assert page.getvalue().splitlines()[-1] == f"  plot.png           {plot}"


def test_in_the_end_there_is_a_table_of_what_each_worker_found(display: LiveDisplay, page: io.StringIO) -> None:
    evaluated = (Evaluation("alice", 10, 0.5, 0.75, {"f1": 0.25}), Evaluation("b[b]ob", 30, 0.25, 0.5))
    together = Evaluation("all", 40, 0.3125, 0.5625, {"f1": 0.2, "confusion": [[1]]})
    display.finish(replace(report(15, 2), evaluated=evaluated, together=together), None, [])
    rows = [line.split() for line in page.getvalue().splitlines()]

    assert ["worker", "examples", "loss", "accuracy", "f1"] in rows
    assert ["alice", "10", "0.5000", "0.7500", "0.2500"] in rows
    assert ["b[b]ob", "30", "0.2500", "0.5000"] in rows
    assert ["all", "40", "0.3125", "0.5625", "0.2000"] in rows
