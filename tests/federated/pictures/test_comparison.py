from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from fedzmq.federated.pictures import comparison
from fedzmq.federated.pictures.comparison import Curve, draw_comparison
from tests.federated.pictures.test_plot import reports


def test_rounds_begin_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def look(figure: object, form: str) -> bytes:
        limits.append(figure.axes[-1].get_xlim())  # type: ignore[attr-defined]
        return b""

    monkeypatch.setattr(comparison, "drawn", look)
    draw_comparison([Curve("a", reports(25)), Curve("b", reports(3))])

    assert limits == [(0.5, 25.5)]


def test_of_many_rounds_a_bold_line_is_the_mean_of_neighbours(seen: list[Any]) -> None:
    each = [replace(report, loss=float(report.round % 2)) for report in reports(1000)]
    draw_comparison([Curve("a", each)])

    pale, bold = seen[0].axes[-1].lines
    assert list(pale.get_ydata()) == [float(number % 2) for number in range(1, 1001)]
    assert all(abs(value - 0.5) < 0.05 for value in bold.get_ydata())
    assert bold.get_linewidth() > pale.get_linewidth()
    assert seen[0].axes[-1].get_xlabel() == "round (bold over pale: running mean)"


def test_a_short_curve_is_not_flattened_beside_a_long_one(seen: list[Any]) -> None:
    draw_comparison([Curve("long", reports(1000)), Curve("short", reports(20))])

    _, _, short = seen[0].axes[-1].lines
    assert list(short.get_ydata()) == [report.loss for report in reports(20)]


def test_of_many_rounds_of_which_few_were_evaluated_each_of_these_is_drawn(seen: list[Any]) -> None:
    each = [replace(report, loss=math.nan if report.round % 50 else report.loss) for report in reports(1000)]
    draw_comparison([Curve("a", each)])

    (line,) = seen[0].axes[-1].lines
    assert list(line.get_ydata()) == [2 / number for number in range(50, 1001, 50)]


def test_of_a_few_rounds_each_is_marked(seen: list[Any]) -> None:
    draw_comparison([Curve("a", reports(60)), Curve("b", reports(61))])

    first, second = seen[0].axes[-1].lines
    assert (first.get_marker(), second.get_marker()) == ("o", "None")


def test_many_runs_are_told_apart_by_marks_too(seen: list[Any]) -> None:
    draw_comparison([Curve(str(number), reports(100 + number)) for number in range(14)])

    lines = seen[0].axes[-1].lines
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(looks) == len(lines) == 14


def test_a_line_leads_from_one_evaluated_round_to_the_next(seen: list[Any]) -> None:
    each = [replace(report, accuracy=None if report.round % 5 else 0.5) for report in reports(20)]
    draw_comparison([Curve("a", each)])

    (line,) = seen[0].axes[0].lines
    assert list(line.get_xdata()) == [5, 10, 15, 20]


def test_an_accuracy_that_stays_what_it_is_is_a_flat_line(seen: list[Any]) -> None:
    draw_comparison([Curve("a", [replace(report, accuracy=0.9) for report in reports(1000)])])

    low, high = seen[0].axes[0].get_ylim()
    assert low + 1 < 90 < high - 1


def test_what_is_no_number_is_not_drawn(seen: list[Any]) -> None:
    each = [replace(report, loss=math.nan, train_loss=math.inf if report.round == 2 else 1.0) for report in reports(3)]
    draw_comparison([Curve("a", each)])

    assert list(seen[0].axes[-1].lines[0].get_ydata()) == [1.0, 1.0]


def test_the_words_are_true_wherever_runs_were_evaluated(seen: list[Any]) -> None:
    trained = [replace(report, loss=math.nan, accuracy=None) for report in reports(3)]
    draw_comparison([Curve("a", reports(3))])
    draw_comparison([Curve("a", reports(3)), Curve("b", trained)])
    names = [[panel.get_ylabel() for panel in figure.axes] for figure in seen]

    assert names == [
        ["accuracy, as evaluated", "loss, as evaluated"],
        ["accuracy, as evaluated", "loss, as evaluated or else in training"],
    ]


def test_a_line_does_not_leap_between_the_loss_as_evaluated_and_that_in_training(seen: list[Any]) -> None:
    each = [replace(report, loss=math.nan if report.round % 2 else 0.5, train_loss=9.0) for report in reports(6)]
    draw_comparison([Curve("a", each)])

    assert list(seen[0].axes[-1].lines[0].get_ydata()) == [0.5, 0.5, 0.5]
