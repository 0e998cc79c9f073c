"""Something that hears of a training, round by round, and keeps it in its own form."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from fedzmq.federated.report import RoundReport

Outcome: TypeAlias = Literal["finished", "stopped", "failed"]


class RoundLogger:
    """`begin` comes once, before the first round; `round` after each; `end` once, however it ends.

    It serves one training. What it raises ends the training, so that nobody finds out later that nothing was kept.
    """

    def begin(self, job: Mapping[str, Any], folder: Path | None) -> None:
        """job: what was asked for, by name. folder: what the run leaves behind is there, if it leaves anything."""

    def round(self, report: RoundReport) -> None:
        """A round is over."""

    def end(self, outcome: Outcome) -> None:
        """stopped: by who took the reports, or by Ctrl-C."""


def scalars(report: RoundReport) -> dict[str, float]:
    """The numbers of a report by name: those of each worker's training under `worker/NAME/`, and what it found of the
    new model under `worker/NAME/evaluated/`, as all of them did under `workers/`. What is not finite is left out.
    """
    values: dict[str, float] = {
        **{name: value for name, value in report.metrics.items() if isinstance(value, int | float)},
        "loss": report.loss,
        "accuracy": math.nan if report.accuracy is None else report.accuracy,
        "train_loss": report.train_loss,
        "seconds": report.seconds,
        "bytes_sent": report.bytes_sent,
        "bytes_received": report.bytes_received,
        "answered": len(report.answered),
        "failed": len(report.failed),
    }
    for answer in report.answered:
        own = {"loss": answer.loss, "seconds": answer.seconds, "examples": answer.examples, **answer.metrics}
        values |= {f"worker/{answer.worker}/{name}": value for name, value in own.items()}
    for found in report.evaluated:
        values |= {f"worker/{found.worker}/evaluated/{name}": value for name, value in found.figures().items()}
    if report.together is not None:
        values |= {f"workers/{name}": value for name, value in report.together.figures().items()}
    return {name: float(value) for name, value in values.items() if math.isfinite(value)}
