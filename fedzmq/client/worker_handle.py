"""A worker as its client sees it: where tensors and modules are sent, and who is asked to train."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fedzmq.client.findings import found_by, listed
from fedzmq.client.neighbours import Neighbour
from fedzmq.client.pending import Pending
from fedzmq.client.session_line import SessionLine
from fedzmq.client.tasks import EvaluationTask, TrainingTask
from fedzmq.datasets.base_dataset import BaseDataset, datasets_among
from fedzmq.errors import ProtocolError, UsageError
from fedzmq.plans.plan import name_of
from fedzmq.pointers.callable_pointer import CallablePointer, functions_of
from fedzmq.pointers.creation import Frameworks
from fedzmq.pointers.destination import Route
from fedzmq.pointers.origins import origin
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.stream import Stream
from fedzmq.tensors.buffers import Exported, export_all
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    Clear,
    Command,
    DataDescribed,
    DatasetInfo,
    DefinePlan,
    DescribeData,
    Evaluate,
    ObjectInfo,
    Progress,
    Pull,
    Release,
    Seed,
    Train,
)

if TYPE_CHECKING:
    from fedzmq.client.client import Client


class WorkerHandle(Neighbour):
    """One incarnation of a worker. `stream` carries the commands of the pointers that live there."""

    def __init__(self, client: Client, line: SessionLine) -> None:
        self.client = client
        self.line = line
        self.stream = Stream(line, effects=client.effects, location=self)
        self._plans: dict[bytes, str] = {}  # those that it was given, with their names

    @property
    def name(self) -> str:
        return self.line.worker

    @property
    def boot(self) -> bytes:
        """Which process of that name it is: another one for each that was started."""
        return self.line.peer.boot

    @property
    def id(self) -> str:
        """The name, as users of PySyft call it."""
        return self.line.worker

    @property
    def remote(self) -> Frameworks:
        """`worker.remote.torch.zeros(2, 3)` makes a tensor over there."""
        return Frameworks(self.stream)

    def route_from(self, source: object) -> Route | None:
        """How another worker of the same client reaches this one; None where it is not one."""
        if not isinstance(source, WorkerHandle) or source.client is not self.client:
            return None
        self.client.expect(source.line.peer, self.line.peer)
        return Route(source.line.peer.boot, self.line.peer.boot)

    def seed(self, value: int) -> None:
        """Have this client draw over there what torch.manual_seed(value) gives. Other clients notice nothing.

        `torch.manual_seed` itself does so on every worker, and here too.
        """
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise UsageError(f"a seed is an int of 64 bits, from -2**63 to 2**63 - 1, and not {value!r:.60}")
        self.stream.command(Seed(value), origin())

    def search(self, *terms: str | Iterable[str]) -> list[Pointer]:
        """Pointers to the tensors over there to which every term fits: a tag, or a part of the description.

        They are the caller's own: they share the memory with what was found, and dropping them deletes nothing. Found
        are this client's tensors, and those of others that they share. One round trip.
        """
        return found_by(self.stream, terms)

    def search_datasets(self, *terms: str | Iterable[str]) -> list[BaseDataset]:
        """The data sets over there that fit, which were tagged as such: as `search` finds tensors."""
        return datasets_among(self.search(*terms))

    def functions(self) -> tuple[str, ...]:
        """The names of the functions that the worker's owner lets clients call. One round trip."""
        return functions_of(self.stream)

    def function(self, name: str) -> CallablePointer:
        """One of them, to be called with pointers, tensors and numbers. Nothing is asked until then.

        Raises UsageError for anything but a name.
        """
        if not isinstance(name, str):
            raise UsageError(
                f"{name!r:.60} is no name of a function that the owner of {self.name!r} offers, and no code is sent: "
                "record it as a plan: fedzmq.func2plan"
            )
        return CallablePointer(self.stream, name)

    def list_objects(self) -> tuple[ObjectInfo, ...]:
        """All that this client stores over there, without a value of it. One round trip."""
        return listed(self.stream)

    def objects_count(self) -> int:
        """How many tensors this client stores over there. One round trip."""
        return len(self.list_objects())

    list_objects_remote = list_objects
    objects_count_remote = objects_count

    def clear_objects(self) -> WorkerHandle:
        """Delete all that this client stores over there; what still points to it raises ObjectNotFoundError."""
        self.stream.command(Clear(), origin())
        return self

    clear_objects_remote = clear_objects

    def get_worker(self, worker: Any, fail_hard: bool = False) -> Any:
        """See `Client.get_worker`."""
        return self.client.get_worker(worker, fail_hard)

    def interrupt(self) -> None:
        """Have it stop the plans that it runs for this client, and those that wait: what they would give has failed.

        A plan that has begun to write to its arguments or its state goes on to its end. Ctrl-C, and any exception that
        ends the wait for an answer, does the same. Any thread may call it, as a `threading.Timer` does.
        """
        self.stream.interrupt()

    @property
    def is_lost(self) -> bool:
        """Its process ended, or another one has its name now; what was stored there is gone."""
        return self.line.is_lost

    def data(self) -> tuple[DatasetInfo, ...]:
        """The data sets that it offers for training, without a value of them. One round trip."""
        reply, _ = self.stream.answer(self.stream.ask(DescribeData, None))
        if not isinstance(reply, DataDescribed):
            raise ProtocolError(f"worker {self.name!r} answered DescribeData with {type(reply).__name__}")
        return reply.datasets

    def ask_data(self) -> Pending:
        """As `data`, without waiting."""
        pending = self.line.claim(self.stream.ask(DescribeData, None))
        self.stream.flush()
        return pending

    def train(
        self,
        plan: bytes,
        state: Exported,
        task: TrainingTask,
        progress: Callable[[Progress], None] | None = None,
        *,
        is_frozen: bool = False,
    ) -> Pending:
        """Start training; the answer is Trained, Failed, or PlanMissing where the worker forgot the plan.

        A plan travels the first time only. What the training led to stays over there, to be pulled. A state that was
        published under the task's `model` can be empty here, and the answer may be ModelMissing. One that is frozen
        will never change: it is not waited for until it has left this process.
        """
        name = self._define(plan)
        control, beside = export_all(task.control, copy=is_frozen, first=len(state.buffers))

        def make(request: int) -> Train:
            return Train(
                request,
                name,
                task.dataset,
                state.specs,
                task.epochs,
                task.batch_size,
                task.optimizer,
                dict(task.options),
                task.seed,
                task.report_every,
                task.local,
                control,
                task.course,
                task.model,
                task.ahead,
                task.held_out,
            )

        return self._carry(make, [*state.buffers, *beside], progress, is_frozen)

    def evaluate(
        self,
        plan: bytes,
        state: Exported,
        task: EvaluationTask,
        progress: Callable[[Progress], None] | None = None,
        *,
        is_frozen: bool = False,
    ) -> Pending:
        """Start an evaluation; the answer is Evaluated, Failed, PlanMissing or ModelMissing. See `train`."""
        name = self._define(plan)

        def make(request: int) -> Evaluate:
            return Evaluate(
                request,
                name,
                task.dataset,
                state.specs,
                task.batch_size,
                task.seed,
                task.report_every,
                task.trained,
                task.local,
                task.model,
                task.held_out,
                task.max_steps,
                task.max_seconds,
            )

        return self._carry(make, state.buffers, progress, is_frozen)

    def _carry(
        self,
        make: Callable[[int], Command],
        buffers: Sequence[Buffer],
        progress: Callable[[Progress], None] | None,
        is_frozen: bool,
    ) -> Pending:
        pending = self.line.claim(self.stream.carry(make, buffers, self.line.donate if is_frozen else None))
        pending.progress = progress
        return pending

    def _define(self, plan: bytes) -> str:
        """The plan's name; the plan itself travels the first time only."""
        name = self._plans.get(plan)
        if name is None:
            name = name_of(plan)
            self.stream.command(DefinePlan(plan), None)
            self._plans[plan] = name
        return name

    def pull(self, task: int, start: int, stop: int) -> Pending:
        """Ask for bytes of what a training led to, by the number of its request; the answer is Pulled or Failed."""
        return self.line.ask_at_once(lambda request: Pull(request, task, start, stop))

    def release(self, run: str) -> None:
        """That run is over: the worker need not keep its last result any more."""
        self.stream.command(Release(run), None)
        self.stream.flush_by(self.line.donate)  # which does not wait for one that hangs

    def forget_plan(self, plan: bytes) -> None:
        """Send the plan again with the next training: the worker says that it does not have it."""
        self._plans.pop(plan, None)

    def missed_model(self) -> None:
        """Do not count on it to hear what is published next."""
        self.client.publisher.missed(self.line.peer)

    def cancel(self, pending: Pending) -> None:
        """Have the worker stop what it does for this request."""
        if not pending.done and not self.is_lost:
            self.line.cancel(pending.request)

    def __eq__(self, other: object) -> bool:
        """Two handles of one worker, as two cells of a notebook make them, are the same place."""
        return isinstance(other, WorkerHandle) and self.line is other.line

    def __hash__(self) -> int:
        return hash(self.line)

    def __repr__(self) -> str:
        state = ", lost" if self.is_lost else ""
        return f"<worker {self.name!r} at {self.client.address}{state}>"
