"""Workers inside this process: for trying things out, for tests, and for programs written for PySyft.

They exchange the same bytes over the same sessions as workers elsewhere. They have no thread: whoever waits for them
runs them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch

from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import UsageError, WorkerExists
from fedzmq.transports.memory import MemoryConnection
from fedzmq.worker.worker import Worker

if TYPE_CHECKING:
    from fedzmq.client.hook import TorchHook


class Pace:
    """How long a virtual worker takes before it looks at its mail."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def step(self, worker: Worker) -> None:
        if self.seconds > 0:
            time.sleep(self.seconds)
        worker.step(0.0)


class VirtualWorker(WorkerHandle):
    """A worker called `id` in this process. Making it again gives a second handle of the same worker.

    `data` are tensors that it has from the start: a search finds those with tags, and they stay when pointers go.
    `functions` can be called by their names: `bob.function("double")(x)`. Programs written for PySyft may say
    `is_client_worker=False`, `auto_add=True` and `verbose=False` too, which is what every worker here is.
    """

    _worker: Worker
    _pace: Pace

    def __init__(
        self,
        hook: TorchHook,
        id: str,
        *,
        data: Iterable[torch.Tensor] = (),
        functions: Mapping[str, Callable[..., Any]] | None = None,
        message_pending_time: float = 0.0,
        is_client_worker: bool = False,
        auto_add: bool = True,
        verbose: bool = False,
    ) -> None:
        if is_client_worker or verbose or not auto_add:
            raise UsageError(
                "a virtual worker keeps tensors, is found by all others and prints nothing: leave those out"
            )
        if not hasattr(hook, "virtual_workers"):
            raise UsageError(
                f"a virtual worker is made with a hook, fedzmq.TorchHook(torch), and not with {hook!r:.60}"
            )
        client = hook.client
        if id == client.home.name:
            raise WorkerExists(id, "this process")
        first = hook.virtual_workers.get(id)
        if first is not None and not first.is_lost:
            super().__init__(client, first.line)
            self.stream = first.stream
            self._worker, self._pace = first._worker, first._pace
            for name, function in (functions or {}).items():
                self.register_function(name, function)
            self.load_data(data)
            return
        connection = MemoryConnection(client.address, id)
        self._worker = Worker(connection, functions=functions, silence=math.inf, direct=False)
        pace = self._pace = Pace()
        connection.serve(lambda: pace.step(self._worker))
        super().__init__(client, client.open_line(id, self._worker.boot))
        self.stream.strict = hook.strict
        hook.virtual_workers[id] = self
        client.adopt(self)
        self.load_data(data)
        self.message_pending_time = message_pending_time

    @property
    def message_pending_time(self) -> float:
        """Seconds that the worker lets pass before it takes in what has come: a slow link, to try things out."""
        return self._pace.seconds

    @message_pending_time.setter
    def message_pending_time(self, seconds: float) -> None:
        self._pace.seconds = seconds

    @property
    def _objects(self) -> dict[int, torch.Tensor]:
        """The tensors of this client over there, by their `id_at_location`, once all that was ordered has run."""
        self.list_objects()  # a round trip
        return self._worker.tensors(self.client.endpoint.connection.name)

    @property
    def stored(self) -> int:
        """How many tensors of this client it keeps. Nothing is sent for it: what has not arrived yet is not counted."""
        return self._worker.stored(self.client.endpoint.connection.name)

    def register_function(self, name: str, function: Callable[..., Any]) -> VirtualWorker:
        """Let clients call a function on this worker by that name."""
        self._worker.functions.add(name, function)
        return self

    def load_data(self, data: Iterable[torch.Tensor]) -> None:
        """Have it keep these tensors, as those that it was made with."""
        for tensor in data:
            pointer = tensor.send(self, garbage_collect_data=False)  # type: ignore[attr-defined]  # a verb
            tensor.__dict__.update(id=pointer.id_at_location, owner=self)

    def close(self) -> None:
        """Stop it; what it stored is gone, and its pointers say WorkerLost. Twice is fine."""
        self._worker.close()
        # It never beat, so its goodbye means nothing to a roster.
        self.client.endpoint.end(self.line.peer, "it was closed here")
