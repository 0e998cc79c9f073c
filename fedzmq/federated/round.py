"""A round that runs: who is waited for, what came, when it is over, and what the answers make together."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from fedzmq.client.client import Client
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import FedzmqError, RemoteError
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.errand import wait_for_any
from fedzmq.federated.report import Absence, Answer
from fedzmq.federated.updates.collection import Collection, Unusable

if TYPE_CHECKING:
    from fedzmq.federated.updates.collector import Collector

LOOK = 0.25  # seconds between two looks at whether the broker still answers


@dataclass(frozen=True, slots=True)
class Ending:
    """A round is over when nobody is waited for, when `enough` have answered, or when `quorum` have answered and
    `deadline` seconds are over (None: there is none).
    """

    enough: int
    quorum: int = 1
    deadline: float | None = None


class Round:
    """Asks the workers of `handles` by `assign`, and has `accept` pass what they answer.

    `say` is given a line for each that the round goes on without.
    """

    def __init__(
        self,
        number: int,
        handles: Mapping[str, WorkerHandle],
        ending: Ending,
        assign: Callable[[WorkerHandle], Assignment],
        accept: Callable[[Answer], None],
        say: Callable[[str], None],
    ) -> None:
        self.number = number
        self._handles = handles
        self._ending = ending
        self._assign = assign
        self._accept = accept
        self._say = say
        self._waiting: dict[str, Assignment] = {}
        self._done: dict[str, Assignment] = {}
        self.answered: dict[str, Answer] = {}
        self.failed: dict[str, FedzmqError] = {}
        self.late: dict[str, Assignment] = {}
        self.absent: dict[str, Absence] = {}
        self.unsaid: FedzmqError | None = None
        """Why the last of all failed, with whom the round cannot go on: it is raised, and would be said twice."""

    def run(self, client: Client) -> None:
        """Until the round is over. Whatever interrupts it, the workers are told to stop."""
        began = time.monotonic()
        try:
            for name, handle in self._handles.items():
                try:
                    self._waiting[name] = self._assign(handle)
                except FedzmqError as error:
                    self._fail(name, error)
            self._wait(client, began)
            self._leave_late(time.monotonic() - began)
        except BaseException:
            for assignment in self._waiting.values():
                assignment.cancel()
            raise

    def collect(
        self,
        client: Client,
        shared: Mapping[str, torch.Tensor],
        make: Callable[[Sequence[Answer]], Collector],
    ) -> Collector | None:
        """Pull what was trained into what `make` gives for the answers; None where too few of them can be used.

        Once one turns out to be of no use, all begins again without it.
        """
        while len(self.answered) >= self._ending.quorum:
            collector = make([self.answered[name] for name in sorted(self.answered)])
            try:
                Collection(client, shared, self._done, self._say).into(collector)
            except Unusable as unusable:
                collector.close()
                del self._done[unusable.worker], self.answered[unusable.worker]
                self._fail(unusable.worker, unusable.error)
            except BaseException:
                collector.close()
                raise
            else:
                return collector
        return None

    def is_lost(self, name: str) -> bool:
        return self._handles[name].is_lost

    def _wait(self, client: Client, began: float) -> None:
        """Take every answer in, in the order in which they come."""
        is_away = False
        while self._waiting:
            done = [name for name, assignment in self._waiting.items() if assignment.done]
            for name in done:
                self._take(name)
            left = self._time_left(began)
            if left <= 0 or len(self.answered) >= self._ending.enough:
                return
            if done:
                continue
            wait_for_any(client, self._waiting.values(), min(LOOK, left))
            if is_away is not client.endpoint.presence.away:
                is_away = not is_away
                self._say(
                    f"{client.address} does not answer; waiting for it to come back"
                    if is_away
                    else f"{client.address} answers again"
                )

    def _time_left(self, began: float) -> float:
        """Seconds; for ever while the quorum is missing."""
        if self._ending.deadline is None or len(self.answered) < self._ending.quorum:
            return float("inf")
        return began + self._ending.deadline - time.monotonic()

    def _take(self, name: str) -> None:
        assignment = self._waiting[name]
        try:
            answer = assignment.take()
            if answer is None:
                return
            self._accept(answer)
        except FedzmqError as error:
            is_last = not self.answered and len(self._waiting) == 1
            if is_last and isinstance(error, RemoteError):
                self.unsaid = error
            self._fail(name, error)
        else:
            self._done[name] = assignment
            self.answered[name] = answer
        del self._waiting[name]

    def _fail(self, name: str, error: FedzmqError) -> None:
        self.failed[name] = error
        self._without(Absence(name, str(error)))

    def _leave_late(self, seconds: float) -> None:
        self.late, self._waiting = self._waiting, {}
        for name, assignment in self.late.items():
            assignment.cancel()
            count = len(self.answered)
            self._without(
                Absence(name, f"it was late: {count} others had answered after {seconds:.3g} s", is_late=True)
            )

    def _without(self, absence: Absence) -> None:
        self.absent[absence.worker] = absence
        if self.unsaid is None:
            self._say(f"round {self.number} goes on without {absence.worker}: {absence.reason}")
