"""A picture of several runs: accuracy and loss of each, against rounds, seconds or bytes.

Of a curve of many points, a bold line shows the running mean, and a pale one every single point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, TypeGuard

from fedzmq.federated.pictures.canvas import blank, drawn, set_percent, set_ticks
from fedzmq.federated.report import RoundReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLORS = (
    *("#2563a8", "#d97a1f", "#2e7d4f", "#c0392b", "#7b4fa3", "#16808d", "#a3762b", "#555555"),
    *("#e377c2", "#9acd32", "#17becf", "#111111"),
)
_MARKERS = ("o", "s", "^", "x")
_GREY = "#555555"
_LEAST = 4.0  # percent from the bottom to the top: curves that differ by rounding alone are to look the same
_EACH = 60  # rounds of which each has a marker
_MANY = 150  # points of which the mean over neighbours is drawn
_PARTS = 50  # of a curve: as many points as one of them has make a mean
_MARKED = 12  # places of a longer curve that are marked, where colours are not enough to tell curves apart

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
        _panel(panels[0], curves, cost, "accuracy, as evaluated", _accuracy)
        low, high = panels[0].get_ylim()
        middle, half = (low + high) / 2, max((high - low) / 2, _LEAST / 2)
        panels[0].set_ylim(max(middle - half, -0.9), min(middle + half, 100.9))
        set_percent(panels[0].yaxis)
    are_evaluated = all(_is_evaluated(curve) for curve in curves)
    _panel(panels[-1], curves, cost, "loss, as evaluated" + ("" if are_evaluated else " or else in training"), _loss)
    panels[-1].set_ylim(bottom=0)
    has_means = any(len(panel.lines) > len(curves) for panel in panels)
    panels[-1].set_xlabel(axis + (" (bold over pale: running mean)" if has_means else ""), color=_GREY)
    if by == "rounds":
        panels[-1].set_xlim(0.5, max((len(curve.reports) for curve in curves), default=1) + 0.5)
    set_ticks(panels[-1].xaxis, are_whole=by == "rounds")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside lower left", frameon=False, fontsize=9)
    figure.align_ylabels()
    return drawn(figure, form)


def _accuracy(curve: Curve) -> list[float | None]:
    """In percent."""
    return [None if report.accuracy is None else 100 * report.accuracy for report in curve.reports]


def _loss(curve: Curve) -> list[float]:
    """As evaluated, or else in training; never both on one line, which would leap between them."""
    is_evaluated = _is_evaluated(curve)
    return [report.loss if is_evaluated else report.train_loss for report in curve.reports]


def _is_evaluated(curve: Curve) -> bool:
    return any(math.isfinite(report.loss) for report in curve.reports)


def _panel(
    panel: Axes, curves: Sequence[Curve], cost: Cost, name: str, figures: Callable[[Curve], Sequence[float | None]]
) -> None:
    drawn: list[object] = []
    for number, curve in enumerate(curves):
        spent = accumulate(map(cost, curve.reports))
        points = [(at, value) for at, value in zip(spent, figures(curve), strict=True) if _is_there(value)]
        line = [at for at, _ in points], [value for _, value in points]
        color, cycle = _COLORS[number % len(_COLORS)], number // len(_COLORS)
        is_short, width = len(points) <= _EACH, _width(len(points))
        if width > 1:
            panel.plot(*line, color=color, linewidth=0.5, alpha=0.3)
        panel.plot(
            line[0],
            _means(line[1], width),
            "--" if line in drawn else "-",  # two runs of the same bits lie on each other, and both are to be seen
            color=color,
            linewidth=1.8 if is_short else 1.4,
            marker=_MARKERS[cycle % len(_MARKERS)] if is_short or cycle else None,
            markersize=3.5 if is_short else 4.5,
            markevery=1 if is_short else max(1, len(points) // _MARKED),
            label=curve.label,
        )
        drawn.append(line)
    panel.set_ylabel(name, color=_GREY)
    panel.grid(color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#999999")
    panel.tick_params(colors=_GREY, labelsize=9)


def _is_there(value: float | None) -> TypeGuard[float]:
    """Not every round is evaluated, and a line leads from one to the next that is."""
    return value is not None and math.isfinite(value)


def _width(count: int) -> int:
    """How many of so many points make a mean, an odd number: 1 where there are few enough to see each."""
    return count // _PARTS | 1 if count > _MANY else 1


def _means(values: Sequence[float], width: int) -> list[float]:
    """Of each and its neighbours, of whom there are fewer at the ends."""
    sums, half = [0.0, *accumulate(values)], width // 2
    spans = [(max(0, place - half), min(len(values), place + half + 1)) for place in range(len(values))]
    return [(sums[stop] - sums[start]) / (stop - start) for start, stop in spans] if half else list(values)
