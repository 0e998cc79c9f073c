"""All loggers of one training, each told what it is due and no more, however the training ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from fedzmq.federated.report import RoundReport
from fedzmq.federation.loggers.round_logger import Outcome, RoundLogger


class Books:
    """job: what was asked for, by name."""

    def __init__(self, loggers: Sequence[RoundLogger], job: Mapping[str, Any]) -> None:
        self._loggers = loggers
        self._job = job
        self._outcome: Outcome = "failed"

    @contextmanager
    def opened(self, folder: Path | None) -> Iterator[None]:
        """Begin all, and in the end tell those that began how the training ended."""
        with ExitStack() as begun:
            for logger in self._loggers:
                logger.begin(self._job, folder)
                begun.callback(lambda logger=logger: logger.end(self._outcome))  # type: ignore[misc]
            try:
                yield
                self._outcome = "finished"
            except (GeneratorExit, KeyboardInterrupt):
                self._outcome = "stopped"
                raise

    def enter(self, report: RoundReport) -> None:
        for logger in self._loggers:
            logger.round(report)
