"""What a trainer commits to. As it stands it keeps nothing: a training that nobody takes up again needs no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedzmq.federated.ledger.checkpoint import Checkpoint, Opened
from fedzmq.federated.report import RoundReport

Term = str | int | float | bool | None


class Ledger:
    """A trainer calls `take_up` first, then `begin` where nothing was kept, then `open` and `commit` for each round.

    What a method raises ends the training, and the last commit is what it can be taken up from.
    """

    is_durable: bool = False
    """What it is given outlives this process."""

    @property
    def reports(self) -> Sequence[RoundReport]:
        """Of all rounds that count."""
        return ()

    def take_up(self, terms: Mapping[str, Term], rounds: int) -> Checkpoint | None:
        """The last state that was committed, of a run that is to have so many rounds. `terms` are all that decides the
        outcome.

        Raises RunChanged where they are not those that it began with.
        """
        return None

    def begin(self, checkpoint: Checkpoint) -> None:
        """Commit the state before the first round."""

    def opened(self) -> Opened | None:
        """The round that began last, finished or not."""
        return None

    def open(self, opened: Opened) -> None:
        """A round begins, or begins again."""

    def commit(self, checkpoint: Checkpoint, report: RoundReport) -> None:
        """A round counts when this returns, and not before."""
