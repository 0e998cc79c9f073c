"""What one client has on a worker: tensors of its own, which no other client can name, and the tasks it asked for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from fedzmq.data.examples import Examples
from fedzmq.errors import WorkerLost
from fedzmq.session.reception import Reception
from fedzmq.tensors.buffers import export_all, restore_all
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    Claim,
    Clear,
    DataDescribed,
    DatasetInfo,
    DefinePlan,
    Deliver,
    DescribeData,
    Evaluate,
    Evaluated,
    Failed,
    Hand,
    Label,
    ListObjects,
    ModelMissing,
    PlanMissing,
    Progress,
    Pull,
    Pulled,
    Release,
    Reply,
    Search,
    Share,
    Train,
    Trained,
    Undelivered,
)
from fedzmq.worker.answer import Answer, Handler
from fedzmq.worker.evaluating import evaluate
from fedzmq.worker.exchange import Exchange
from fedzmq.worker.executor import Executor
from fedzmq.worker.failure import failure_of
from fedzmq.worker.functions import Functions
from fedzmq.worker.labels import Commons, Labels
from fedzmq.worker.memory import Memory, RunName
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.privacy import Privacy
from fedzmq.worker.published import Published
from fedzmq.worker.results import Identity, Result, Results
from fedzmq.worker.shares import Shares
from fedzmq.worker.store import Store
from fedzmq.worker.told import told
from fedzmq.worker.training import train
from fedzmq.worker.transfers import Transfers

Post = Callable[[Reply, Sequence[Buffer]], None]


class Guest:
    """Runs the records of one client, in their order. `post` sends it a reply while a task still runs.

    `owner` tells this client from all others that the worker ever had, and is its name where none is given.
    """

    def __init__(
        self,
        data: Mapping[str, Examples],
        plans: PlanShelf,
        post: Post,
        memory: Memory | None = None,
        results: Results | None = None,
        *,
        infos: tuple[DatasetInfo, ...] = (),
        client: str = "client",
        owner: Hashable = None,
        exchange: Exchange | None = None,
        commons: Commons | None = None,
        reception: Reception | None = None,
        privacy: Privacy | None = None,
        functions: Functions | None = None,
    ) -> None:
        self._shares = Shares(data)
        self._infos = infos or tuple(told(each, False) for each in data.values())
        self._plans = plans
        self._memory = memory or Memory()
        self._results = Results() if results is None else results
        self._owner = client if owner is None else owner
        self._post = post
        self._cancelled: set[int] = set()
        self._finished = 0  # the last task that is over; a client numbers its requests upwards
        self._is_gone = False
        self._published = Published(reception or Reception(), lambda request: request in self._cancelled)
        self._store = Store(client=client, privacy=privacy)
        self._backlog: deque[tuple[list[Any], Sequence[Buffer]]] = deque()  # what waits for a tensor to come
        self._transfers = Transfers(self._store, Exchange(_nowhere) if exchange is None else exchange, client)
        self._labels = Labels(self._store, commons or Commons(), client)
        self._executor = Executor(
            self._store,
            {
                DescribeData: self._describe,
                DefinePlan: self._define,
                Train: self._train,
                Evaluate: self._evaluate,
                Release: _silent(lambda message: self._results.release(message.run)),
                Hand: _silent(self._transfers.hand),
                Claim: _silent(self._transfers.claim),
                Label: _silent(self._labels.label),
                Share: _silent(self._labels.share),
                Clear: _silent(self._labels.clear),
                Search: lambda message, _: [Answer(self._labels.search(message), [])],
                ListObjects: lambda message, _: [Answer(self._labels.listed(message), [])],
            },
            plans=plans,
            functions=functions,
        )

    @property
    def stored(self) -> int:
        """How many tensors it keeps."""
        return len(self._store)

    @property
    def tensors(self) -> Mapping[int, Tensor]:
        """What it keeps, by the client's numbers."""
        return self._store.tensors

    def run(self, records: list[Any], buffers: Sequence[Buffer]) -> list[Answer]:
        """The replies to a message's records. Those from the first on that waits for a tensor are kept for `resume`."""
        if not self._backlog and self._ready(records) == len(records):
            return self._executor.run(records, buffers)
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
        if request > self._finished:
            self._cancelled.add(request)

    def pull(self, message: Pull) -> Answer:
        """A piece of what a task led to; may come from any thread. The memory that it gives is never written to."""
        try:
            parts, buffers = export_all(self._results.pull((self._owner, message.task), message.start, message.stop))
        except Exception as error:
            return Answer(Failed(message.request, failure_of(error, 0, "pull")), [])
        return Answer(Pulled(message.request, parts), buffers)

    def leave(self) -> None:
        """The client is gone: whatever runs for it stops, and its plans are no longer shared."""
        self._is_gone = True
        self._results.leave(self._owner)
        self._store.plans.clear()
        self._labels.leave()

    def _ready(self, records: list[Any]) -> int:
        """How many of the records can run now."""
        ready = self._transfers.ready(records)
        return self._published.ready(records if ready == len(records) else records[:ready])

    def _describe(self, message: DescribeData, buffers: Sequence[Buffer]) -> list[Answer]:
        return [Answer(DataDescribed(message.request, self._infos), [])]

    def _define(self, message: DefinePlan, buffers: Sequence[Buffer]) -> list[Answer]:
        self._plans.add(message.plan)
        return []

    def _train(self, message: Train, buffers: Sequence[Buffer]) -> list[Answer]:
        return self._do(message, buffers, self._trained, "training")

    def _trained(self, message: Train, buffers: Sequence[Buffer]) -> list[Answer]:
        found = self._plans.get(message.plan)
        if found is None:
            return [Answer(PlanMissing(message.request, message.plan), [])]
        began = time.monotonic()
        data = self._shares.to_train(message.dataset, message.held_out)
        task, run = (self._owner, message.request), RunName(message.local.run, message.plan, message.dataset)
        control = restore_all(message.control, buffers)
        identity = Identity.of(message, control)
        done = self._results.begin(task, run, identity)
        if done is not None:
            return [self._told(message, replace(done, request=message.request))]
        came = self._published.state(message, found.plan, buffers)
        if came is None:
            return [Answer(ModelMissing(message.request, message.model), [])]
        outcome = train(
            message,
            found,
            came,
            data,
            control=control,
            kept=self._memory.recall(run, message.local.basis),
            report=lambda *progress: self._post(Progress(message.request, *progress), ()),
            is_cancelled=lambda: self._is_gone or message.request in self._cancelled,
        )
        if outcome.kept:
            self._memory.keep(run, message.local.round, outcome.kept)
        seconds = time.monotonic() - began
        trained = Trained(
            message.request,
            outcome.examples,
            outcome.loss,
            seconds,
            outcome.metrics,
            outcome.steps,
            way=outcome.way,
        )
        self._results.keep(task, run, Result(trained, outcome.state, identity))
        return [self._told(message, trained)]

    def _told(self, message: Train, trained: Trained) -> Answer:
        """The answer, with what is to come along."""
        if not message.ahead:
            return Answer(trained, [])
        parts, buffers = export_all(self._results.pull((self._owner, message.request), 0, message.ahead))
        return Answer(replace(trained, parts=parts), buffers)

    def _evaluate(self, message: Evaluate, buffers: Sequence[Buffer]) -> list[Answer]:
        return self._do(message, buffers, self._evaluated, "evaluation")

    def _evaluated(self, message: Evaluate, buffers: Sequence[Buffer]) -> list[Answer]:
        found = self._plans.get(message.plan)
        if found is None:
            return [Answer(PlanMissing(message.request, message.plan), [])]
        began = time.monotonic()
        data = self._shares.to_evaluate(message.dataset, message.held_out)
        came = self._published.state(message, found.plan, buffers)
        if came is None:
            return [Answer(ModelMissing(message.request, message.model), [])]
        run = RunName(message.local.run, message.trained, message.dataset)
        common, own = evaluate(
            message,
            found,
            came,
            data,
            kept=self._memory.look(run, message.local.basis),
            report=lambda *progress: self._post(Progress(message.request, *progress), ()),
            is_cancelled=lambda: self._is_gone or message.request in self._cancelled,
        )
        sums, exported = export_all([*common.sums, *(own.sums if own is not None else ())])
        return [Answer(Evaluated(message.request, common.examples, sums, time.monotonic() - began), exported)]

    def _do(
        self,
        message: Any,
        buffers: Sequence[Buffer],
        task: Callable[[Any, Sequence[Buffer]], list[Answer]],
        what: str,
    ) -> list[Answer]:
        """A task that can be cancelled."""
        try:
            return task(message, buffers)
        except Exception as error:
            return [Answer(Failed(message.request, failure_of(error, self._store.position, what)), [])]
        finally:
            self._finished = max(self._finished, message.request)
            self._cancelled.discard(message.request)


def _silent(run: Callable[[Any], None]) -> Handler:
    """The handler of a command that is not answered."""

    def handler(message: Any, buffers: Sequence[Buffer]) -> list[Answer]:
        run(message)
        return []

    return handler


def _nowhere(worker: str, boot: bytes, message: Deliver | Undelivered, buffers: Sequence[Buffer]) -> None:
    raise WorkerLost(worker, "this worker reaches no other")
