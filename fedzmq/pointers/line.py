"""The way to one worker, as a stream of commands sees it: messages go out in order, replies are asked for by number."""

from __future__ import annotations

from typing import Protocol

from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import Reply


class Line(Protocol):
    """One client's ordered way to one worker.

    - `post` sends one message, [body, *buffers]. Messages take effect in the order in which they were posted, each
      exactly once, and none is waited for. Frames keep no alias of the caller's memory after it returns. Calls do not
      overlap: the stream that owns the line sees to that. Raises WorkerLost when the worker is known to be gone.
    - `request` gives a number for a command that is to be answered, new for every call; any thread may ask.
    - `wait` blocks until the reply to that number is here and returns it with the buffers that came along; each number
      is waited for once, by one thread, and several threads may wait for different ones. Raises WorkerLost when the
      worker dies, leaves or is started anew meanwhile, RequestTimeout when the owner of the line set a limit, and
      TransportClosed when the client was closed here.
    - `interrupt` has the worker stop the runs of plans among the first so many commands, past all that was posted. It
      raises nothing where the worker is gone, and any thread may call it.
    """

    @property
    def worker(self) -> str:
        """The worker's name, for messages to people."""

    def post(self, frames: list[Buffer]) -> None: ...

    def request(self) -> int: ...

    def wait(self, request: int) -> tuple[Reply, list[Buffer]]: ...

    def interrupt(self, commands: int) -> None: ...
