"""`tcp://` and `ipc://`: a connection to a fedzmq broker over ZeroMQ.

Two DEALERs lead to the broker's one ROUTER, so that bulk never delays the rest. There is no thread of our own: greeting
the broker, asking whether it lives and greeting it again after a break happen inside `recv` and `send`.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import threading
import time
from collections.abc import Sequence
from functools import partial

import zmq

from fedzmq.errors import FedzmqError, LimitExceeded, NameTaken, ProtocolError, TransportClosed, UnavailableError
from fedzmq.transports import address as addresses
from fedzmq.transports.address import Address
from fedzmq.transports.allocator import keep_freed_memory
from fedzmq.transports.connection import Buffer, Connection, Delivery, Read
from fedzmq.transports.dealer import Dealer
from fedzmq.transports.names import check_name, check_publishable, check_topic
from fedzmq.transports.route import (
    INSTANCE_BYTES,
    MAIL,
    MOST_FRAME_BYTES,
    MOST_NOTE_BYTES,
    NOTE,
    VERSION,
    Bye,
    Channel,
    Hello,
    Mail,
    Ping,
    Publish,
    Reason,
    Refuse,
    Subscribe,
    Topic,
    Unsubscribe,
    Welcome,
    Who,
    decode,
    encode,
)
from fedzmq.transports.watched import Watched

PING_INTERVAL = 1.0  # seconds between two looks whether the broker lives
GREET_INTERVAL = 0.25  # seconds between two hellos while it has not answered
HUSH_INTERVAL = 0.05  # seconds in which one hello is answer enough to any number of `who`
LINGER = 0.1  # seconds that `close` gives the goodbye
MOST_ROUTES = 4096  # encoded routes that are kept for the next time
ALTERNATE = 8  # messages, after which one may come that has to wait for others else: of what is watched, mail and bulk

_PING, _BYE = encode(Ping()), encode(Bye())


class ZeroMQConnection(Connection):
    """A name at a broker. The lock guards both sockets; waiting happens outside it."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = check_name(name)
        target = addresses.for_connecting(address)
        instance = os.urandom(INSTANCE_BYTES)
        self.dropped = 0  # messages of no known form
        keep_freed_memory()
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)  # notified when a receiver no longer waits
        self._poll = select.poll()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self._control = self._line(target, Channel.CONTROL, instance)
            self._bulk = self._line(target, Channel.BULK, instance)
            self._wake_read, self._wake_write = os.pipe()
        except (zmq.ZMQError, OSError) as error:
            self._context.destroy(linger=0)
            raise UnavailableError(f"cannot open a socket for {address}: {error}") from None
        self._lines = (self._control, self._bulk)
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._poll.register(self._wake_read, select.POLLIN)
        self._watched = Watched(self._poll)
        self._mail_routes: dict[str, bytes] = {}
        self._senders: dict[bytes, str] = {}  # of mail, by its route
        self._heard = -math.inf
        self._found = 0
        self._due = 0.0  # when to ping or greet
        sources = self._read, partial(self._take, self._control), partial(self._take, self._bulk)
        self._turns = [sources[first:] + sources[:first] for first in range(len(sources))]
        self._taken = 0
        self._refusal: FedzmqError | None = None
        self._waiting = 0
        self._woken = False
        self._closed = False

    def send(self, to: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        route = self._mail_routes.get(to)
        if route is None:
            if len(self._mail_routes) >= MOST_ROUTES:
                self._mail_routes.clear()
            route = self._mail_routes[to] = encode(Mail(check_name(to)))
        if len(frames) == 1 and len(frames[0]) <= MOST_NOTE_BYTES:
            route, frames = NOTE.join((route, frames[0])), ()
        self._put(self._bulk if bulk else self._control, route, frames, donate)

    def publish(self, topic: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        line = self._bulk if bulk else self._control
        self._put(line, encode(Publish(check_publishable(topic))), frames, donate)

    def subscribe(self, topic: str) -> None:
        route = encode(Subscribe(check_topic(topic)))
        with self._lock:
            self._check_open()
            if route in self._control.after_hello:
                return
            self._control.after_hello.append(route)
            self._tell(route)

    def unsubscribe(self, topic: str) -> None:
        subscribed = encode(Subscribe(check_topic(topic)))
        with self._lock:
            self._check_open()
            if subscribed in self._control.after_hello:
                self._control.after_hello.remove(subscribed)
                self._tell(encode(Unsubscribe(topic)))

    def recv(self, timeout: float | None) -> Delivery | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        waits = False
        try:
            while True:
                with self._lock:
                    if waits:
                        waits = False
                        self._stop_waiting()
                    self._check_open()
                    delivery = self._next()
                    if delivery is not None:
                        return delivery
                    now = time.monotonic()
                    if now >= self._due:
                        self._tend(now)
                    if self._refusal is not None:
                        raise self._refusal
                    if self._woken:
                        self._woken = False
                        return None
                    if not (self._control.dry and self._bulk.dry):
                        continue  # what was just sent took in what had arrived, and no descriptor will tell
                    is_last = deadline is not None and deadline <= self._due
                    rest = self._due - now if deadline is None or not is_last else deadline - now
                    waits = True
                    self._waiting += 1
                ready = self._look(max(0.0, rest))
                if is_last and not ready:
                    return None
        finally:
            if waits:
                with self._lock:
                    self._stop_waiting()

    def watch(self, descriptor: int, read: Read) -> bool:
        with self._lock:
            self._check_open()
            self._watched.add(descriptor, read)
            self._rouse()  # whoever waits does not wait for this one yet
        return True

    def unwatch(self, descriptor: int) -> None:
        with self._lock:
            self._watched.forget(descriptor)

    def wake(self) -> None:
        with self._lock:
            self._check_open()
            self._woken = True
            self._rouse()

    def silent_for(self) -> float:
        self._check_open()
        return time.monotonic() - self._heard

    def found(self) -> int:
        self._check_open()
        return self._found

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            said = self._control.welcomed and self._control.put(_BYE)
            self._rouse()
            self._left.wait_for(lambda: not self._waiting, timeout=1.0)
            for line in self._lines:
                line.close(LINGER if said else 0.0)
            os.close(self._wake_write)
            os.close(self._wake_read)
        # In a thread, because ZeroMQ waits there for a name server too, and that can take very long.
        ending = threading.Thread(target=self._context.term, name="fedzmq-linger", daemon=True)
        ending.start()
        ending.join(2 * LINGER)

    def _put(self, line: Dealer, route: bytes, frames: Sequence[Buffer], donate: bool) -> None:
        for frame in frames:
            if len(frame) > MOST_FRAME_BYTES:
                raise LimitExceeded("the size of a frame", len(frame), MOST_FRAME_BYTES)
        with self._lock:
            self._check_open()
            if self._refusal is None and (line.greeted or line.greet()):  # else the medium is away
                line.put(route, frames, donate)
            self._look_again(line)

    def _tell(self, route: bytes) -> None:
        """Say to a broker that is there what others hear of with the hello."""
        if self._control.greeted:
            self._control.put(route)
            self._look_again(self._control)

    def _look_again(self, line: Dealer) -> None:
        """Sending takes in what has arrived, and then ZeroMQ's descriptor does not tell a receiver that waits."""
        if self._waiting and not line.dry and line.look():
            self._rouse()

    def _look(self, timeout: float) -> bool:
        """Wait until something is here, and note where."""
        ready = self._poll.poll(timeout * 1000)
        for descriptor, _ in ready:
            if descriptor == self._wake_read:
                self._wake_up()
            elif not self._watched.fired(descriptor):
                for line in self._lines:
                    if line.descriptor == descriptor:
                        line.dry, line.fired = False, True
        return bool(ready)

    def _next(self) -> Delivery | None:
        for source in self._turns[self._taken // ALTERNATE % len(self._turns) if self._taken % ALTERNATE == 0 else 0]:
            delivery = source()
            if delivery is not None:
                self._taken += 1
                return delivery
        return None

    def _take(self, line: Dealer) -> Delivery | None:
        while not line.dry:
            message = line.take()
            if message is None:
                break
            self._heard = time.monotonic()
            delivery = self._interpret(line, *message)
            if delivery is not None:
                return delivery
        return None

    def _read(self) -> Delivery | None:
        """What came by a descriptor that is watched."""
        if self._watched.needs_look and not (self._control.dry and self._bulk.dry):
            self._look(0.0)  # else the next wait tells
        return self._watched.take()

    def _interpret(self, line: Dealer, head: bytes, frames: list[Buffer]) -> Delivery | None:
        """The mail that a message is; what the broker says of itself is acted on here."""
        sender = self._senders.get(head)
        if sender is not None:
            return Delivery(sender, None, frames)
        try:
            if head[:1] == MAIL:
                return Delivery(self._sender(head), None, frames)
            route = decode(head)
        except (ProtocolError, UnicodeDecodeError):
            self.dropped += 1
            return None
        if isinstance(route, Topic):
            return Delivery(route.sender, route.topic, frames)
        if isinstance(route, Welcome):
            line.welcomed = True
            self._refusal = None
            self._found += 1
        elif isinstance(route, Who):
            line.welcomed = False
            self._due = min(self._due, line.greeted_at + HUSH_INTERVAL)
        elif isinstance(route, Refuse):
            line.welcomed = False
            self._refusal = self._refused(route)
            self._due = self._heard + PING_INTERVAL
        return None

    def _sender(self, mail: bytes) -> str:
        if len(self._senders) >= MOST_ROUTES:
            self._senders.clear()
        sender = self._senders[mail] = mail[1:].decode()
        return sender

    def _refused(self, refuse: Refuse) -> FedzmqError:
        if refuse.reason is Reason.NAME_TAKEN:
            return NameTaken(self.name, self.address)
        if refuse.reason is Reason.VERSION:
            return ProtocolError(
                f"the broker at {self.address} speaks version {refuse.version} of the protocol, and this is version "
                f"{VERSION}: install the same fedzmq on both sides"
            )
        return ProtocolError(f"the broker at {self.address} does not accept the name {self.name!r}")

    def _tend(self, now: float) -> None:
        """Ask the broker whether it lives, or greet it where it has not answered yet."""
        for line in self._lines:
            if line.welcomed:
                line.put(_PING)
            elif now - line.greeted_at >= HUSH_INTERVAL:
                line.greet()
        is_calm = self._refusal is not None or all(line.welcomed for line in self._lines)
        self._due = now + (PING_INTERVAL if is_calm else GREET_INTERVAL)

    def _line(self, target: Address, channel: Channel, instance: bytes) -> Dealer:
        return Dealer(self._context, self._poll, target, encode(Hello(self.name, instance, channel)))

    def _wake_up(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)

    def _rouse(self) -> None:
        if self._waiting:
            with contextlib.suppress(BlockingIOError):  # then the pipe is full of reasons to look already
                os.write(self._wake_write, b"\0")

    def _stop_waiting(self) -> None:
        self._waiting -= 1
        if self._closed:
            self._left.notify_all()

    def _check_open(self) -> None:
        if self._closed:
            raise TransportClosed(self.name)


def connect(address: str, name: str) -> ZeroMQConnection:
    """A connection to the broker at `address`, whether or not it is there yet."""
    return ZeroMQConnection(address, name)
