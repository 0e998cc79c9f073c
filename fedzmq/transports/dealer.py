"""One ZeroMQ socket to a broker, and what is known of the other end."""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, cast

import zmq
from zmq.backend import Socket

from fedzmq.transports.address import Address
from fedzmq.transports.connection import Buffer
from fedzmq.transports.route import MAIL, MOST_FRAME_BYTES, NOTE

COPIED_BYTES = 32 * 1024  # frames up to this size are copied on arrival: cheaper than keeping ZeroMQ's own
# What either end of a link sets, times in milliseconds.
LINK_OPTIONS: Final = {
    zmq.LINGER: 0,
    zmq.SNDHWM: 100_000,  # of each link, a backstop: credit above bounds what is on its way
    zmq.RCVHWM: 100_000,
    zmq.MAXMSGSIZE: MOST_FRAME_BYTES,
    zmq.HANDSHAKE_IVL: 5_000,
    zmq.HEARTBEAT_IVL: 5_000,
    zmq.HEARTBEAT_TIMEOUT: 20_000,
    zmq.HEARTBEAT_TTL: 20_000,
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 60,
    zmq.TCP_KEEPALIVE_INTVL: 20,
    zmq.TCP_KEEPALIVE_CNT: 3,
}
_OPTIONS: Final = LINK_OPTIONS | {
    zmq.IMMEDIATE: 1,  # nothing queues for a broker that is away: what is sent then is dropped, as promised
    zmq.RECONNECT_IVL: 250,
    zmq.RECONNECT_IVL_MAX: 2_000,
    zmq.CONNECT_TIMEOUT: 10_000,
}
# Plain ints, because an enum costs as much as the call it is given to.
_NOW = int(zmq.DONTWAIT)
_NOW_AND_MORE = int(zmq.DONTWAIT | zmq.SNDMORE)
_EVENTS, _MORE = int(zmq.EVENTS), int(zmq.RCVMORE)
_IN, _OUT = int(zmq.POLLIN), int(zmq.POLLOUT)


class Dealer:
    """A channel to the broker. Whoever calls holds the connection's lock.

    ZeroMQ's descriptor fires once for any number of events, and sending swallows that. So `dry` is what counts: nothing
    can be here until the descriptor fires, or until something is sent. `fired` says that it did, so that a message is
    most likely here.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], poll: select.poll, target: Address, hello: bytes
    ) -> None:
        self.after_hello: list[bytes] = []
        self.greeted_at = 0.0
        self._context = context
        self._poll = poll
        self._target = target
        self._hello = hello
        self.descriptor = -1
        self.greeted = False  # the hello went out, over the link that is there now
        self.welcomed = False  # and was answered
        self.dry = self.fired = False
        self._half_sent = self._half_received = False
        self._open()

    def look(self) -> bool:
        """A message is here. Greets a broker that just became reachable, and notes one that went."""
        try:
            events = cast(int, self._socket.getsockopt(_EVENTS))
        except zmq.ZMQError:
            self.dry = True
            return False
        self.dry = not events & _IN
        if not events & _OUT:
            self.greeted = self.welcomed = False
        elif not self.greeted:
            self.greet()
        return bool(events & _IN)

    def greet(self) -> bool:
        """Say who this is, and what it subscribes to. False while no broker is there."""
        self.greeted = self.put(self._hello)
        if self.greeted:
            self.greeted_at = time.monotonic()
            for route in self.after_hello:
                self.put(route)
        return self.greeted

    def put(self, route: bytes, frames: Sequence[Buffer] = (), donate: bool = False) -> bool:
        """Queue one message; False where there is no broker to queue it for."""
        if self._half_sent:  # an interrupt came between two frames: what is sent next would be taken for the rest
            self.close(0.0)
            try:
                self._open()
            except zmq.ZMQError:  # no descriptor is free: whoever sends next tries again
                self.greeted = self.welcomed = False
                return False
        send = self._send
        self.dry = False
        self._half_sent = True
        try:
            if frames:
                send(route, _NOW_AND_MORE)
                for frame in frames[:-1]:
                    send(frame, _NOW_AND_MORE, _is_copied(frame, donate))
                send(frames[-1], _NOW, _is_copied(frames[-1], donate))
            else:
                send(route, _NOW)
        except zmq.Again:  # ZeroMQ took back the frames that it had
            self._half_sent = self.greeted = self.welcomed = False
            return False
        except zmq.ZMQError:
            self.greeted = self.welcomed = False
            return False
        self._half_sent = False
        return True

    def take(self) -> tuple[bytes, list[Buffer]] | None:
        """The route of the next message, and what follows it, if one is here."""
        if not (self.fired or self.look()):
            return None
        self.fired = False
        receive = self._receive
        try:
            if self._half_received:  # an interrupt came between two frames, and the rest means nothing by itself
                while self._socket.getsockopt(_MORE):
                    receive(_NOW)
            self._half_received = True
            head = receive(_NOW)
            route, mark, note = head.partition(NOTE) if head[:1] == MAIL else (head, b"", b"")
            frames: list[Buffer] = [note] if mark else self._rest()
        except zmq.ZMQError:
            self._half_received = False
            self.look()
            return None
        self._half_received = False
        return route, frames

    def _rest(self) -> list[Buffer]:
        """The frames that follow the route."""
        frames: list[Buffer] = []
        is_more = self._socket.getsockopt(_MORE)  # which costs more than to receive a note
        while is_more:
            frame = self._receive(_NOW, copy=False)
            frames.append(frame.bytes if len(frame) <= COPIED_BYTES else frame.buffer)
            is_more = frame.more
        return frames

    def close(self, linger: float) -> None:
        """Twice is fine."""
        if self.descriptor >= 0:
            self._poll.unregister(self.descriptor)
            self.descriptor = -1
        self._socket.close(int(linger * 1000))

    def _open(self) -> None:
        self._socket = self._context.socket(zmq.DEALER)
        for option, value in _OPTIONS.items():
            self._socket.setsockopt(option, value)
        self._socket.setsockopt(zmq.IPV6, int(self._target.is_ipv6))
        self._socket.connect(self._target.text)
        self._send = plain_send(self._socket)
        self._receive = self._socket.recv
        self.descriptor = int(self._socket.getsockopt(zmq.FD))
        self._poll.register(self.descriptor, select.POLLIN)
        self.greeted = self.welcomed = self._half_sent = self._half_received = False
        self.dry = self.fired = False


def plain_send(socket: zmq.Socket[bytes]) -> Callable[..., object]:
    """`socket.send` without what pyzmq puts around it, which is of no use here and costs as much as to send."""
    return partial(Socket.send, socket)


def _is_copied(frame: Buffer, donate: bool) -> bool:
    """To copy a small frame costs less than to share it."""
    return len(frame) < zmq.COPY_THRESHOLD or not (donate or type(frame) is bytes)
