"""What is seen of a training while it runs: a word on each round, and on what is waited for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedzmq.federated.report import RoundReport
    from fedzmq.wire import messages


class Display:
    """Open while the training runs. Any method may be called from any thread. This one shows nothing.

    What would be said goes to the log `fedzmq`, for those who listen to it.
    """

    def say(self, line: str) -> None:
        """Something is waited for, or went wrong and the training goes on."""
        logging.getLogger("fedzmq").info("%s", line)

    def show(self, report: RoundReport) -> None:
        """A round is over."""

    def hear(self, worker: str, progress: messages.Progress) -> None:
        """A worker says how far it has come in its round."""

    def finish(self, last: RoundReport, folder: str | None, written: Sequence[str]) -> None:
        """The training is over; what it leaves behind is in a folder, if anything."""

    def close(self) -> None:
        """Leave the terminal as it was found. Twice is fine."""

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
