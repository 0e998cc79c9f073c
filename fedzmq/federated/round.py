"""A round that runs: who is waited for, what came, when it is over, and what the answers make together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedzmq.client.client import Client
from fedzmq.client.waiting import Waiting, first_of
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import FedzmqError, RemoteError, UpdateRefused
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.report import Absence, Answer
from fedzmq.federated.updates.collection import Collection, Unusable
from fedzmq.federated.updates.due import Due

if TYPE_CHECKING:
    from fedzmq.federated.updates.collector import Collector

LOOK = 0.25  # seconds between two looks at whether the broker and those who are waited for are still there


@dataclass(frozen=True, slots=True)
class Ending:
    """A round is over when nobody is waited for, when `enough` have answered, or when `quorum` have answered and
    `deadline` seconds are over (None: there is none). Of the quorum, `attackers` may have sent what is refused.
    """

    enough: int
    quorum: int = 1
    deadline: float | None = None
    attackers: int = 0


class Round:
    """Asks the workers of `handles` by `assign`, and has `accept` pass what they answer.

    `say` is given a line for each that the round goes on without, and, at the pace of `waiting`, for whom it waits. A
    worker that took this process for gone, as after a sleep of its machine, and is there all the time is asked again.
    """

    def __init__(
        self,
        number: int,
        handles: Mapping[str, WorkerHandle],
        due: Due,
        ending: Ending,
        assign: Callable[[WorkerHandle], Assignment],
        accept: Callable[[Answer], None],
        say: Callable[[str], None],
        waiting: Waiting | None = None,
    ) -> None:
        self.number = number
        self._handles = dict(handles)
        self._due = due
        self._ending = ending
        self._assign = assign
        self._accept = accept
        self._say = say
        self._pace = waiting or Waiting()
        self._asked_again: set[str] = set()
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
        with self._cancelled_if_interrupted():
            for name, handle in list(self._handles.items()):
                try:
                    self._waiting[name] = self._assign(handle)
                except FedzmqError as error:
                    self._lose(client, name, error)
            self._finish(client)

    def collect(self, client: Client, make: Callable[[Sequence[Answer]], Collector]) -> Collector | None:
        """Pull what was trained into what `make` gives for the answers; None where too few of them can be used.

        Once one turns out to be of no use, all begins again without it. Whatever interrupts it, one that is asked
        again is told to stop.
        """
        while self._has_quorum():
            collector = make([self.answered[name] for name in sorted(self.answered)])
            try:
                Collection(client, self._due, self._done, self._say).into(collector)
            except Unusable as unusable:
                collector.close()
                del self._done[unusable.worker], self.answered[unusable.worker]
                with self._cancelled_if_interrupted():
                    self._lose(client, unusable.worker, unusable.error)
                    self._finish(client)
            except BaseException:
                collector.close()
                raise
            else:
                return collector
        return None

    @property
    def _counted(self) -> int:
        """How many count towards the quorum."""
        refused = sum(isinstance(error, UpdateRefused) for error in self.failed.values())
        return len(self.answered) + min(refused, self._ending.attackers)

    def _has_quorum(self) -> bool:
        return self._counted >= self._ending.quorum

    def is_lost(self, name: str) -> bool:
        return self._handles[name].is_lost

    @contextmanager
    def _cancelled_if_interrupted(self) -> Iterator[None]:
        """Tell those that are waited for to stop, where nobody will wait for them any more."""
        try:
            yield
        except BaseException:
            for assignment in self._waiting.values():
                assignment.cancel()
            raise

    def _finish(self, client: Client) -> None:
        """Wait for whoever was asked, and take it back from those who are late."""
        began = time.monotonic()
        self._pace.begin()
        self._tell_of_medium(client)  # a round may be over before anybody looks, and goes on without it
        try:
            self._wait(client, began)
        finally:
            client.endpoint.presence.busy = ""
        self._leave_late(time.monotonic() - began)

    def _wait(self, client: Client, began: float) -> None:
        """Take every answer in, in the order in which they come."""
        look = began + LOOK
        while self._waiting:
            news = client.news
            done = [name for name, assignment in self._waiting.items() if assignment.done]
            for name in done:
                self._take(client, name)
            left = self._time_left(began)
            if left <= 0 or len(self.answered) >= self._ending.enough:
                return
            if done:
                continue
            client.wait_for_news(news, min(LOOK, left))
            if time.monotonic() < look:  # each answer ends a wait, and there may be hundreds
                continue
            look = time.monotonic() + LOOK
            self._tell_of_medium(client)
            self._tell(client, left)

    def _tell_of_medium(self, client: Client) -> None:
        change = self._pace.change(client)
        if change is not None:
            self._say(change)

    def _tell(self, client: Client, left: float) -> None:
        """For whom and until when it waits, to whoever asks for the status, and now and then to all."""
        waited = f"has waited {self._pace.seconds:.0f} s for"
        client.endpoint.presence.busy = f"round {self.number}: {waited} {first_of(self._waiting)}"
        remark = self._pace.remark(client, self._waiting)
        if remark is not None:
            self._say(f"round {self.number} {remark}; {self._until(client, left)}")

    def _until(self, client: Client, left: float) -> str:
        if left < float("inf"):
            return f"{left:.0f} s left"
        if self._ending.deadline is None:
            is_away = client.endpoint.presence.away
            return f"it waits for as long as {'it takes' if is_away else 'they are here'}, as there is no deadline"
        return f"until {self._ending.quorum} have answered, and {self._counted} have"

    def _time_left(self, began: float) -> float:
        """Seconds; for ever while the quorum is missing."""
        if self._ending.deadline is None or not self._has_quorum():
            return float("inf")
        return began + self._ending.deadline - time.monotonic()

    def _take(self, client: Client, name: str) -> None:
        assignment = self._waiting[name]
        try:
            answer = assignment.take()
            if answer is None:
                return
            self._accept(answer)
        except FedzmqError as error:
            del self._waiting[name]
            is_last = not self.answered and not self._waiting
            if is_last and isinstance(error, RemoteError):
                self.unsaid = error
            self._lose(client, name, error)
        else:
            del self._waiting[name]
            self._done[name] = assignment
            self.answered[name] = answer

    def _lose(self, client: Client, name: str, error: FedzmqError) -> None:
        """Go on without it, unless it is there and only its session ended: what it has trained it still has."""
        handle, found = self._handles[name], client.find(name)
        is_there = handle.is_lost and found is not None and found.boot == handle.boot
        if found is None or not is_there or name in self._asked_again:
            self._fail(name, error)
            return
        self._asked_again.add(name)
        self._handles[name] = found
        try:
            self._waiting[name] = self._assign(found)
        except FedzmqError as another:
            self._fail(name, another)

    def _fail(self, name: str, error: FedzmqError) -> None:
        self.failed[name] = error
        self._without(Absence(name, str(error)))

    def _leave_late(self, seconds: float) -> None:
        late, self._waiting = self._waiting, {}
        self.late |= late
        for name, assignment in late.items():
            assignment.cancel()
            count = len(self.answered)
            self._without(
                Absence(name, f"it was late: {count} others had answered after {seconds:.3g} s", is_late=True)
            )

    def _without(self, absence: Absence) -> None:
        self.absent[absence.worker] = absence
        if self.unsaid is None:
            self._say(f"round {self.number} goes on without {absence.worker}: {absence.reason}")
