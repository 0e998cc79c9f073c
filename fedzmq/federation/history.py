"""The rounds of a training so far, as a sequence that shows itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import overload

from fedzmq.federated.pictures.canvas import form_of
from fedzmq.federated.pictures.plot import draw
from fedzmq.federated.report import RoundReport, amount

_HEADINGS = ("round", "loss", "accuracy", "training loss", "seconds", "traffic", "workers", "without")


class Picture:
    """A PNG that a notebook shows. `draw` gives it in another form."""

    def __init__(self, draw: Callable[[str], bytes]) -> None:
        self.png = draw("png")
        self._draw = draw

    def save(self, path: str | Path) -> Path:
        """Write it to a file, in a new folder where there is none, and give the file's path.

        It is what the name ends with, .png, .svg or .pdf; raises UsageError for another ending.
        """
        file = Path(path)
        form = form_of(file)
        picture = self.png if form == "png" else self._draw(form)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(picture)
        return file

    def _repr_png_(self) -> bytes:
        return self.png


class History(Sequence[RoundReport]):
    """It grows while the training runs."""

    def __init__(self, title: str = "Federated training") -> None:
        self.title = title
        self._reports: list[RoundReport] = []

    def add(self, report: RoundReport) -> None:
        self._reports.append(report)

    def plot(self) -> Picture:
        """Loss and accuracy by round. Raises MissingExtraError without matplotlib."""
        return Picture(partial(draw, tuple(self._reports), self.title))

    def rounds_to(self, accuracy: float) -> float | None:
        """After how many rounds the accuracy was reached, between two rounds by a straight line; None where it was not.

        As McMahan et al. 2017 (arXiv:1602.05629, section 3) count: of every round the best accuracy up to it.
        """
        best = -math.inf
        for report in self._reports:
            if report.accuracy is None or not report.accuracy > best:
                continue
            if report.accuracy >= accuracy:
                if not math.isfinite(best):
                    return float(report.round)
                # The curve of the best is flat up to the round before this one.
                return report.round - 1 + (accuracy - best) / (report.accuracy - best)
            best = report.accuracy
        return None

    def __len__(self) -> int:
        return len(self._reports)

    @overload
    def __getitem__(self, index: int) -> RoundReport: ...
    @overload
    def __getitem__(self, index: slice) -> list[RoundReport]: ...
    def __getitem__(self, index: int | slice) -> RoundReport | list[RoundReport]:
        return self._reports[index]

    def __repr__(self) -> str:
        return "\n".join(map(str, self._reports)) or "no round yet"

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{each}</th>" for each in _HEADINGS)
        rows = "".join(f"<tr>{_cells(report)}</tr>" for report in self._reports)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cells(report: RoundReport) -> str:
    cells = (
        str(report.round),
        f"{report.loss:.4f}" if math.isfinite(report.loss) else "",
        "" if report.accuracy is None else f"{report.accuracy:.4f}",
        f"{report.train_loss:.4f}",
        f"{report.seconds:.2f}",
        amount(report.bytes_sent + report.bytes_received),
        ", ".join(report.workers),
        "; ".join(f"{absence.worker}: {absence.reason}" for absence in report.failed),
    )
    return "".join(f"<td>{escape(cell)}</td>" for cell in cells)
