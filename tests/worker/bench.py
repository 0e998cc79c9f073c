"""One client of an executor, without a network: everything still travels as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fedzmq.operations.arguments import inline, pack, reference
from fedzmq.operations.catalog import CATALOG
from fedzmq.tensors.buffers import export, restore
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import Failed, Failure, Fetch, Put, Sync, Synced, TensorSpec, Value
from fedzmq.worker.answer import Answer
from fedzmq.worker.executor import Executor
from fedzmq.worker.store import Store


class Remote(torch.Tensor):
    """Stands for a stored tensor among arguments."""

    id: int


class Bench:
    """Names tensors, encodes, runs, decodes."""

    def __init__(self, executor: Executor | None = None) -> None:
        self.executor = executor or Executor(Store())
        self.batch: list[Any] = []
        self.buffers: list[Buffer] = []
        self._last_id = 0
        self._last_request = 0

    def new_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def request(self) -> int:
        self._last_request += 1
        return self._last_request

    def flush(self) -> list[Any]:
        """Run the batch; the replies, decoded."""
        body, buffers = encode(self.batch), [bytearray(memoryview(each).tobytes()) for each in self.buffers]
        self.batch, self.buffers = [], []
        answers = self.executor.run(decode(body, buffers), buffers)
        return [self._decoded(answer) for answer in answers]

    def put(self, tensor: torch.Tensor, requires_grad: bool = False) -> int:
        id = self.new_id()
        self.batch.append(Put(id, self._attach(tensor), requires_grad))
        return id

    def apply(self, function: Callable[..., Any] | int, *arguments: Any, results: Any = None, **keywords: Any) -> int:
        """Ids are ints wrapped by `at`; returns the id of the result."""
        id = self.new_id() if results is None else results
        mask, packed = 0, []
        for position, argument in enumerate(arguments):
            if isinstance(argument, Remote):
                mask |= 1 << position
                packed.append(argument.id)
            else:
                packed.append(self.pack(argument))
        number = function if isinstance(function, int) else CATALOG.number(function)
        record = [number, id, mask, packed]
        self.batch.append([*record, {k: self.pack(v) for k, v in keywords.items()}] if keywords else record)
        return id

    def pack(self, value: Any) -> Any:
        return pack(value, lambda t: reference(t.id) if isinstance(t, Remote) else inline(self._attach(t)))

    def ask(self, message: Any) -> Any:
        """Run the batch with this at its end; the last reply."""
        self.batch.append(message)
        return self.flush()[-1]

    def get(self, id: int) -> torch.Tensor:
        reply, buffers = self.ask(Fetch(self.request(), id))
        assert isinstance(reply, Value), reply
        return restore(reply.tensor, buffers[0])

    def failure(self, id: int) -> Failure:
        reply, _ = self.ask(Fetch(self.request(), id))
        assert isinstance(reply, Failed), reply
        return reply.failure

    def sync(self) -> tuple[Failure, ...]:
        reply, _ = self.ask(Sync(self.request()))
        assert isinstance(reply, Synced)
        return reply.failures

    def _attach(self, tensor: torch.Tensor) -> TensorSpec:
        dtype, shape, view = export(tensor)
        self.buffers.append(view)
        return TensorSpec(dtype, shape, len(self.buffers) - 1)

    @staticmethod
    def _decoded(answer: Answer) -> tuple[Any, list[Buffer]]:
        buffers = list(answer.buffers)
        return decode(encode([answer.reply]), buffers)[0], buffers


def at(id: int) -> Any:
    """The stored tensor of this id, as an argument."""
    remote = torch.ones(()).as_subclass(Remote)
    remote.id = id
    return remote
