"""A line to an executor in this process, by way of real bytes."""

from __future__ import annotations

from fedzmq.pointers.effects import Effects
from fedzmq.pointers.stream import Stream
from fedzmq.pointers.verbs import install
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import Reply
from fedzmq.worker.executor import Executor
from fedzmq.worker.store import Store


class Loopback:
    """Runs every message as soon as it is posted, and keeps the replies."""

    def __init__(self, worker: str) -> None:
        self.worker = worker
        self.store = Store()
        self.messages = 0
        self.records = 0
        self._executor = Executor(self.store)
        self._requests = 0
        self._replies: dict[int, tuple[Reply, list[Buffer]]] = {}

    def post(self, frames: list[Buffer]) -> None:
        body, *buffers = [bytearray(frame) for frame in frames]
        records = decode(body, buffers)
        self.messages += 1
        self.records += len(records)
        for answer in self._executor.run(records, buffers):
            there = [bytearray(buffer) for buffer in answer.buffers]
            (reply,) = decode(encode([answer.reply]), there)
            self._replies[reply.request] = (reply, there)

    def request(self) -> int:
        self._requests += 1
        return self._requests

    def wait(self, request: int) -> tuple[Reply, list[Buffer]]:
        return self._replies.pop(request)

    def interrupt(self, commands: int) -> None:
        """All has run by now."""


class Place:
    """A worker to send to. As with a client, to have one is enough for `tensor.send`."""

    def __init__(self, name: str, effects: Effects | None = None, *, strict: bool = False) -> None:
        install()
        self.name = name
        self.line = Loopback(name)
        self.stream = Stream(self.line, effects=effects, strict=strict, location=self)

    def route_from(self, source: object) -> None:
        """None: no bus is here, so that tensors pass through the client."""

    @property
    def stored(self) -> int:
        """How many tensors are on the worker, once all that was released is forgotten."""
        self.stream.flush()
        return len(self.line.store)
