"""Runs one client's commands, in order, on that client's store: one method per command.

A command that fails does not stop those after it. Its failure takes the place of its results and of what it would have
written; whatever uses one of those inherits the same failure, and the client is told of it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fedzmq.errors import LimitExceeded, OperationRefused, ProtocolError
from fedzmq.operations.arguments import Scope, unpack
from fedzmq.operations.catalog import CATALOG, Catalog, Operation
from fedzmq.tensors.buffers import export, restore
from fedzmq.tensors.dtypes import name_of
from fedzmq.transports.connection import Buffer
from fedzmq.wire.limits import check_size
from fedzmq.wire.messages import (
    Backward,
    Described,
    Description,
    Drop,
    Failed,
    Failure,
    Fetch,
    Gradients,
    Mode,
    Probe,
    Put,
    Reply,
    RequireGrad,
    Seed,
    SetData,
    SetGrad,
    Sync,
    Synced,
    TensorSpec,
    Value,
)
from fedzmq.worker.failure import failure_of
from fedzmq.worker.modes import Modes
from fedzmq.worker.randomness import Randomness
from fedzmq.worker.store import Inherited, Store


class Answer(NamedTuple):
    """A reply, and the buffers that belong to it."""

    reply: Reply
    buffers: Sequence[Buffer]


Handler = Callable[[Any, Sequence[Buffer]], list[Answer]]

_PLAIN = frozenset({int, float, bool, type(None)})

# The ids whose tensors a failed command leaves unfit for use.
_TARGETS: dict[type, Callable[[Any], Iterable[int]]] = {
    Put: lambda command: (command.id,),
    RequireGrad: lambda command: (command.id,),
    SetGrad: lambda command: (command.id,),
    SetData: lambda command: (command.id,),
    Backward: lambda command: command.grads,
    Gradients: lambda command: command.results,
}


class Executor:
    """One client's commands on one worker.

    `extra` holds the handlers of commands that are not about the store: each is called with the message and all
    buffers of its batch, outside the client's modes, and gives replies. An exception of one becomes a Failed.
    """

    def __init__(
        self,
        store: Store,
        extra: Mapping[type, Handler] | None = None,
        *,
        catalog: Catalog = CATALOG,
        device: str = "cpu",
    ) -> None:
        self.store = store
        self._extra = dict(extra or {})
        self._catalog = catalog
        self._device = device
        self._modes = Modes(torch.device(device).type)
        self._randomness = Randomness()
        self._functions = [self._prepared(number) for number in range(len(catalog))]
        self._scope = Scope(store.tensor, self._take, devices=("cpu", torch.device(device).type))
        self._buffers: list[Buffer | None] = []
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
            Probe: self._probe,
            Fetch: self._fetch,
            Sync: self._sync,
        }

    def run(self, records: Iterable[Any], buffers: Sequence[Buffer] = ()) -> list[Answer]:
        """Run the records of one message, as `fedzmq.wire.codec.decode` gives them; the replies come in order.

        Bytes of `buffers` may become tensors without a copy. Bytes of a reply are its own: no later command changes
        them.
        """
        replies: list[Answer] = []
        self._buffers = list(buffers)
        store, apply = self.store, self._apply
        self._modes.enter()
        try:
            for record in records:
                store.position += 1
                if type(record) is list:
                    apply(record)
                else:
                    replies += self._command(record, buffers)
        finally:
            self._buffers = []
            self._randomness.leave()
            self._modes.leave()
        return replies

    def _apply(self, record: list[Any]) -> None:
        try:
            output = self._compute(record)
            result = record[1]
            if type(result) is int:
                if result:
                    if type(output) is not Tensor:
                        output = _only(output)
                    store = self.store
                    store.tensors[result] = output
                    store.bytes += output.nbytes
                    if store.bytes > store.quota:
                        store.enforce_quota(result)
            else:
                self._keep_all(result, output)
        except Exception as error:
            self._apply_failed(record, error)

    def _compute(self, record: list[Any]) -> Any:
        function, mask, packed = self._functions[record[0]], record[2], record[3]
        tensors = self.store.tensors
        if mask + 1 == 1 << len(packed):
            values = [tensors[id] for id in packed]
        else:
            values = [
                tensors[value] if mask >> i & 1 else value if type(value) in _PLAIN else unpack(value, self._scope)
                for i, value in enumerate(packed)
            ]
        return function(*values) if len(record) == 4 else function(*values, **self._keywords(record[4]))

    def _keywords(self, packed: dict[str, Any]) -> dict[str, Any]:
        keywords = {key: unpack(value, self._scope) for key, value in packed.items()}
        if "out" in keywords:
            raise OperationRefused("an operation with out=", "it would resize memory that others share; use .copy_()")
        if isinstance(keywords.get("device"), str):
            raise OperationRefused("a device as text", "it is given as torch.device(...)")
        return keywords

    def _keep_all(self, results: Sequence[int], output: Any) -> None:
        outputs = list(_tensors(output))
        if len(outputs) != len(results):
            raise ProtocolError(f"the operation gave {len(outputs)} tensors, and {len(results)} ids came for them")
        for result, tensor in zip(results, outputs):  # noqa: B905 - just compared
            if result:
                self.store.keep(result, tensor)

    def _apply_failed(self, record: list[Any], error: Exception) -> None:
        failure, is_new = self._failure_of_record(record, error)
        if is_new:
            self.store.remember(failure)
        results = [record[1]] if type(record[1]) is int else record[1]
        for id in (*results, *self._written(record)):
            if id:
                self.store.poison(id, failure)

    def _failure_of_record(self, record: list[Any], error: Exception) -> tuple[Failure, bool]:
        """The failure, and whether it is this record's own: where an operand has failed, it is that one's."""
        store, operands = self.store, []
        for id in _operands(record):
            if id in store.failures:
                return store.failures[id], False
            if id in store.tensors:
                operands.append(store.tensors[id])
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
        return failure_of(error, store.position, name, operands), True

    def _written(self, record: list[Any]) -> Iterator[int]:
        number, result, mask, arguments = record[:4]
        keywords = record[4] if len(record) == 5 else {}
        if number >= len(self._catalog):
            return
        positions = self._catalog.writes_now(number, arguments, keywords)
        if not positions and result == 0:
            positions = (0,)
        for position in positions:
            if position < len(arguments):
                yield from _references(arguments[position], bool(mask >> position & 1))
            else:
                yield from _references(list(keywords.values()), False)

    def _command(self, message: Any, buffers: Sequence[Buffer]) -> list[Answer]:
        request = getattr(message, "request", 0)
        try:
            handler = self._handlers.get(type(message))
            return handler(message) if handler else self._delegate(message, buffers)
        except Inherited as error:
            failure = error.failure
            if request:
                self.store.told(failure)
        except Exception as error:
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
        if len(command.leaves) != len(command.grads):
            raise ProtocolError(f"backward names {len(command.leaves)} leaves and {len(command.grads)} gradients")
        torch.autograd.backward(
            self.store.tensor(command.root),
            self._optional(command.gradient),
            retain_graph=command.retain_graph,
            create_graph=command.create_graph,
        )
        for leaf, grad in zip(command.leaves, command.grads):  # noqa: B905 - just compared
            try:
                self._bind_gradient(grad, self.store.tensor(leaf).grad)
            except Inherited as error:
                self.store.poison(grad, error.failure)
        return []

    def _gradients(self, command: Gradients) -> list[Answer]:
        if len(command.results) != len(command.inputs) or len(command.grad_outputs) not in (0, len(command.outputs)):
            raise ProtocolError("the results of gradients are as many as its inputs, grad_outputs as its outputs")
        gradients = torch.autograd.grad(
            [self.store.tensor(id) for id in command.outputs],
            [self.store.tensor(id) for id in command.inputs],
            [self._optional(id) for id in command.grad_outputs] or None,
            retain_graph=command.retain_graph,
            create_graph=command.create_graph,
            allow_unused=command.allow_unused,
        )
        for result, gradient in zip(command.results, gradients):  # noqa: B905 - as many as inputs
            if result:
                self._bind_gradient(result, gradient)
        return []

    def _bind_gradient(self, id: int, gradient: Tensor | None) -> None:
        if gradient is not None:
            self.store.keep(id, gradient)
        else:
            # No error by itself, as little as a .grad of None is: only a program that uses it is told.
            error = RuntimeError("no gradient reached this tensor: on the worker it is None")
            self.store.poison(id, failure_of(error, self.store.position, "backward"))

    def _probe(self, command: Probe) -> list[Answer]:
        try:
            output = self._compute(command.record)
            tensors = list(_tensors(output))
            check_size("the number of outputs", len(tensors), command.room)
            for offset, tensor in enumerate(tensors):
                self.store.keep(command.first + offset, tensor)
        except Exception as error:
            failure, _ = self._failure_of_record(command.record, error)
            for id in self._written(command.record):
                self.store.poison(id, failure)
            raise Inherited(failure) from None
        described = tuple(
            Description(name_of(tensor.dtype), tuple(tensor.shape), tensor.stride(), tensor.requires_grad)
            for tensor in tensors
        )
        return [Answer(Described(command.request, described, isinstance(output, Tensor)), [])]

    def _fetch(self, command: Fetch) -> list[Answer]:
        dtype, shape, view = export(self.store.tensor(command.id), copy=True)
        return [Answer(Value(command.request, TensorSpec(dtype, shape, 0)), [view])]

    def _sync(self, command: Sync) -> list[Answer]:
        return [Answer(Synced(command.request, self.store.report()), [])]

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
        tensor = restore(spec, buffer)
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


def _only(output: Any) -> Tensor:
    tensors = list(_tensors(output))
    if len(tensors) != 1:
        raise ProtocolError(f"the operation gave {len(tensors)} tensors, and one id came for them")
    return tensors[0]


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, (list, tuple)):
        for item in output:
            yield from _tensors(item)


def _operands(record: list[Any]) -> Iterator[int]:
    mask = record[2]
    for i, value in enumerate(record[3]):
        yield from _references(value, bool(mask >> i & 1))
    if len(record) == 5:
        yield from _references(list(record[4].values()), False)


def _references(value: Any, is_id: bool) -> Iterator[int]:
    """The ids in a wire value."""
    if is_id:
        if type(value) is int:
            yield value
    elif type(value) is list:
        for item in value:
            yield from _references(item, False)
    elif type(value) is dict:
        for key, item in value.items():
            yield from _references(item, key == "p")
