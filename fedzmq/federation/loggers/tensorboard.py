"""TensorBoard: `tensorboard --logdir runs` shows the runs of all folders there beside each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedzmq.errors import MissingExtraError, UsageError
from fedzmq.federated.report import RoundReport
from fedzmq.federation.loggers.round_logger import Outcome, RoundLogger, scalars

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoard(RoundLogger):
    """Writes into `folder`; by default into the run's own. Raises MissingExtraError without tensorboard."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        try:
            import torch.utils.tensorboard  # noqa: F401 - early, and not after a round
        except ImportError as error:
            raise MissingExtraError("tensorboard", "tensorboard", "logging to TensorBoard") from error
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def begin(self, job: Mapping[str, Any], folder: Path | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        where = self._folder or folder
        if where is None:
            raise UsageError("TensorBoard needs a folder to write to: TensorBoard('...'), or out=True for the training")
        self._writer = SummaryWriter(os.fspath(where))
        rows = "".join(f"| {name} | {value} |\n" for name, value in job.items())
        self._writer.add_text("job", f"| option | value |\n| --- | --- |\n{rows}")

    def round(self, report: RoundReport) -> None:
        assert self._writer is not None
        for name, value in scalars(report).items():
            self._writer.add_scalar(name, value, report.round)
        self._writer.flush()  # somebody may be watching

    def end(self, outcome: Outcome) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
