"""What one client has on a worker: tensors of its own, which no other client can name, and the tasks it asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from torch import Tensor

from fedzmq.errors import LimitExceeded
from fedzmq.session.reception import Reception
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    Claim,
    Clear,
    DataDescribed,
    DefinePlan,
    DescribeData,
    Evaluate,
    Hand,
    Label,
    ListObjects,
    Pull,
    Release,
    Search,
    Share,
    Train,
)
from fedzmq.worker.answer import Answer, Handler
from fedzmq.worker.cancellation import Cancellation
from fedzmq.worker.commons import Commons
from fedzmq.worker.executor import Executor
from fedzmq.worker.labels import Labels
from fedzmq.worker.store import Store
from fedzmq.worker.training.published import TASKS
from fedzmq.worker.training.shares import Shares
from fedzmq.worker.training.tasks import Post, Tasks
from fedzmq.worker.transfers import Transfers

_RECORD_BYTES = 1024  # that a record takes beside its tensors
_AWAITING = TASKS | {Claim}  # what may have to wait for a tensor, or for a model


class Guest:
    """Runs the records of one client, in their order. `post` sends it a reply while a task still runs.

    `owner` tells this client from all others that the worker ever had, and is its name where none is given.
    """

    def __init__(
        self,
        commons: Commons,
        post: Post,
        *,
        client: str = "client",
        owner: Hashable = None,
        reception: Reception | None = None,
    ) -> None:
        self._cancellation = Cancellation()
        self._store = Store(commons.quota, client=client, privacy=commons.privacy)
        self._tasks = Tasks(
            self._store,
            client if owner is None else owner,
            Shares(commons.data),
            commons.plans,
            reception or Reception(),
            commons.memory,
            commons.results,
            commons.fingerprints,
            self._cancellation,
            post,
        )
        self._backlog: deque[tuple[list[Any], Sequence[Buffer]]] = deque()  # what waits for a tensor to come
        self._waiting = 0  # bytes of that
        self._transfers = Transfers(self._store, commons.exchange, client)
        self._labels = labels = Labels(self._store, commons.labels, client)
        self._executor = Executor(
            self._store,
            {
                DescribeData: lambda message, _: [Answer(DataDescribed(message.request, commons.infos))],
                DefinePlan: _silent(lambda message: commons.plans.add(message.plan)),
                Train: self._tasks.train,
                Evaluate: self._tasks.evaluate,
                Release: _silent(self._tasks.release),
                Hand: _silent(self._transfers.hand),
                Claim: _silent(self._transfers.claim),
                Label: _silent(self._labels.label),
                Share: _silent(self._labels.share),
                Clear: _silent(self._labels.clear),
                Search: lambda message, _: [Answer(labels.search(message))],
                ListObjects: lambda message, _: [Answer(labels.listed(message))],
            },
            plans=commons.plans,
            functions=commons.functions,
            cancellation=self._cancellation,
        )

    @property
    def stored(self) -> int:
        """How many tensors it keeps."""
        return len(self._store)

    @property
    def tensors(self) -> Mapping[int, Tensor]:
        """What it keeps, by the client's numbers."""
        return self._store.tensors

    def footprint(self) -> int:
        """How much memory it keeps, in bytes. It takes a while."""
        return self._store.footprint() + self._waiting

    def run(self, records: list[Any], buffers: Sequence[Buffer]) -> list[Answer]:
        """The replies to a message's records. Those from the first on that waits for a tensor are kept for `resume`.

        Raises LimitExceeded where more waits than the client may keep here.
        """
        if not self._backlog and (_AWAITING.isdisjoint(map(type, records)) or self._ready(records) == len(records)):
            return self._executor.run(records, buffers)
        self._waiting += _size(records, buffers)
        if self._backlog and self._waiting > self._store.quota:
            raise LimitExceeded("the bytes that wait here for a tensor or a model", self._waiting, self._store.quota)
        self._backlog.append((records, buffers))
        return [] if len(self._backlog) > 1 else self.resume()

    @property
    def is_waiting(self) -> bool:
        """A tensor that another worker was told to post is not here yet."""
        return bool(self._backlog)

    def resume(self) -> list[Answer]:
        """Go on with what waits, as far as it can."""
        answers: list[Answer] = []
        while self._backlog:
            records, buffers = self._backlog[0]
            ready = self._ready(records)
            self._waiting -= _size(records[:ready], buffers if ready == len(records) else ())
            if ready == len(records):
                self._backlog.popleft()
                answers += self._executor.run(records, buffers)
                continue
            if ready:
                self._backlog[0] = (records[ready:], buffers)
                answers += self._executor.run(records[:ready], buffers)
            break
        return answers

    def lose(self, worker: str, boot: bytes) -> None:
        """A worker is gone, and what this client waits for from there does not come; may come from any thread."""
        self._transfers.lose(worker, boot)

    def cancel(self, request: int) -> None:
        """Stop a task; may come from another thread, and before the task began."""
        self._cancellation.cancel(request)

    def interrupt(self, commands: int) -> None:
        """Stop the runs of plans among its first so many commands; may come from another thread, and before these."""
        self._cancellation.interrupt(commands)

    def pull(self, message: Pull) -> Answer:
        """A piece of what a task led to; may come from any thread. The memory that it gives is never written to."""
        return self._tasks.pull(message)

    def leave(self) -> None:
        """The client is gone: whatever runs for it stops, and its plans are no longer shared."""
        self._cancellation.leave()
        self._tasks.leave()
        self._store.plans.clear()
        self._labels.leave()

    def _ready(self, records: list[Any]) -> int:
        """How many of the records can run now."""
        ready = self._transfers.ready(records)
        return self._tasks.ready(records if ready == len(records) else records[:ready])


def _size(records: Sequence[Any], buffers: Sequence[Buffer]) -> int:
    return _RECORD_BYTES * len(records) + sum(map(len, buffers))


def _silent(run: Callable[[Any], object]) -> Handler:
    """The handler of a command that is not answered."""

    def handler(message: Any, buffers: Sequence[Buffer]) -> list[Answer]:
        run(message)
        return []

    return handler
