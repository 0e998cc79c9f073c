from __future__ import annotations

import math
from pathlib import Path

import pytest

from fedzmq.errors import UsageError
from fedzmq.federated.report import Absence, Answer, RoundReport
from fedzmq.federation.history import History


def history(*accuracies: float | None) -> History:
    made = History("mine")
    for number, accuracy in enumerate(accuracies, 1):
        loss = math.nan if accuracy is None else 1.5
        failed = (Absence("<carol>", "it left & went"),)
        made.add(RoundReport(number, loss, accuracy, 1.25, 0.5, 3 << 20, 0, (Answer("bob", 10, 1.25, 0.5),), failed))
    return made


def test_it_is_a_sequence_of_reports() -> None:
    made = history(0.1, 0.2, 0.3)

    assert (len(made), made[-1].round, [each.round for each in made[1:]]) == (3, 3, [2, 3])


@pytest.mark.parametrize(
    ("accuracies", "rounds"),
    [
        ((0.5, 0.7, 0.9, 1.0), 2.5),
        ((0.5, 0.8), 2.0),
        ((0.9, 1.0), 1.0),
        ((0.5, 0.7, 0.1, 0.9), 3.5),  # the best of each round is 0.5, 0.7, 0.7, 0.9
        ((0.5, 0.7, 0.1, 0.6, 0.9), 4.5),
        ((0.5, 0.7), None),
        ((None, None), None),
        ((), None),
    ],
)
def test_rounds_to_an_accuracy_lie_on_the_line_between_the_best_so_far(
    accuracies: tuple[float | None, ...], rounds: float | None
) -> None:
    found = history(*accuracies).rounds_to(0.8)

    assert found == (None if rounds is None else pytest.approx(rounds))


def test_in_a_notebook_it_is_a_table_with_what_came_from_elsewhere_escaped() -> None:
    page = history(0.5, None)._repr_html_()

    assert page.count("<tr>") == 3
    assert "<td>0.5000</td>" in page
    assert "&lt;carol&gt;: it left &amp; went" in page
    assert "nan" not in page


def test_in_a_terminal_it_is_a_line_for_each_round() -> None:
    assert repr(history(0.5)) == "round 1  loss 1.5000  accuracy 0.5000    0.50 s    3.0 MiB  bob; without <carol>"
    assert repr(history()) == "no round yet"


def test_its_picture_is_shown_and_saved(tmp_path: Path) -> None:
    picture = history(0.5, 0.6).plot()

    assert picture._repr_png_().startswith(b"\x89PNG")
    assert picture.save(tmp_path / "runs" / "mine.png").read_bytes() == picture.png


@pytest.mark.parametrize(("name", "begins"), [("a.pdf", b"%PDF"), ("a.SVG", b"<?xml"), ("a.png", b"\x89PNG")])
def test_its_picture_is_what_the_files_name_ends_with(tmp_path: Path, name: str, begins: bytes) -> None:
    assert history(0.5).plot().save(tmp_path / name).read_bytes().startswith(begins)


@pytest.mark.parametrize("name", ["a.jpeg", "a"])
def test_a_picture_in_a_form_that_is_not_drawn_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"the picture is \.png, \.svg or \.pdf"):
        history(0.5).plot().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
