"""The workers that can take part in a round: those that are here and have the data set.

Every incarnation of a worker is asked once what data it has, whatever becomes of its session, and nobody waits for the
one that is busy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress

from fedzmq.client.client import Client
from fedzmq.client.pending import Pending
from fedzmq.client.waiting import MOST_NAMES, first_of
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import NotEnoughWorkers, UnavailableError, WorkerNotFoundError
from fedzmq.wire.messages import DataDescribed, DatasetInfo

TELL_AFTER = 1.0  # seconds of waiting that need no words
TELL_EVERY = 5.0  # seconds between two words about what is waited for
LOOK = 0.2  # seconds between two calls of the roll


class Cohort:
    """`say` is given a line where a worker does not take part, and while workers are waited for."""

    def __init__(self, client: Client, dataset: str, say: Callable[[str], None]) -> None:
        self._client = client
        self._dataset = dataset
        self._say = say
        self._asked: dict[WorkerHandle, Pending] = {}
        self._elsewhere: set[str] = set()  # data of other names
        self._known: dict[tuple[str, bytes], DatasetInfo | None] = {}  # by name and incarnation

    def gather(self, least: int, patience: float) -> dict[str, WorkerHandle]:
        """The workers with the data set, by name, once they are at least `least`.

        Raises NotEnoughWorkers after `patience` seconds.
        """
        began = time.monotonic()
        tell = began + TELL_AFTER
        presence = self._client.endpoint.presence
        while True:
            seen = self._seen()
            present = self._present()
            if len(present) >= least:
                presence.busy = ""
                return present
            presence.busy = f"waits for workers with the data {self._dataset!r}: {len(present)} of {least} are here"
            now = time.monotonic()
            if now >= began + patience:
                presence.busy = ""
                raise NotEnoughWorkers(least, tuple(present), f"waited {patience:g} s{self._others()}")
            if now >= tell:
                tell = now + TELL_EVERY
                self._say(
                    f"waiting for workers with the data {self._dataset!r}: {len(present)} of {least} are here"
                    f"{_listed(' (', present, ')')}{self._others()}; {began + patience - now:.0f} s left"
                )
            self._client.endpoint.presence.ask()
            self._client.wait_until(lambda: self._seen() != seen, min(LOOK, began + patience - now))  # noqa: B023

    def await_all(self, names: Collection[str], patience: float, *, is_told: bool = True) -> None:
        """Wait until these are here with the data set, or for `patience` seconds; who is missing then is told of."""
        began = time.monotonic()
        tell = began + TELL_AFTER
        while missing := ", ".join(sorted(set(names) - set(self._present()))):
            now = time.monotonic()
            left = began + patience - now
            if left <= 0:
                if is_told:
                    self._say(f"going on without {missing}, who took part before")
                return
            if is_told and now >= tell:
                tell = now + TELL_EVERY
                self._say(
                    f"waiting for {missing}, who took part before: the model would be another one; {left:.0f} s left"
                )
            seen = self._seen()
            self._client.endpoint.presence.ask()
            self._client.wait_until(lambda: self._seen() != seen, min(LOOK, left))  # noqa: B023

    def info(self, handle: WorkerHandle) -> DatasetInfo:
        """What a worker that was gathered says of its data set."""
        info = self._known[handle.name, handle.boot]
        assert info is not None
        return info

    def _seen(self) -> tuple[object, ...]:
        """Whatever a new look at who takes part depends on."""
        members = self._client.endpoint.presence.roster.members()
        answered = sum(pending.done for pending in self._asked.values())
        return (*((member.name, member.boot) for member in members), answered)

    def _present(self) -> dict[str, WorkerHandle]:
        present = {}
        for worker in self._client.workers():
            try:
                handle = self._client.worker(worker.name, timeout=0.0)
                who = (handle.name, handle.boot)
                if who not in self._known and handle not in self._asked:
                    self._asked[handle] = handle.ask_data()
            except (UnavailableError, WorkerNotFoundError):
                continue  # it went this very moment
            if handle in self._asked and self._asked[handle].done:
                with suppress(UnavailableError):  # lost before it answered: it is asked again when it is back
                    self._known[who] = self._answer(handle, self._asked.pop(handle))
            if self._known.get(who) is not None:
                present[worker.name] = handle
        return present

    def _answer(self, handle: WorkerHandle, pending: Pending) -> DatasetInfo | None:
        reply, _ = pending.result()
        datasets = reply.datasets if isinstance(reply, DataDescribed) else ()
        for info in datasets:
            if info.name == self._dataset:
                return info
        have = ", ".join(info.name for info in datasets) or "none"
        self._elsewhere |= {info.name for info in datasets}
        lacks = f"it has no data {self._dataset!r} (it has: {have}){self._way_out()}"
        self._say(f"{handle.name} does not take part: {lacks}")
        return None

    def _way_out(self) -> str:
        if not self._elsewhere:
            return ""
        name = min(self._elsewhere)
        return f"; for {name!r}, ask by dataset (--dataset {name})"

    def _others(self) -> str:
        here = {member.name: member.boot for member in self._client.endpoint.presence.roster.members()}
        gone = {name for (name, _), info in self._known.items() if info is not None} - here.keys()
        without = [who[0] for who in here.items() if who in self._known and self._known[who] is None]
        silent = [handle.name for handle in self._asked if not handle.is_lost]
        return (
            _listed("; gone: ", gone)
            + _listed(f"; without the data {self._dataset!r}: ", without, self._way_out())
            + _listed("; busy and not yet asked for it: ", silent)
        )


def _listed(before: str, names: Collection[str], after: str = "") -> str:
    """Names in a sentence; nothing where there are none."""
    return f"{before}{first_of(names, MOST_NAMES)}{after}" if names else ""
