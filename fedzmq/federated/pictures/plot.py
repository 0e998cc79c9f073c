"""A picture of a run: loss and accuracy by round, and where workers failed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedzmq.federated.pictures.canvas import blank, drawn, set_percent, set_ticks
from fedzmq.federated.report import RoundReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#2563a8", "#d97a1f", "#2e7d4f", "#c0392b", "#555555"
_EVALUATED = "as evaluated"  # whether on held-out examples or the workers' own, a report does not say


def draw(reports: Sequence[RoundReport], title: str, form: str = "png") -> bytes:
    """A PNG of 1280 by 960 pixels, or the like as "svg" or "pdf"; half as high without accuracy.

    Raises MissingExtraError without matplotlib.
    """
    has_accuracy = any(report.accuracy is not None for report in reports)
    figure = blank(8, 6 if has_accuracy else 3.6, "drawing a run")
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    panels = figure.subplots(2 if has_accuracy else 1, 1, sharex=True, squeeze=False)[:, 0]
    if has_accuracy:
        _accuracy(panels[0], reports)
    _loss(panels[-1], reports)
    for panel in panels:
        _failures(panel, reports, named=panel is panels[0])
        panel.grid(color="#dddddd", linewidth=0.6)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
        panel.spines[["left", "bottom"]].set_color("#999999")
        panel.tick_params(colors=_GREY, labelsize=9)
        set_ticks(panel.xaxis)
    if reports:
        panels[-1].set_xlim(reports[0].round - 0.5, reports[-1].round + 0.5)
    panels[-1].set_xlabel("round", color=_GREY)
    figure.align_ylabels()
    return drawn(figure, form)


def _accuracy(panel: Axes, reports: Sequence[RoundReport]) -> None:
    values = [math.nan if report.accuracy is None else 100 * report.accuracy for report in reports]
    _line(panel, reports, values, _GREEN, _EVALUATED)
    finite = [value for value in values if math.isfinite(value)]
    panel.set_ylim(max(0.0, min(finite, default=0.0) - 10.0), 101.9)
    set_percent(panel.yaxis)
    panel.set_ylabel(f"accuracy, {_EVALUATED}", color=_GREY)


def _loss(panel: Axes, reports: Sequence[RoundReport]) -> None:
    _line(panel, reports, [report.loss for report in reports], _BLUE, _EVALUATED)
    _line(panel, reports, [report.train_loss for report in reports], _ORANGE, "in training", "--")
    finite = [value for report in reports for value in (report.loss, report.train_loss) if math.isfinite(value)]
    if min(finite, default=-1.0) >= 0:
        panel.set_ylim(0, max(finite) * 1.08 or 1.0)
    panel.set_ylabel("loss", color=_GREY)
    if panel.get_lines():
        panel.legend(frameon=False, fontsize=9, loc="upper right")


def _line(
    panel: Axes, reports: Sequence[RoundReport], values: Sequence[float], color: str, label: str, style: str = "-"
) -> None:
    # Not every round is evaluated, and a line leads from one to the next that is.
    points = [(report.round, value) for report, value in zip(reports, values, strict=True) if math.isfinite(value)]
    if not points:
        return
    size = 4.0 if len(points) <= 60 else 0.0  # points as well as a line, because a run may have one round
    panel.plot(*zip(*points, strict=True), style, color=color, linewidth=1.8, marker="o", markersize=size, label=label)


def _failures(panel: Axes, reports: Sequence[RoundReport], *, named: bool) -> None:
    """A line at each round in which workers failed; above the panel, who, once for rounds on end of the same."""
    before = ""
    for report in reports:
        names = ", ".join(absence.worker for absence in report.failed[:3]) + (" ..." if len(report.failed) > 3 else "")
        if names:
            panel.axvline(report.round, color=_RED, linewidth=1.0, linestyle=":", zorder=1)
        if named and names and names != before:
            panel.annotate(
                f"{names} failed",
                xy=(report.round, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=_RED,
            )
        before = names
