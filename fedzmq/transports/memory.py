"""`memory://hub`: parties of one process, which exchange bytes as they would over a network.

A hub never loses mail, and bounds none: the credit of the sessions above does that.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

from fedzmq.errors import AddressError, NameTaken, TransportClosed
from fedzmq.transports.connection import DEPARTURES, MEDIUM, PARTIES, Buffer, Connection, Delivery
from fedzmq.transports.names import check_name, check_publishable, check_topic
from fedzmq.transports.party import Party

_TAG_BYTES = 8


class Hub:
    """The medium itself: who is connected, and who listens to which topic."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.members: dict[str, MemoryConnection] = {}
        self.topics: dict[str, set[MemoryConnection]] = {}
        self.waiting: set[MemoryConnection] = set()
        self.ready: dict[MemoryConnection, None] = {}  # passive members with mail, the longest waiting first
        self.serving: set[int] = set()  # the threads that are inside a callback of a passive member

    def post(self, to: MemoryConnection, delivery: Delivery) -> None:
        """Hold `lock`."""
        to.mailbox.append(delivery)
        if to.callback is None:
            to.arrived.notify_all()
            return
        self.ready[to] = None
        self.rouse()

    def rouse(self) -> None:
        """Let whoever waits see what there is to do: a passive member may need any of them. Hold `lock`."""
        for connection in self.waiting:
            connection.arrived.notify_all()

    def publish(self, topic: str, sender: str, frames: list[Buffer], except_to: MemoryConnection) -> None:
        """Hold `lock`."""
        for subscriber in self.topics.get(topic, ()):
            if subscriber is not except_to:
                self.post(subscriber, Delivery(sender, topic, list(frames)))

    def tell_parties(self) -> None:
        """To those who want to hear who is here. Hold `lock`."""
        for subscriber in self.topics.get(PARTIES, ()):
            frames: list[Buffer] = [member.party().frame() for member in self.members.values()]
            self.post(subscriber, Delivery(MEDIUM, PARTIES, frames))

    def leave(self, topic: str, subscriber: MemoryConnection) -> None:
        """Hold `lock`."""
        subscribers = self.topics.get(topic, set())
        subscribers.discard(subscriber)
        if not subscribers:
            self.topics.pop(topic, None)

    def passive(self, skip: set[MemoryConnection]) -> MemoryConnection | None:
        """A passive member that has mail and is not being served. Hold `lock`."""
        if threading.get_ident() in self.serving:
            return None  # a callback that waits in its turn must not run the others: they might wait for it
        for member in list(self.ready):
            if not member.mailbox:
                del self.ready[member]
            elif not member.is_served and member not in skip:
                return member
        return None


# Two parties that name the same hub must meet, and know nothing of each other but its address. A hub lives as long as
# somebody is connected to it.
_hubs: WeakValueDictionary[str, Hub] = WeakValueDictionary()
_hubs_lock = threading.Lock()


class MemoryConnection(Connection):
    """A mailbox in a hub. One that has a callback is *passive*: it needs no thread, because others run it."""

    def __init__(self, address: str, name: str) -> None:
        scheme, separator, place = address.partition("://")
        if scheme != "memory" or not separator or not place:
            raise AddressError(address, "expected memory://hub, where hub is any word")
        self.address = address
        self.name = check_name(name)
        self.mailbox: deque[Delivery] = deque()
        self.callback: Callable[[], None] | None = None
        self.is_served = False
        with _hubs_lock:
            self._hub = _hubs.setdefault(address, Hub())
        self.arrived = threading.Condition(self._hub.lock)
        self._tag = os.urandom(_TAG_BYTES)
        self._topics: set[str] = set()
        self._came = time.monotonic()
        self._woken = False
        self._closed = False
        with self._hub.lock:
            self._holds_name()

    def serve(self, callback: Callable[[], None]) -> None:
        """Have `callback` run whenever mail is here, in the thread of whoever waits in `recv` on the same hub.

        It takes the mail with `recv(0)`. It runs in one thread at a time, and never inside a callback of another. What
        it raises comes out of the `recv` that ran it.
        """
        with self._hub.lock:
            self._check_open()
            self.callback = callback
            if self.mailbox:
                self._hub.ready[self] = None
                self._hub.rouse()

    def send(self, to: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        kept = [_keep(frame, donate) for frame in frames]
        with self._hub.lock:
            self._check_open()
            receiver = self._hub.members.get(to)
            if receiver is not None and self._holds_name():
                self._hub.post(receiver, Delivery(self.name, None, kept))

    def publish(self, topic: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        check_publishable(topic)
        kept = [_keep(frame, donate) for frame in frames]
        with self._hub.lock:
            self._check_open()
            if self._holds_name():
                self._hub.publish(topic, self.name, kept, except_to=self)

    def subscribe(self, topic: str) -> None:
        check_topic(topic)
        with self._hub.lock:
            self._check_open()
            self._topics.add(topic)
            if self._holds_name():
                self._hub.topics.setdefault(topic, set()).add(self)
                self._hub.tell_parties()

    def unsubscribe(self, topic: str) -> None:
        check_topic(topic)
        with self._hub.lock:
            self._check_open()
            self._topics.discard(topic)
            self._hub.leave(topic, self)

    def recv(self, timeout: float | None) -> Delivery | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        served: set[MemoryConnection] = set()
        while True:
            with self._hub.lock:
                self._check_open()
                if not self._holds_name():
                    raise NameTaken(self.name, self.address)
                if self.mailbox:
                    return self.mailbox.popleft()
                member = self._hub.passive(skip=served | {self})
                if member is None:
                    if self._woken:
                        self._woken = False
                        return None
                    rest = None if deadline is None else deadline - time.monotonic()
                    if rest is not None and rest <= 0:
                        return None
                    self._wait(rest)
                    continue
                member.is_served = True
            self._run(member)
            if deadline is not None and time.monotonic() >= deadline:
                served.add(member)  # once more each and no more, or two that write to each other would hold us for ever

    def wake(self) -> None:
        with self._hub.lock:
            self._check_open()
            self._woken = True
            self.arrived.notify_all()

    def silent_for(self) -> float:
        self._check_open()
        return 0.0

    def found(self) -> int:
        self._check_open()
        return 1

    def close(self) -> None:
        with self._hub.lock:
            if self._closed:
                return
            self._closed = True
            self.mailbox.clear()
            self.arrived.notify_all()
            for topic in self._topics:
                self._hub.leave(topic, self)
            if self._hub.members.get(self.name) is self:
                del self._hub.members[self.name]
                self._hub.publish(DEPARTURES, MEDIUM, [self.name.encode(), self._tag, b"left"], except_to=self)
                self._hub.tell_parties()

    def party(self) -> Party:
        """What the hub tells of it: nobody is silent, as whoever is asked is run. Hold the hub's lock."""
        return Party(self.name, time.monotonic() - self._came, 0.0, 0, frozenset(self._topics))

    def _wait(self, timeout: float | None) -> None:
        self._hub.waiting.add(self)
        try:
            self.arrived.wait(timeout)
        finally:
            self._hub.waiting.discard(self)

    def _run(self, member: MemoryConnection) -> None:
        thread = threading.get_ident()
        self._hub.serving.add(thread)
        try:
            if member.callback is not None and not member._closed:
                member.callback()
        except TransportClosed:
            if not member._closed:  # else it was closed in the middle of its turn, which is not our caller's doing
                raise
        finally:
            with self._hub.lock:
                self._hub.serving.discard(thread)
                member.is_served = False
                self._hub.rouse()  # what came meanwhile, they could not serve

    def _holds_name(self) -> bool:
        """Take the name if it is free, and the topics with it. Hold the hub's lock."""
        holder = self._hub.members.get(self.name)
        if holder is not None:
            return holder is self
        self._hub.members[self.name] = self
        for topic in self._topics:
            self._hub.topics.setdefault(topic, set()).add(self)
        return True

    def _check_open(self) -> None:
        if self._closed:
            raise TransportClosed(self.name)


def connect(address: str, name: str) -> MemoryConnection:
    """A mailbox in the hub that `address` names; the first to name it makes it."""
    return MemoryConnection(address, name)


def _keep(frame: Buffer, donate: bool) -> Buffer:
    """The frame itself where nobody can change it any more, and a copy otherwise."""
    if donate and isinstance(frame, memoryview) and frame.readonly and frame.c_contiguous and frame.nbytes:
        return frame.cast("B")
    return bytes(frame)
