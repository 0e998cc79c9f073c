"""The broker: one ROUTER socket that moves frames between connections and looks at nothing but routes.

It holds soft state alone. One that is killed and started anew asks whoever speaks to it to say hello again, and knows
everything that the old one knew.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Union, cast

import zmq

from fedzmq.broker.directory import Directory, Member, Seat
from fedzmq.broker.listener import Listener
from fedzmq.errors import InvalidName, ProtocolError, TransportClosed
from fedzmq.session.roster import SILENCE
from fedzmq.transports.allocator import keep_freed_memory
from fedzmq.transports.connection import DEPARTURES, MEDIUM, PARTIES
from fedzmq.transports.dealer import plain_send
from fedzmq.transports.names import check_name
from fedzmq.transports.party import Party
from fedzmq.transports.route import (
    BOOT_BYTES,
    MAIL,
    NOTE,
    VERSION,
    Bye,
    Channel,
    Hello,
    Ping,
    Pong,
    Publish,
    Reason,
    Refuse,
    Route,
    Subscribe,
    Topic,
    Unsubscribe,
    Welcome,
    Who,
    decode,
    encode,
)

ROLL_REST = 20  # times as long as it takes to tell who is here, in which that is not told again
SWEEP_INTERVAL = 0.5  # seconds between two looks whether the connections are still there
BURST = 256  # messages that are routed before anything else has its turn
TAG_BYTES = 8  # of an instance, that others may see: the whole of it would let them take the name

# Plain ints, because an enum costs as much as the call it is given to.
_NOW = int(zmq.DONTWAIT)
_NOW_AND_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
_EVENTS, _IN = int(zmq.EVENTS), int(zmq.POLLIN)
_WHO, _PING, _PONG = encode(Who()), encode(Ping()), encode(Pong())

_Frames = Sequence[Union[zmq.Frame, bytes]]


class Broker:
    """Listens from its construction on, and routes while `serve` runs, or the thread that `start` makes.

    `stop` may come from any thread and from a signal handler. `report` is called with a line of words whenever a party
    comes or goes: it comes with the first that it publishes, and one that only listens is not worth a word. Raises
    AddressInUse, and UsageError for an address that others than this machine reach.
    """

    def __init__(
        self,
        address: str,
        *,
        silence: float = SILENCE,
        allow_remote: bool = False,
        report: Callable[[str], None] = lambda line: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        keep_freed_memory()
        self._listener = Listener(address, allow_remote=allow_remote)
        self._router = self._listener.router
        self._receive = self._router.recv
        self._send = plain_send(self._router)
        self.address = self._listener.address
        self.dropped = 0  # messages that nobody could receive, or of no known form
        self.directory = Directory()
        self._silence = silence
        self._report = report
        self._clock = clock
        self._boot = os.urandom(BOOT_BYTES)
        self._gone: deque[tuple[Member, bytes]] = deque()
        self._serving = threading.Lock()
        self._roll_due = -math.inf
        self._is_full = False
        self._stopping = False
        self._closed = False
        self._thread: threading.Thread | None = None
        self._stop_read, self._stop_write = os.pipe()
        os.set_blocking(self._stop_write, False)

    def serve(self) -> None:
        """Route until `stop`. Nothing that a peer sends ends it."""
        with self._serving:
            if self._closed:
                raise TransportClosed(MEDIUM)
            poller = select.poll()
            poller.register(cast(int, self._router.getsockopt(zmq.FD)), select.POLLIN)
            poller.register(self._stop_read, select.POLLIN)
            sweep = self._clock()
            is_dry = False
            while not self._stopping:
                if is_dry:
                    poller.poll(max(0.0, sweep - self._clock()) * 1000 + 1)
                now = self._clock()
                is_dry = self._drain(now)
                if now >= sweep:
                    self._sweep(now)
                    sweep = now + SWEEP_INTERVAL
                    is_dry = False
                if self._gone:
                    self._announce()
                    is_dry = False

    def start(self) -> Broker:
        """Serve in a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self.serve, name="fedzmq-broker", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Make `serve` return."""
        self._stopping = True
        if not self._closed:
            with contextlib.suppress(BlockingIOError):
                os.write(self._stop_write, b"\0")

    def close(self) -> None:
        """Stop, and stop listening. Twice is fine."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
        with self._serving:
            if self._closed:
                return
            self._closed = True
            self._listener.close()
            os.close(self._stop_read)
            os.close(self._stop_write)

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drain(self, now: float) -> bool:
        """Route what is here; True if nothing is left, and ZeroMQ's descriptor will tell of more.

        It fires once for any number of events, and sending swallows that: after anything was sent, look again. Where
        one message came alone, a look costs half of what it costs to receive nothing.
        """
        if not self._step(now) or not cast(int, self._router.getsockopt(_EVENTS)) & _IN:
            return True
        return any(not self._step(now) for _ in range(BURST))

    def _step(self, now: float) -> bool:
        """Route one message; False if none is here."""
        receive = self._receive
        try:
            place = receive(_NOW)
        except zmq.Again:
            return False
        frame = receive(_NOW, copy=False)
        head = frame.bytes
        frames: list[zmq.Frame] = []
        while frame.more:
            frame = receive(_NOW, copy=False)
            frames.append(frame)
        is_mail = head[:1] == MAIL
        route, mark, note = head.partition(NOTE) if is_mail else (head, b"", b"")
        seat = self.directory.seat(place)
        if seat is not None:
            seat.member.heard = now
            if is_mail:
                receiver = self.directory.addressee(route)
                if receiver is None or (mark and frames):  # behind a note nobody looks for more
                    self.dropped += 1
                else:
                    self._pass_on(receiver, seat.channel, b"".join((seat.member.route, mark, note)), frames)
                return True
        try:
            self._obey(place, seat, decode(route), frames, now)
        except ProtocolError:
            self.dropped += 1
        return True

    def _obey(self, place: bytes, seat: Seat | None, route: Route, frames: _Frames, now: float) -> None:
        if isinstance(route, Hello):
            self._hello(place, route, now)
        elif isinstance(route, Bye):
            if seat is not None:
                self._depart(seat.member, b"left")
        elif seat is None:
            self._put(place, _WHO)
        elif isinstance(route, Ping):
            self._put(place, _PONG)
        elif isinstance(route, Publish):
            if not seat.member.is_announced:
                seat.member.is_announced = True
                self._report(f"{seat.member.name} joined")
            self._publish(route.topic, seat.member.name, frames, seat.channel, except_to=seat.member)
        elif isinstance(route, Subscribe):
            self.directory.subscribe(seat.member, route.topic)
            if route.topic == PARTIES:
                self._tell_parties(now)
        elif isinstance(route, Unsubscribe):
            self.directory.unsubscribe(seat.member, route.topic)
        else:
            raise ProtocolError(f"{type(route).__name__} is nothing that a connection says")

    def _hello(self, place: bytes, hello: Hello, now: float) -> None:
        reason = self._objection(hello, now)
        if reason is not None:
            self._put(place, encode(Refuse(reason)))
            return
        self.directory.bind(hello.name, hello.instance, hello.channel, place, now)
        self._put(place, encode(Welcome(self._boot)))

    def _objection(self, hello: Hello, now: float) -> Reason | None:
        if hello.version != VERSION:
            return Reason.VERSION
        try:
            check_name(hello.name)
        except InvalidName:
            return Reason.BAD_NAME
        holder = self.directory.holder(hello.name)
        if holder is None or holder.instance == hello.instance:
            return None
        self._probe(holder)
        if self.directory.holder(hello.name) is None:
            return None
        if holder.is_silent(now, self._silence):
            self._depart(holder, b"lost")
            return None
        return Reason.NAME_TAKEN

    def _pass_on(self, receiver: Member, channel: Channel, head: bytes, frames: _Frames) -> None:
        place = receiver.places.get(channel)
        if place is None or not self._put(place, head, frames):
            self.dropped += 1
            receiver.dropped += 1

    def _publish(
        self,
        topic: str,
        sender: str,
        frames: _Frames,
        channel: Channel = Channel.CONTROL,
        except_to: Member | None = None,
    ) -> None:
        """Queue a message for all who subscribed: large frames are the same memory in every queue."""
        head = encode(Topic(topic, sender))
        for member in self.directory.subscribers(topic):
            if member is not except_to:
                self._pass_on(member, channel, head, frames)

    def _put(self, place: bytes, head: bytes, frames: _Frames = ()) -> bool:
        """Queue a message for a socket; False if it is gone, which is noted, or if its queue is full."""
        send = self._send
        try:
            send(place, _NOW_AND_MORE)
        except zmq.ZMQError as error:  # nothing was sent: ZeroMQ checks the first frame alone
            if error.errno == errno.EHOSTUNREACH:
                member = self.directory.unbind(place)
                if member is not None:
                    self._gone.append((member, b"lost"))
            return False
        if frames:
            send(head, _NOW_AND_MORE)
            for frame in frames[:-1]:
                send(frame, _NOW_AND_MORE)
            send(frames[-1], _NOW)
        else:
            send(head, _NOW)
        return True

    def _probe(self, member: Member) -> None:
        """Find out whether its sockets are still there, which only sending to them tells."""
        for place in list(member.places.values()):
            self._put(place, _PING)

    def _look_for_room(self) -> None:
        """Say where nobody else can come: ZeroMQ lets those wait, in silence, for whom there is no descriptor."""
        try:
            os.close(os.dup(self._stop_read))
        except OSError as error:
            if not self._is_full:
                self._report(f"nobody else can come: {error.strerror}; allow this process more of them (ulimit -n)")
            self._is_full = True
        else:
            self._is_full = False

    def _sweep(self, now: float) -> None:
        self._look_for_room()
        for member in self.directory:
            self._probe(member)
        self._tell_parties(now)

    def _tell_parties(self, now: float) -> None:
        if now >= self._roll_due and self.directory.subscribers(PARTIES):
            self._publish(PARTIES, MEDIUM, [_party(member, now).frame() for member in self.directory])
            took = self._clock() - now
            self._roll_due = now + took * ROLL_REST  # however many ask, it is others that the broker is there for

    def _depart(self, member: Member, reason: bytes) -> None:
        self.directory.remove(member)
        self._gone.append((member, reason))

    def _announce(self) -> None:
        """Say who went. Afterwards and in a loop, because telling it may find that others went too."""
        while self._gone:
            member, reason = self._gone.popleft()
            if member.is_announced:
                self._report(f"{member.name} {reason.decode()}")
            self._publish(DEPARTURES, MEDIUM, [member.name.encode(), member.instance[:TAG_BYTES], reason])


def _party(member: Member, now: float) -> Party:
    here, silent = max(0.0, now - member.came), max(0.0, now - member.heard)
    return Party(member.name, here, silent, member.dropped, frozenset(member.topics))
