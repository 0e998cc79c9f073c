"""An empty figure, and its picture as bytes.

matplotlib is imported when a picture is asked for, without pyplot, which keeps a state for the whole process.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import TYPE_CHECKING

from fedzmq.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

DOTS = 160  # an inch
FORMS = ("png", "svg", "pdf")


def prepare() -> None:
    """Import matplotlib, which takes about a second: a thread may do it before there is anything to draw."""
    with contextlib.suppress(ImportError):
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401


def blank(width: float, height: float, purpose: str) -> Figure:
    """In inches. Raises MissingExtraError without matplotlib, which says what it is needed for."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", purpose) from error
    figure = Figure(figsize=(width, height), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def set_ticks(axis: Axis, *, are_whole: bool = True, least: int = 1) -> None:
    """Where numbers stand along an axis of such a figure: at so many places or more."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(integer=are_whole, min_n_ticks=least))


def set_percent(axis: Axis) -> None:
    """Numbers that are percents along it, at whole ones: what stands there is where it stands."""
    set_ticks(axis)
    axis.set_major_formatter(lambda value, _: f"{value:.0f}%")


def form_of(path: Path) -> str:
    """Which of `FORMS` a file of that name is to hold. Raises UsageError."""
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMS:
        raise UsageError(f"{str(path)!r} cannot be drawn: the picture is .png, .svg or .pdf, by the name's ending")
    return form


def png(figure: Figure) -> bytes:
    return drawn(figure, "png")


def drawn(figure: Figure, form: str) -> bytes:
    """form: one of `FORMS`."""
    picture = io.BytesIO()
    figure.savefig(picture, format=form)
    return picture.getvalue()
