"""The line to one incarnation of a worker, over its session."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from fedzmq.client.pending import Pending
from fedzmq.client.waiting import Waiting, what_is_wrong
from fedzmq.errors import FedzmqError
from fedzmq.session.endpoint import Endpoint
from fedzmq.session.packet import Lane
from fedzmq.session.session import Peer
from fedzmq.transports.connection import Buffer
from fedzmq.wire.codec import encode
from fedzmq.wire.messages import Cancel, Command, Interrupt, Progress, Reply

LOOK = 1.0  # seconds between two looks whether anything is wrong


class SessionLine:
    """A `Line`. `wait_until` is the client's: it receives until the condition holds, or for so many seconds.

    Where it waits and the broker does not answer, or nothing is heard of the worker, the log `fedzmq` is warned.
    """

    def __init__(self, endpoint: Endpoint, peer: Peer, wait_until: Callable[[Callable[[], bool], float], bool]) -> None:
        self.peer = peer
        self._endpoint = endpoint
        self._wait_until = wait_until
        self._numbers = itertools.count(1)
        self._open: dict[int, Pending] = {}  # not answered yet
        self._unclaimed: dict[int, Pending] = {}  # nobody asked for the answer yet
        self._end: FedzmqError | None = None
        self._lock = threading.Lock()

    @property
    def worker(self) -> str:
        return self.peer.name

    @property
    def is_lost(self) -> bool:
        """The worker is gone, another incarnation of it is there now, or the client was closed."""
        return self._end is not None

    @property
    def received(self) -> int:
        """Bytes that came from over there, whole messages or not."""
        return self._endpoint.received(self.peer)

    def post(self, frames: list[Buffer]) -> None:
        ticket = self._endpoint.post(self.peer, frames, lend=True)
        if not ticket.left:
            waiting = Waiting()
            self._endpoint.settle(ticket, self.peer, lambda: self._warn(waiting))

    def donate(self, frames: Sequence[Buffer]) -> None:
        """As `post`, but the memory is the session's from now on and must never change: nothing is copied."""
        self._endpoint.post(self.peer, frames, donate=True)

    def request(self) -> int:
        with self._lock:
            number = next(self._numbers)
            pending = self._unclaimed[number] = Pending(self.worker, number, error=self._end)
            if self._end is None:
                self._open[number] = pending
            return number

    def claim(self, request: int) -> Pending:
        """The answer to a request, present or to come; whoever claims it looks after it, in place of `wait`."""
        with self._lock:
            return self._unclaimed.pop(request)

    def cancel(self, request: int) -> None:
        """Ask the worker to stop what it does for a request; it is answered all the same."""
        self._endpoint.post(self.peer, [encode([Cancel(request)])], lane=Lane.CONTROL)

    def interrupt(self, commands: int) -> None:
        if commands:
            with suppress(FedzmqError):
                self._endpoint.post(self.peer, [encode([Interrupt(commands)])], lane=Lane.CONTROL)

    def ask_at_once(self, make: Callable[[int], Command]) -> Pending:
        """Ask beside the stream of commands, whatever the worker does; make: of the request's number."""
        request = self.request()
        pending = self.claim(request)
        self._endpoint.post(self.peer, [encode([make(request)])], lane=Lane.CONTROL)
        return pending

    def wait(self, request: int) -> tuple[Reply, list[Buffer]]:
        pending = self.claim(request)
        if not self._wait_until(lambda: pending.done, LOOK):
            waiting = Waiting()
            while not self._wait_until(lambda: pending.done, LOOK):
                self._warn(waiting)
        return pending.result()

    def _warn(self, waiting: Waiting) -> None:
        endpoint, name = self._endpoint, self.worker
        wrong = what_is_wrong(endpoint.presence, endpoint.connection.address, name, time.monotonic())
        if wrong is not None and waiting.is_due():
            logging.getLogger("fedzmq").warning("waiting for worker %r for %.0f s: %s", name, waiting.seconds, wrong)

    def answer(self, reply: Reply, buffers: list[Buffer]) -> None:
        """A reply came."""
        if isinstance(reply, Progress):
            pending = self._open.get(reply.request)
            if pending is not None and pending.progress is not None:
                pending.progress(reply)
            return
        with self._lock:
            pending = self._open.pop(reply.request, None)
        if pending is not None:
            pending.buffers = buffers
            pending.reply = reply

    def end(self, error: FedzmqError) -> None:
        """The session ended, for that reason: nothing that is under way will be answered."""
        with self._lock:
            self._end = error
            waiting, self._open = self._open, {}
        for pending in waiting.values():
            pending.error = error
