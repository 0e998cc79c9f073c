"""Runs one client's commands, in order, on that client's store.

A command that fails does not stop those after it. Its failure takes the place of its results and of what it may have
written; whatever uses one of those inherits the same failure, and the client is told of it once. A write whose operands
had failed before does not happen, and its target stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fedzmq.errors import FedzmqError, ProtocolError
from fedzmq.operations.arguments import Scope
from fedzmq.operations.catalog import CATALOG, Catalog
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    Backward,
    Call,
    Describe,
    Drop,
    Failed,
    Fetch,
    FetchPlan,
    Gradients,
    ListFunctions,
    LoadRandomState,
    Mode,
    Probe,
    Put,
    PutPlan,
    RequireGrad,
    Restrict,
    RunPlan,
    SaveRandomState,
    Seed,
    SetData,
    SetGrad,
    SharePlan,
    Sync,
    Synced,
)
from fedzmq.worker.answer import Answer, Handler
from fedzmq.worker.cancellation import Cancellation
from fedzmq.worker.current_message import READS, CurrentMessage
from fedzmq.worker.failure import failure_of
from fedzmq.worker.function_calls import FunctionCalls
from fedzmq.worker.functions import Functions
from fedzmq.worker.gradient_calls import GradientCalls
from fedzmq.worker.guarded import withheld
from fedzmq.worker.modes import Modes
from fedzmq.worker.operation_calls import OperationCalls
from fedzmq.worker.plan_calls import PlanCalls
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.randomness import Randomness
from fedzmq.worker.record import operands
from fedzmq.worker.store import Inherited, Store
from fedzmq.worker.tensor_calls import TensorCalls

# The ids whose tensors a failed command leaves unfit for use.
_TARGETS: dict[type, Callable[[Any], Iterable[int]]] = {
    Put: lambda command: (command.id,),
    RequireGrad: lambda command: (command.id,),
    SetGrad: lambda command: (command.id,),
    SetData: lambda command: (command.id,),
    PutPlan: lambda command: (command.id,),
    SaveRandomState: lambda command: (command.id,),
    Backward: lambda command: command.grads,
    Gradients: lambda command: command.results,
}


class Executor:
    """One client's commands on one worker.

    `extra` holds the handlers of commands that are not about the store: each is called outside the client's modes. An
    exception of one becomes a Failed. `plans` is the shelf that all clients of a worker share, `functions` what its
    owner lets them call. `cancellation` is what the client takes back.
    """

    def __init__(
        self,
        store: Store,
        extra: Mapping[type, Handler] | None = None,
        *,
        catalog: Catalog = CATALOG,
        device: str = "cpu",
        plans: PlanShelf | None = None,
        functions: Functions | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.store = store
        self._extra = dict(extra or {})
        self._modeless = READS.union(self._extra)  # a value is the same in all modes, and no other command runs in any
        self._message = CurrentMessage(store, device)
        self._modes = Modes(torch.device(device).type)
        self._randomness = randomness = Randomness()
        scope = Scope(store.tensor, self._message.take, devices=("cpu", torch.device(device).type))
        self._operations = OperationCalls(store, scope, catalog, self._randomness)
        owned = FunctionCalls(store, scope, self._randomness, Functions() if functions is None else functions)
        tensors = TensorCalls(store, self._message)
        gradients = GradientCalls(store)
        stored_plans = PlanCalls(store, plans or PlanShelf(), self._randomness, cancellation or Cancellation())
        self._handlers: dict[type, Callable[[Any], Answer | None]] = {
            Put: tensors.put,
            Drop: tensors.drop,
            SetData: tensors.set_data,
            Restrict: tensors.restrict,
            Fetch: tensors.fetch,
            Mode: self._modes.set,
            Seed: lambda command: randomness.seed(command.value),
            SaveRandomState: lambda command: store.keep(command.id, randomness.save()),
            LoadRandomState: lambda command: randomness.load(store.tensor(command.id)),
            RequireGrad: gradients.require_grad,
            SetGrad: gradients.set_grad,
            Backward: gradients.backward,
            Gradients: gradients.gradients,
            Describe: gradients.describe,
            Probe: self._operations.probe,
            Call: owned.call,
            ListFunctions: owned.names,
            PutPlan: stored_plans.put,
            RunPlan: stored_plans.run,
            SharePlan: stored_plans.share,
            FetchPlan: stored_plans.fetch,
            Sync: lambda command: Answer(Synced(command.request, store.report())),
        }

    def run(self, records: Sequence[Any], buffers: Sequence[Buffer] = ()) -> list[Answer]:
        """Run the records of one message, as `fedzmq.wire.codec.decode` gives them; the replies come in order.

        Bytes of `buffers` may become tensors without a copy. Bytes of a reply are its own, so that no later
        command changes them, unless its answer says that they are not.

        Where Ctrl-C comes in between, as it does where the worker is in the program's own process, it is raised when
        all have run: the rest of them may be the rest of an optimizer's step.
        """
        replies: list[Answer] = []
        broken_off: BaseException | None = None
        store, apply, rest = self.store, self._operations.apply, iter(records)
        self._message.begin(records, buffers)
        has_modes = not self._modeless.issuperset(map(type, records))
        if has_modes:
            self._modes.enter()
        try:
            while True:
                try:
                    for record in rest:
                        store.position += 1
                        if type(record) is not list:
                            replies += self._command(record, buffers)
                        elif store.is_guarded:
                            self._operations.apply_guarded(record)
                        else:
                            apply(record)
                    break
                except Exception:
                    raise
                except BaseException as error:
                    broken_off = error
                    self._break_off(record, error)
        finally:
            self._message.end()
            if has_modes:
                self._randomness.leave()
                self._modes.leave()
        if broken_off is not None:
            raise broken_off
        return replies

    def _break_off(self, record: Any, error: BaseException) -> None:
        """What was in hand has failed, whatever of it had been done."""
        if type(record) is list:
            self._operations.fail(record, error)
            return
        failure = failure_of(error, self.store.position, type(record).__name__)
        for id in _TARGETS.get(type(record), _no_targets)(record):
            if id:
                self.store.poison(id, failure)

    def _command(self, message: Any, buffers: Sequence[Buffer]) -> list[Answer]:
        try:
            handler = self._handlers.get(type(message))
            if handler is None:
                return self._delegate(message, buffers)
            answer = handler(message)
            return [] if answer is None else [answer]
        except Inherited as error:
            request, failure = getattr(message, "request", 0), error.failure
            if request:
                self.store.told(failure)
        except Exception as error:
            request = getattr(message, "request", 0)
            failure = failure_of(error, self.store.position, type(message).__name__, self._tensors_of(message))
            if self.store.is_guarded and not isinstance(error, FedzmqError):  # which names no values
                failure = withheld(self.store, failure, self.store.tensors.values())  # a graph may reach any of them
            if not request:
                self.store.remember(failure)
        for id in _TARGETS.get(type(message), _no_targets)(message):
            if id:
                self.store.poison(id, failure)
        return [Answer(Failed(request, failure))] if request else []

    def _delegate(self, message: Any, buffers: Sequence[Buffer]) -> list[Answer]:
        handler = self._extra.get(type(message))
        if handler is None:
            raise ProtocolError(f"this worker takes no {type(message).__name__}")
        if not self._modes.are_on:
            return handler(message, buffers)
        self._randomness.leave()
        self._modes.leave()
        try:
            return handler(message, buffers)
        finally:
            self._modes.enter()

    def _tensors_of(self, message: Any) -> list[Tensor]:
        """For those who read of a failure, to see what it was about."""
        ids = [getattr(message, name, 0) for name in ("id", "source", "grad")]
        for name in ("roots", "gradients", "outputs", "inputs", "grad_outputs"):
            ids += getattr(message, name, ())
        if isinstance(message, Call):
            ids += operands(message.record)
        return [tensor for id in ids if (tensor := self.store.tensors.get(id)) is not None]


def _no_targets(message: object) -> tuple[int, ...]:
    return ()
