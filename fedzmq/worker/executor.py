"""Runs one client's commands, in order, on that client's store: one method per command.

A command that fails does not stop those after it. Its failure takes the place of its results and of what it may have
written; whatever uses one of those inherits the same failure, and the client is told of it once. A write whose operands
had failed before does not happen, and its target stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fedzmq.errors import LimitExceeded, OperationRefused, ProtocolError
from fedzmq.operations.arguments import Scope, unpack, unpack_keywords
from fedzmq.operations.catalog import CATALOG, Catalog, Operation
from fedzmq.tensors.buffers import SHARE_FROM, export, restore
from fedzmq.transports.connection import Buffer
from fedzmq.wire.limits import check_size
from fedzmq.wire.messages import (
    Backward,
    Call,
    Describe,
    Described,
    Drop,
    Failed,
    Failure,
    Fetch,
    FetchPlan,
    FunctionsListed,
    Gradients,
    ListFunctions,
    Mode,
    Probe,
    Put,
    PutPlan,
    Reply,
    RequireGrad,
    Restrict,
    RunPlan,
    Seed,
    SetData,
    SetGrad,
    SharePlan,
    Sync,
    Synced,
    TensorSpec,
    Value,
)
from fedzmq.worker.failure import failure_of
from fedzmq.worker.functions import Functions
from fedzmq.worker.gradient_calls import GradientCalls
from fedzmq.worker.guarded import guarded_gradients, guarded_record, withheld
from fedzmq.worker.modes import Modes
from fedzmq.worker.plan_calls import PlanCalls
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.randomness import Randomness
from fedzmq.worker.record import description_of, only, operands, tensors, written
from fedzmq.worker.store import Inherited, Store


class Answer(NamedTuple):
    """A reply, and the buffers that belong to it.

    Where `is_stable` is false they are memory of the store's, which stays as it is until the next records are run.
    """

    reply: Reply
    buffers: Sequence[Buffer]
    is_stable: bool = True


Handler = Callable[[Any, Sequence[Buffer]], list[Answer]]

_PLAIN = frozenset({int, float, bool, type(None)})

_READS = frozenset({Describe, Fetch, Sync, Drop})  # what changes no memory

# The ids whose tensors a failed command leaves unfit for use.
_TARGETS: dict[type, Callable[[Any], Iterable[int]]] = {
    Put: lambda command: (command.id,),
    RequireGrad: lambda command: (command.id,),
    SetGrad: lambda command: (command.id,),
    SetData: lambda command: (command.id,),
    PutPlan: lambda command: (command.id,),
    Backward: lambda command: command.grads,
    Gradients: lambda command: command.results,
}


class Executor:
    """One client's commands on one worker.

    `extra` holds the handlers of commands that are not about the store: each is called with the message and all
    buffers of its batch, outside the client's modes, and gives replies. An exception of one becomes a Failed. `plans`
    is the shelf that all clients of a worker share, `functions` what its owner lets them call.
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
    ) -> None:
        self.store = store
        self._extra = dict(extra or {})
        self._catalog = catalog
        self._device = device
        self._modes = Modes(torch.device(device).type)
        self._randomness = Randomness()
        self._plans = PlanCalls(store, plans or PlanShelf(), self._randomness)
        self._gradient_calls = GradientCalls(store)
        self._callable = Functions() if functions is None else functions
        self._functions = [self._prepared(number) for number in range(len(catalog))]
        self._scope = Scope(store.tensor, self._take, devices=("cpu", torch.device(device).type))
        self._buffers: list[Buffer | None] = []
        self._records: Sequence[Any] = []  # of this message, which begins after this position
        self._begun = 0
        self._last_write = -1  # the position of the last of them that may change memory, -1 until somebody asks
        self._handlers: dict[type, Callable[[Any], list[Answer]]] = {
            Put: self._put,
            Drop: self._drop,
            Mode: self._mode,
            Seed: self._seed,
            RequireGrad: self._require_grad,
            SetGrad: self._set_grad,
            SetData: self._set_data,
            Backward: self._backward,
            Gradients: self._gradients,
            Restrict: self._restrict,
            Probe: self._probe,
            Call: self._call,
            ListFunctions: self._list_functions,
            Describe: self._describe,
            Fetch: self._fetch,
            Sync: self._sync,
            PutPlan: self._put_plan,
            RunPlan: self._run_plan,
            SharePlan: self._share_plan,
            FetchPlan: self._fetch_plan,
        }

    def run(self, records: Sequence[Any], buffers: Sequence[Buffer] = ()) -> list[Answer]:
        """Run the records of one message, as `fedzmq.wire.codec.decode` gives them; the replies come in order.

        Bytes of `buffers` may become tensors without a copy. Bytes of a reply are its own, so that no later
        command changes them, unless its answer says that they are not.
        """
        replies: list[Answer] = []
        self._buffers = list(buffers)
        store, apply = self.store, self._apply
        self._records, self._begun, self._last_write = records, store.position, -1
        self._modes.enter()
        try:
            for record in records:
                store.position += 1
                if type(record) is list:
                    if store.is_guarded:
                        with guarded_record(store, record, self._catalog):
                            apply(record)
                    else:
                        apply(record)
                else:
                    replies += self._command(record, buffers)
        finally:
            self._buffers = []
            self._randomness.leave()
            self._modes.leave()
        return replies

    def _apply(self, record: list[Any]) -> None:
        store = self.store
        try:
            result, packed = record[1], record[3]
            if len(record) == 4 and record[2] + 1 == 1 << len(packed):
                # The commonest record: every argument is a stored tensor.
                stored = store.tensors
                output = self._functions[record[0]](*[stored[id] for id in packed])
            else:
                output = self._compute(record)
            if type(result) is int:
                if result:
                    if type(output) is not Tensor:
                        output = only(output)
                    # As `store.keep` does, without the call.
                    store.tensors[result] = output
                    store.bytes += output.nbytes
                    if store.bytes > store.quota:
                        store.enforce_quota(result)
            else:
                self._keep_all(result, output)
        except Exception as error:
            self._apply_failed(record, error)

    def _compute(self, record: list[Any]) -> Any:
        function, mask, stored = self._functions[record[0]], record[2], self.store.tensors
        values = [
            stored[value] if mask >> i & 1 else value if type(value) in _PLAIN else unpack(value, self._scope)
            for i, value in enumerate(record[3])
        ]
        return function(*values) if len(record) == 4 else function(*values, **unpack_keywords(record[4], self._scope))

    def _keep_all(self, results: Sequence[int], output: Any) -> None:
        outputs = list(tensors(output))
        if len(outputs) != len(results):
            raise ProtocolError(f"the operation gave {len(outputs)} tensors, and {len(results)} ids came for them")
        for result, tensor in zip(results, outputs):  # noqa: B905 - just compared
            if result:
                self.store.keep(result, tensor)

    def _apply_failed(self, record: list[Any], error: Exception) -> None:
        failure, is_new = self._failure_of_record(record, error)
        targets = [record[1]] if type(record[1]) is int else [*record[1]]
        written_to = list(written(record, self._catalog))
        if is_new:
            self.store.remember(failure)
            targets += written_to  # it may have begun to write
        elif written_to:  # it did not begin: one bad batch must not cost the weights that its step would have changed
            self.store.spared(failure)
        for id in targets:
            if id:
                self.store.poison(id, failure)

    def _failure_of_record(self, record: list[Any], error: Exception) -> tuple[Failure, bool]:
        """The failure, and whether it is this record's own: where an operand has failed, it is that one's."""
        store, found = self.store, []
        for id in operands(record):
            if id in store.tensors:
                found.append(store.tensors[id])
            elif id in store.failures:
                return store.failures[id], False
            elif isinstance(error, KeyError):
                try:
                    store.tensor(id)
                except Exception as missing:
                    error = missing
        number = record[0]
        if number >= len(self._catalog):
            name, error = f"operation number {number}", OperationRefused(f"operation number {number}")
        else:
            name = self._catalog.name(number)
        failure = failure_of(error, store.position, name, found)
        return withheld(store, failure, found) if store.is_guarded else failure, True

    def _command(self, message: Any, buffers: Sequence[Buffer]) -> list[Answer]:
        try:
            handler = self._handlers.get(type(message))
            return handler(message) if handler else self._delegate(message, buffers)
        except Inherited as error:
            request, failure = getattr(message, "request", 0), error.failure
            if request:
                self.store.told(failure)
        except Exception as error:
            request = getattr(message, "request", 0)
            failure = failure_of(error, self.store.position, type(message).__name__, self._tensors_of(message))
            if not request:
                self.store.remember(failure)
        for id in _TARGETS.get(type(message), _no_targets)(message):
            if id:
                self.store.poison(id, failure)
        return [Answer(Failed(request, failure), [])] if request else []

    def _delegate(self, message: Any, buffers: Sequence[Buffer]) -> list[Answer]:
        handler = self._extra.get(type(message))
        if handler is None:
            raise ProtocolError(f"this worker takes no {type(message).__name__}")
        self._randomness.leave()
        self._modes.leave()
        try:
            return handler(message, buffers)
        finally:
            self._modes.enter()

    def _put(self, command: Put) -> list[Answer]:
        self.store.keep(command.id, self._take(command.tensor).requires_grad_(command.requires_grad))
        return []

    def _drop(self, command: Drop) -> list[Answer]:
        for id in command.ids:
            self.store.drop(id)
        return []

    def _mode(self, command: Mode) -> list[Answer]:
        self._modes.set(command)
        return []

    def _seed(self, command: Seed) -> list[Answer]:
        self._randomness.seed(command.value)
        return []

    def _require_grad(self, command: RequireGrad) -> list[Answer]:
        self.store.tensor(command.id).requires_grad_(command.value)
        return []

    def _set_grad(self, command: SetGrad) -> list[Answer]:
        self.store.tensor(command.id).grad = self._optional(command.grad)
        return []

    def _set_data(self, command: SetData) -> list[Answer]:
        tensor, source = self.store.tensor(command.id), self.store.tensor(command.source)
        self.store.bytes += source.nbytes - tensor.nbytes
        tensor.data = source
        return []

    def _backward(self, command: Backward) -> list[Answer]:
        with guarded_gradients(self.store, command) if self.store.is_guarded else nullcontext():
            self._gradient_calls.backward(command)
        return []

    def _gradients(self, command: Gradients) -> list[Answer]:
        with guarded_gradients(self.store, command) if self.store.is_guarded else nullcontext():
            self._gradient_calls.gradients(command)
        return []

    def _restrict(self, command: Restrict) -> list[Answer]:
        self.store.restrict(command.id, frozenset(command.users))
        return []

    def _probe(self, command: Probe) -> list[Answer]:
        if self.store.is_guarded:  # how large the outputs are tells of the values
            for id in operands(command.record):
                self.store.readable(id)
        try:
            output = self._compute(command.record)
            outputs = list(tensors(output))
            check_size("the number of outputs", len(outputs), command.room)
            for offset, tensor in enumerate(outputs):
                self.store.keep(command.first + offset, tensor)
        except Exception as error:
            failure, _ = self._failure_of_record(command.record, error)
            for id in written(command.record, self._catalog):
                self.store.poison(id, failure)
            raise Inherited(failure) from None
        return [_described(command.request, output, outputs)]

    def _call(self, command: Call) -> list[Answer]:
        record, store = command.record, self.store
        used = [store.tensor(id) for id in operands(record)]
        users = store.privacy.common(used)
        values = [unpack(value, self._scope) for value in record[3]]
        keywords = unpack_keywords(record[4], self._scope) if len(record) == 5 else {}
        self._randomness.enter()
        output = self._callable.call(command.name, values, keywords)
        outputs = list(tensors(output))
        check_size("the number of outputs", len(outputs), command.room)
        for offset, tensor in enumerate(outputs):
            store.keep(command.first + offset, tensor)
            if users is not None:
                store.restrict(command.first + offset, users)
        return [_described(command.request, output, outputs)]

    def _list_functions(self, command: ListFunctions) -> list[Answer]:
        return [Answer(FunctionsListed(command.request, self._callable.names), [])]

    def _describe(self, command: Describe) -> list[Answer]:
        return [Answer(self._gradient_calls.describe(command), [])]

    def _fetch(self, command: Fetch) -> list[Answer]:
        tensor = self.store.readable(command.id)
        failure = self.store.withheld()
        if failure is not None:  # it kept something from being written, and nobody was told
            raise Inherited(failure)
        copy = tensor.nbytes < SHARE_FROM or self._is_followed()
        dtype, shape, view = export(tensor, copy=copy)
        return [Answer(Value(command.request, TensorSpec(dtype, shape, 0)), [view], is_stable=copy)]

    def _is_followed(self) -> bool:
        """A later record of this message may change the memory of a tensor."""
        if self._last_write < 0:
            writes = len(self._records)
            while writes and type(self._records[writes - 1]) in _READS:
                writes -= 1
            self._last_write = self._begun + writes
        return self.store.position < self._last_write

    def _sync(self, command: Sync) -> list[Answer]:
        return [Answer(Synced(command.request, self.store.report()), [])]

    def _put_plan(self, command: PutPlan) -> list[Answer]:
        self._plans.put(command)
        return []

    def _run_plan(self, command: RunPlan) -> list[Answer]:
        self._plans.run(command)
        return []

    def _share_plan(self, command: SharePlan) -> list[Answer]:
        self._plans.share(command)
        return []

    def _fetch_plan(self, command: FetchPlan) -> list[Answer]:
        return [Answer(*self._plans.fetch(command))]

    def _optional(self, id: int) -> Tensor | None:
        return self.store.tensor(id) if id else None

    def _take(self, spec: TensorSpec) -> Tensor:
        """A tensor from a buffer of this batch; each buffer gives one tensor, so that no two share its memory."""
        buffer = self._buffers[spec.buffer] if spec.buffer < len(self._buffers) else None
        if buffer is None:
            raise ProtocolError(f"buffer {spec.buffer} is not there, or was taken before")
        self._buffers[spec.buffer] = None
        if memoryview(buffer).nbytes > self.store.quota:
            raise LimitExceeded("the bytes of a tensor", memoryview(buffer).nbytes, self.store.quota)
        tensor = restore(spec, buffer).detach()  # no view of the bytes, or its views would take them for their base
        return tensor if self._device == "cpu" else tensor.to(self._device)

    def _tensors_of(self, message: Any) -> list[Tensor]:
        ids = [getattr(message, name, 0) for name in ("root", "id", "source", "grad", "gradient")]
        ids += [*getattr(message, "outputs", ()), *getattr(message, "inputs", ())]
        return [tensor for id in ids if (tensor := self.store.tensors.get(id)) is not None]

    def _prepared(self, number: int) -> Operation:
        """The operation with what it needs around it; most need nothing, and cost nothing more."""
        function = self._catalog.functions[number]
        guard = self._catalog.guard(number)
        if guard is None and number not in self._catalog.random:
            return function
        draws, enter, quota = number in self._catalog.random, self._randomness.enter, self.store.quota

        def prepared(*arguments: Any, **keywords: Any) -> Any:
            if guard is not None:
                guard(quota, arguments, keywords)
            if draws:
                enter()
            return function(*arguments, **keywords)

        return prepared


def _no_targets(message: object) -> tuple[int, ...]:
    return ()


def _described(request: int, output: Any, outputs: Sequence[Tensor]) -> Answer:
    return Answer(Described(request, tuple(map(description_of, outputs)), isinstance(output, Tensor)), [])
