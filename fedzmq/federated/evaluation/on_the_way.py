"""Evaluation at workers that never all rest: each evaluates the model that it is sent, before it trains it.

Nobody is waited for. A worker's figures are those of the model that it evaluated last, and tell how stale they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import FedzmqError
from fedzmq.federated.edition import Edition
from fedzmq.federated.evaluation.at_workers import AtWorkers
from fedzmq.federated.evaluation.question import Found, Question
from fedzmq.federated.report import Evaluation

STALENESS = "staleness"  # the metric that tells how many steps the model has taken since


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A question about the model after so many steps."""

    question: Question
    steps: int


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """What a worker found of the model after so many steps."""

    handle: WorkerHandle
    found: Found
    steps: int


class OnTheWay:
    """Of one training. A worker is asked once in `every` steps of the model at most."""

    def __init__(self, at_workers: AtWorkers, every: int) -> None:
        self._at_workers = at_workers
        self._every = every
        self._last: dict[str, int] = {}
        self._asked: dict[str, _Asked] = {}
        self._heard: dict[str, _Heard] = {}

    def ask(self, handle: WorkerHandle, steps: int, edition: Edition) -> None:
        """Have a worker evaluate the model after so many steps, if it is time; it does so before it trains it."""
        name = handle.name
        if name in self._asked or steps - self._last.get(name, 0) < self._every:
            return
        try:
            self._asked[name] = _Asked(self._at_workers.ask(handle, steps, edition), steps)
            self._last[name] = steps
        except FedzmqError:
            return  # it went this very moment, and is asked again once it is back

    def so_far(self, steps: int) -> tuple[Sequence[Evaluation], Evaluation | None]:
        """What each worker found last, before the model had taken so many steps, and what all of that is together."""
        self._take_in()
        heard = {name: each for name, each in self._heard.items() if not each.handle.is_lost}
        each, together = self._at_workers.conclude({name: one.found for name, one in heard.items()})
        return [
            replace(one, metrics={**one.metrics, STALENESS: float(steps - heard[one.worker].steps)}) for one in each
        ], together

    def all_now(self, steps: int, handles: dict[str, WorkerHandle]) -> tuple[Sequence[Evaluation], Evaluation | None]:
        """What all of these find of the model after so many steps. They are waited for."""
        self.cancel()
        return self._at_workers.evaluate(steps, handles)

    def cancel(self) -> None:
        """Nobody waits for an answer any more."""
        for asked in self._asked.values():
            asked.question.cancel()
        self._asked.clear()

    def _take_in(self) -> None:
        for name, asked in list(self._asked.items()):
            if not asked.question.done:
                continue
            try:
                found = asked.question.take()
                if found is None:
                    continue
                self._heard[name] = _Heard(asked.question.handle, found, asked.steps)
            except FedzmqError as error:
                self._at_workers.without(asked.steps, name, error)
            del self._asked[name]
