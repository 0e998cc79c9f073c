"""What one client has a worker do with the data of its owner: trainings and evaluations, one after the other.

While one runs, what stops it and what asks for the result of another may come from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fedzmq.session.reception import Reception
from fedzmq.tensors.buffers import export_all, restore_all
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    Evaluate,
    Evaluated,
    Failed,
    ModelMissing,
    PlanMissing,
    Progress,
    Pull,
    Pulled,
    Release,
    Reply,
    Train,
    Trained,
)
from fedzmq.worker.answer import Answer
from fedzmq.worker.cancellation import Cancellation
from fedzmq.worker.failure import failure_of
from fedzmq.worker.fingerprints import Fingerprints
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.store import Store
from fedzmq.worker.training.evaluate import evaluate
from fedzmq.worker.training.memory import Memory, RunName
from fedzmq.worker.training.published import Published
from fedzmq.worker.training.results import Identity, Result, Results
from fedzmq.worker.training.shares import Shares
from fedzmq.worker.training.train import train

TRAINING, EVALUATION = "training", "evaluation"  # what they are called where one fails

Post = Callable[[Reply, Sequence[Buffer]], None]


class Tasks:
    """Those of one client, which `owner` tells from all others. `post` sends it a reply while a task still runs."""

    def __init__(
        self,
        store: Store,
        owner: Hashable,
        shares: Shares,
        plans: PlanShelf,
        reception: Reception,
        memory: Memory,
        results: Results,
        fingerprints: Fingerprints,
        cancellation: Cancellation,
        post: Post,
    ) -> None:
        self._store = store
        self._owner = owner
        self._shares = shares
        self._plans = plans
        self._cancellation = cancellation
        self._published = Published(reception, cancellation.is_cancelled)
        self._memory = memory
        self._results = results
        self._fingerprints = fingerprints
        self._post = post

    def ready(self, records: Sequence[Any]) -> int:
        """How many of the records can run now: all before the first task whose model may still come."""
        return self._published.ready(records)

    def train(self, message: Train, buffers: Sequence[Buffer]) -> list[Answer]:
        return [self._do(message, buffers, self._trained, TRAINING)]

    def evaluate(self, message: Evaluate, buffers: Sequence[Buffer]) -> list[Answer]:
        return [self._do(message, buffers, self._evaluated, EVALUATION)]

    def pull(self, message: Pull) -> Answer:
        """A piece of what a task led to; may come from any thread. The memory that it gives is never written to."""
        try:
            parts, buffers = export_all(self._results.pull((self._owner, message.task), message.start, message.stop))
        except Exception as error:
            return Answer(Failed(message.request, failure_of(error, 0, "pull")))
        return Answer(Pulled(message.request, parts), buffers)

    def release(self, message: Release) -> None:
        """A run is over: what it led to can go."""
        self._results.release(message.run)

    def leave(self) -> None:
        """The client is gone."""
        self._results.leave(self._owner)

    def _trained(self, message: Train, buffers: Sequence[Buffer]) -> Answer:
        found = self._plans.get(message.plan)
        if found is None:
            return Answer(PlanMissing(message.request, message.plan))
        began = time.monotonic()
        data = self._shares.to_train(message.dataset, message.held_out)
        task, run = (self._owner, message.request), RunName(message.local.run, message.plan, message.dataset)
        control = restore_all(message.control, buffers)
        identity = Identity.of(message, control)
        done = self._results.begin(task, run, identity, self._store.client)
        if done is not None:
            return self._told(message, replace(done, request=message.request))
        came = self._published.state(message, found.plan, buffers)
        if came is None:
            return Answer(ModelMissing(message.request, message.model))
        outcome = train(
            message,
            found,
            came,
            data,
            control=control,
            kept=self._memory.recall(run, message.local.basis, self._store.client),
            report=lambda *progress: self._post(Progress(message.request, *progress), ()),
            look=partial(self._cancellation.look, message.request),
        )
        if outcome.kept:
            self._memory.keep(run, message.local.round, outcome.kept, self._store.client)
        seconds = time.monotonic() - began
        trained = Trained(
            message.request,
            outcome.examples,
            outcome.loss,
            seconds,
            outcome.metrics,
            outcome.steps,
            way=outcome.way,
            fingerprint=self._fingerprints.of(message.local.run, self._shares.whole(message.dataset)),
        )
        self._results.keep(task, run, Result(trained, outcome.state, identity), self._store.client)
        return self._told(message, trained)

    def _told(self, message: Train, trained: Trained) -> Answer:
        """The answer, with what is to come along."""
        if not message.ahead:
            return Answer(trained)
        parts, buffers = export_all(self._results.pull((self._owner, message.request), 0, message.ahead))
        return Answer(replace(trained, parts=parts), buffers)

    def _evaluated(self, message: Evaluate, buffers: Sequence[Buffer]) -> Answer:
        found = self._plans.get(message.plan)
        if found is None:
            return Answer(PlanMissing(message.request, message.plan))
        began = time.monotonic()
        data = self._shares.to_evaluate(message.dataset, message.held_out)
        came = self._published.state(message, found.plan, buffers)
        if came is None:
            return Answer(ModelMissing(message.request, message.model))
        run = RunName(message.local.run, message.trained, message.dataset)
        common, own = evaluate(
            message,
            found,
            came,
            data,
            kept=self._memory.look(run, message.local.basis),
            report=lambda *progress: self._post(Progress(message.request, *progress), ()),
            look=partial(self._cancellation.look, message.request),
        )
        sums, exported = export_all([*common.sums, *(own.sums if own is not None else ())])
        return Answer(Evaluated(message.request, common.examples, sums, time.monotonic() - began), exported)

    def _do(
        self,
        message: Any,
        buffers: Sequence[Buffer],
        task: Callable[[Any, Sequence[Buffer]], Answer],
        what: str,
    ) -> Answer:
        """A task that can be cancelled."""
        try:
            return task(message, buffers)
        except Exception as error:
            return Answer(Failed(message.request, failure_of(error, self._store.position, what)))
        finally:
            self._cancellation.finish(message.request)
