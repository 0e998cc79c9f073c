"""The workers that can take part in a round: those that are here and have the data set."""

from __future__ import annotations

import time
from collections.abc import Callable

from fedzmq.client.client import Client
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import NotEnoughWorkers, UnavailableError
from fedzmq.wire.messages import DataDescribed, DatasetInfo

TELL_EVERY = 5.0  # seconds between two words about what is waited for


class Cohort:
    """Asks every incarnation of a worker once what data it has."""

    def __init__(self, client: Client, dataset: str, say: Callable[[str], None]) -> None:
        self._client = client
        self._dataset = dataset
        self._say = say
        self._known: dict[WorkerHandle, DatasetInfo | None] = {}

    def gather(self, least: int, patience: float) -> dict[str, WorkerHandle]:
        """The workers with the data set, by name, once they are at least `least`. Raises NotEnoughWorkers."""
        deadline = time.monotonic() + patience
        told = time.monotonic()
        while True:
            present = self._present()
            if len(present) >= least:
                return present
            now = time.monotonic()
            if now >= deadline:
                raise NotEnoughWorkers(least, tuple(present), f"waited {patience:g} s{self._others(present)}")
            if now - told >= TELL_EVERY:
                told = now
                self._say(
                    f"waiting for workers with the data {self._dataset!r}: {len(present)} of {least} are here"
                    f"{self._others(present)}; {deadline - now:.0f} s left"
                )
            self._client.endpoint.presence.ask()
            self._client.wait_until(lambda: len(self._client.endpoint.presence.roster) > len(present), 0.2)

    def info(self, name: str) -> DatasetInfo:
        """What a gathered worker says of its data set."""
        for handle, info in self._known.items():
            if handle.name == name and info is not None and not handle.is_lost:
                return info
        raise KeyError(name)

    def _present(self) -> dict[str, WorkerHandle]:
        present = {}
        for worker in self._client.workers():
            try:
                handle = self._client.worker(worker.name)
                if handle not in self._known:
                    self._known[handle] = self._ask(handle)
            except UnavailableError:
                continue
            if self._known[handle] is not None:
                present[worker.name] = handle
        return present

    def _ask(self, handle: WorkerHandle) -> DatasetInfo | None:
        pending = handle.ask_data()
        self._client.wait_until(lambda: pending.done)
        reply, _ = pending.result()
        assert isinstance(reply, DataDescribed)
        for info in reply.datasets:
            if info.name == self._dataset:
                return info
        have = ", ".join(info.name for info in reply.datasets) or "none"
        self._say(f"{handle.name} does not take part: it has no data {self._dataset!r} (it has: {have})")
        return None

    def _others(self, present: dict[str, WorkerHandle]) -> str:
        others = [handle.name for handle, info in self._known.items() if info is None and not handle.is_lost]
        return f"; without that data: {', '.join(sorted(others))}" if others else ""
