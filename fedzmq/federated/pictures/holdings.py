"""A picture of who holds what: the classes of each worker's examples, or where its measurements lie.

Few workers and few classes are bars, in which sizes can be compared; many are a field of circles. A regression is a
row of histograms over the same axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzmq.federated.pictures.canvas import blank, png, set_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Neighbours differ in lightness too, for eyes that do not tell all colours apart.
_COLORS = (
    "#2563a8",
    "#d97a1f",
    "#2e7d4f",
    "#c0392b",
    "#8ab6e0",
    "#f2c385",
    "#7b4fa3",
    "#9ccfa8",
    "#a3762b",
    "#16808d",
    "#e39aa0",
    "#999999",
)
_BLUE, _GREY = "#2563a8", "#555555"
_MOST_BARS = 30  # workers
_MOST_NAMED = 20  # classes
_MOST_LABELS = 120  # of workers, beside one another
_BINS = 40

Values = np.ndarray[Any, Any]
Counts = np.ndarray[Any, np.dtype[np.int64]]


def draw_holdings(
    names: Sequence[str],
    targets: Sequence[Values],
    classes: int | None,
    title: str,
) -> bytes:
    """A PNG, 1280 pixels wide. `targets` are those of each worker: measurements where `classes` is None.

    Raises MissingExtraError without matplotlib.
    """
    rows = len(names)
    are_bars = classes is not None and classes <= len(_COLORS) and rows <= _MOST_BARS
    high = 0.34 * rows if are_bars else 0.26 * rows if classes is not None else 0.5 * rows
    figure = blank(8, min(1.5 + high, 40), "drawing who holds what")
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    panel = figure.subplots()
    if classes is None:
        _histograms(panel, targets)
    else:
        counts = np.stack([np.bincount(each.astype(np.int64), minlength=classes) for each in targets])
        if are_bars:
            _bars(figure, panel, counts)
        else:
            _circles(panel, counts)
    labels = [f"{name}  {len(each):,}" for name, each in zip(names, targets, strict=True)]
    some = slice(None, None, 1 + rows // _MOST_LABELS)
    panel.set_yticks(range(rows)[some], labels[some])
    panel.invert_yaxis()  # the first worker on top
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color("#999999")
    panel.tick_params(colors=_GREY, labelsize=9)
    panel.tick_params(axis="y", length=0)
    panel.set_axisbelow(True)
    return png(figure)


def _bars(figure: Figure, panel: Axes, counts: Counts) -> None:
    left = np.zeros(len(counts))
    edges: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.4}
    for label, column in enumerate(counts.T):
        panel.barh(range(len(counts)), column, left=left, height=0.72, color=_COLORS[label], label=str(label), **edges)
        left += column
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_xlim(0, left.max() * 1.02)
    panel.set_xlabel("examples", color=_GREY)
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside right upper", frameon=False, fontsize=9, title="class", title_fontsize=9
    )


def _circles(panel: Axes, counts: Counts) -> None:
    workers, labels = np.nonzero(counts)
    numbers = counts[workers, labels]
    panel.scatter(labels, workers, s=150 * numbers / numbers.max(), color=_BLUE, linewidths=0)
    panel.grid(color="#eeeeee", linewidth=0.6)
    panel.set_xlim(-0.7, counts.shape[1] - 0.3)
    panel.set_ylim(-0.7, len(counts) - 0.3)
    set_ticks(panel.xaxis, least=2)
    if counts.shape[1] <= _MOST_NAMED:
        panel.set_xticks(range(counts.shape[1]))
    panel.set_xlabel(f"class (the largest circle is {numbers.max():,} examples)", color=_GREY)


def _histograms(panel: Axes, targets: Sequence[Values]) -> None:
    whole = np.concatenate(targets).astype(np.float64)
    edges = np.histogram_bin_edges(whole, _BINS)
    heights = [np.histogram(each, edges)[0] for each in targets]
    most = max(int(each.max()) for each in heights)
    for row, height in enumerate(heights):
        # Each on a line of its own, upwards, to one scale: the axis runs downwards.
        panel.stairs(row + 0.4 - 0.85 * height / most, edges, baseline=row + 0.4, fill=True, color=_BLUE)
        panel.axhline(row + 0.4, color="#bbbbbb", linewidth=0.6)
    panel.set_ylim(-0.6, len(targets) - 0.5)
    panel.grid(axis="x", color="#dddddd", linewidth=0.6)
    panel.set_xlabel(f"target (the highest bar is {most:,} examples)", color=_GREY)
