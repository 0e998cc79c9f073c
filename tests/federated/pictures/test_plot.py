from __future__ import annotations

import io
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from fedzmq.errors import MissingExtraError
from fedzmq.federated.pictures.plot import draw
from fedzmq.federated.report import Absence, Answer, RoundReport

LOST = (Absence("alice", "gone"), Absence("carol", "gone"))


def reports(count: int) -> list[RoundReport]:
    return [
        RoundReport(n, 2 / n, 1 - 1 / n, 1.5 / n, 1.0, 10, 20, (Answer("bob", 100, 1 / n, 1.0),))
        for n in range(1, count + 1)
    ]


def size(picture: bytes) -> tuple[int, int]:
    image = pytest.importorskip("PIL.Image")
    with image.open(io.BytesIO(picture)) as opened:
        assert opened.format == "PNG"
        width, height = opened.size
    return width, height


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_any_number_of_rounds_can_be_drawn(count: int) -> None:
    width, _ = size(draw(reports(count), "a run"))

    assert width == 1280


def test_a_regression_is_drawn_without_accuracy() -> None:
    classes = reports(3)
    measured = [replace(report, accuracy=None) for report in classes]

    assert size(draw(measured, "a run"))[1] < size(draw(classes, "a run"))[1]


def test_a_run_that_diverged_can_be_drawn() -> None:
    first, *others = reports(4)
    diverged = [first, *(replace(report, loss=math.nan, train_loss=math.inf) for report in others)]

    assert size(draw(diverged, "a run"))


def test_a_run_without_held_out_examples_can_be_drawn() -> None:
    assert size(draw([replace(report, loss=math.nan, accuracy=None) for report in reports(3)], "a run"))


def test_a_round_in_which_workers_failed_is_marked() -> None:
    whole = reports(5)
    broken = [replace(report, failed=LOST if report.round in (2, 3) else ()) for report in whole]

    assert draw(broken, "a run") != draw(whole, "a run")


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)

    with pytest.raises(MissingExtraError, match=r"pip install '\.\[plot\]'"):
        draw(reports(2), "a run")


def test_a_plot_touches_no_global_state_of_matplotlib() -> None:
    program = (
        "import sys\nfrom fedzmq.federated.pictures.plot import draw\n"
        "loaded = 'matplotlib' in sys.modules\ndraw([], 'a run')\nprint(loaded, 'matplotlib.pyplot' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.strip() == "False False"


def test_the_words_are_true_wherever_a_run_was_evaluated(seen: list[Any]) -> None:
    draw(reports(3), "a run")
    accuracy, loss = seen[0].axes

    assert (accuracy.get_ylabel(), loss.get_ylabel()) == ("accuracy, as evaluated", "loss")
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["as evaluated", "in training"]


def test_an_accuracy_stands_at_whole_percents(seen: list[Any]) -> None:
    draw([replace(report, accuracy=0.92) for report in reports(3)], "a run")
    places = seen[0].axes[0].get_yticks()

    assert [float(place).is_integer() for place in places] == [True] * len(places)


def test_a_long_run_that_was_evaluated_now_and_then_has_a_line(seen: list[Any]) -> None:
    each = [r if r.round % 5 == 0 else replace(r, loss=math.nan, accuracy=None) for r in reports(100)]
    draw(each, "a run")

    for panel in seen[0].axes:
        line = panel.lines[0]
        assert list(line.get_xdata()) == list(range(5, 101, 5))
        assert all(map(math.isfinite, line.get_ydata()))
