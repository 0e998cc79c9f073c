"""An answer that is on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from fedzmq.errors import FedzmqError, RemoteError
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import Failed, Progress, Reply


@dataclass(slots=True)
class Pending:
    """A request without its answer; then either `reply` or `error` is set, once. `progress` hears of the way there."""

    worker: str
    request: int
    reply: Reply | None = None
    error: FedzmqError | None = None
    buffers: list[Buffer] = field(default_factory=list)
    progress: Callable[[Progress], None] | None = None

    @property
    def done(self) -> bool:
        return self.reply is not None or self.error is not None

    def result(self) -> tuple[Reply, list[Buffer]]:
        """The answer and its buffers; raises what came in its place. Only once it is done."""
        if self.error is not None:
            raise self.error
        if self.reply is None:
            raise LookupError(f"request {self.request} to {self.worker} is not answered yet")
        return self.reply, self.buffers

    def answer(self) -> tuple[Reply, list[Buffer]]:
        """As `result`; raises RemoteError for a Failed."""
        reply, buffers = self.result()
        if isinstance(reply, Failed):
            failure = reply.failure
            raise RemoteError(self.worker, failure.operation, failure.error, failure.message)
        return reply, buffers
