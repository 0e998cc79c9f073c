"""A picture of several runs: accuracy and loss of each, against rounds, seconds or bytes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from fedzmq.federated.pictures.canvas import blank, drawn, set_ticks
from fedzmq.federated.report import RoundReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = ("#2563a8", "#d97a1f", "#2e7d4f", "#c0392b", "#7b4fa3", "#16808d", "#a3762b", "#555555")
_MARKERS = ("o", "s", "^", "x")
_GREY = "#555555"

Cost = Callable[[RoundReport], float]
_COSTS: dict[str, tuple[str, Cost]] = {
    "rounds": ("round", lambda report: 1.0),
    "seconds": ("seconds of training", lambda report: report.seconds),
    "bytes": ("MiB between the coordinator and the workers", lambda r: (r.bytes_sent + r.bytes_received) / (1 << 20)),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """A run, and what it is called in the picture."""

    label: str
    reports: Sequence[RoundReport]


def draw_comparison(curves: Sequence[Curve], by: str = "rounds", form: str = "png") -> bytes:
    """A PNG, 1440 pixels wide, or the like as "svg" or "pdf". `by` is "rounds", "seconds" or "bytes".

    Raises MissingExtraError without matplotlib."""
    has_accuracy = any(report.accuracy is not None for curve in curves for report in curve.reports)
    rows = 2 if has_accuracy else 1
    legend = 0.24 * len(curves) + 0.2  # inches: below the panels, where a long label covers no curve
    figure = blank(9, 3.0 * rows + 0.5 + legend, "drawing runs")
    panels = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    axis, cost = _COSTS[by]
    if has_accuracy:
        _panel(panels[0], curves, cost, "accuracy on held-out data", lambda report: report.accuracy)
        panels[0].yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    _panel(panels[-1], curves, cost, "loss", _loss)
    panels[-1].set_ylim(bottom=0)
    panels[-1].set_xlabel(axis, color=_GREY)
    if by == "rounds":
        panels[-1].set_xlim(0.5, max((len(curve.reports) for curve in curves), default=1) + 0.5)
    set_ticks(panels[-1].xaxis, are_whole=by == "rounds")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", frameon=False, fontsize=9)
    figure.align_ylabels()
    return drawn(figure, form)


def _loss(report: RoundReport) -> float:
    """On held-out data, or the workers' own where there is none."""
    return report.loss if math.isfinite(report.loss) else report.train_loss


def _panel(
    panel: Axes, curves: Sequence[Curve], cost: Cost, name: str, figure: Callable[[RoundReport], float | None]
) -> None:
    drawn: list[object] = []
    for number, curve in enumerate(curves):
        values = [figure(report) for report in curve.reports]
        line = (
            list(accumulate(map(cost, curve.reports))),
            [math.nan if value is None else value for value in values],
        )
        panel.plot(
            *line,
            "--" if line in drawn else "-",  # two runs of the same bits lie on each other, and both are to be seen
            color=_COLORS[number % len(_COLORS)],
            linewidth=1.8,
            marker=_MARKERS[number // len(_COLORS) % len(_MARKERS)],
            markersize=3.5 if len(curve.reports) <= 60 else 0.0,
            label=curve.label,
        )
        drawn.append(line)
    panel.set_ylabel(name, color=_GREY)
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#999999")
    panel.tick_params(colors=_GREY, labelsize=9)
