"""A socket that two parties on one machine share, one direction of it: packets go past the broker and its two hops.

It promises what a medium does: what it takes arrives in order, or not at all, and what it does not take goes by the
medium. It has no name in any folder; its name in the system can be seen by everybody on the machine, so each side makes
sure that the other is a process of the same user. That the name cannot be known before keeps it from being taken.
"""

from __future__ import annotations

import os
import socket
from hashlib import sha256
from struct import Struct

from fedzmq.errors import TransportClosed
from fedzmq.transports.connection import Buffer, Connection, Delivery

MOST_BYTES = 32 * 1024  # of a packet that goes this way
_BACKLOG = 8  # others may come before the one that was told
_CREDENTIALS = Struct("3i")  # process, user and group


class SocketWriter:
    """The side that sends."""

    def __init__(self, secret: bytes) -> None:
        """Raises OSError where the system has no such socket."""
        self._socket: socket.socket | None = None
        self._listener = _socket()
        try:
            self._listener.bind(_address(secret))
            self._listener.listen(_BACKLOG)
        except OSError:
            self.close()
            raise

    def accept(self) -> bool:
        """Whether the other side is there, which said that it is."""
        while self._socket is None:
            try:
                accepted = self._listener.accept()[0]
            except OSError:
                return False
            if _is_of_this_user(accepted):
                accepted.setblocking(False)
                self._socket = accepted
            else:
                accepted.close()
        self._listener.close()
        return True

    def send(self, packet: Buffer) -> bool:
        """False where it cannot go this way, now or at all."""
        if self._socket is None or len(packet) > MOST_BYTES:
            return False
        try:
            self._socket.send(packet)
        except BlockingIOError:  # the other side is behind
            return False
        except OSError:  # it is gone, and the medium tells what became of it
            self.close()
            return False
        return True

    def close(self) -> None:
        """Twice is fine."""
        self._listener.close()
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SocketReader:
    """The side that receives. What `sender` sends comes out of the connection's `recv`, as its mail does."""

    def __init__(self, connection: Connection, sender: str, secret: bytes) -> None:
        """Raises OSError where it is not to be had: on another machine, or of another user."""
        self._connection = connection
        self._sender = sender
        self._socket = _socket()
        try:
            self._socket.connect(_address(secret))
            if not _is_of_this_user(self._socket):
                raise OSError("this is another user's socket")
            if not connection.watch(self._socket.fileno(), self.read):
                raise OSError("this connection can wait for its medium alone")
        except (OSError, TransportClosed) as error:
            self._socket.close()
            raise OSError(str(error)) from error

    def close(self) -> None:
        """Twice is fine."""
        descriptor = self._socket.fileno()
        if descriptor >= 0:
            self._connection.unwatch(descriptor)
            self._socket.close()

    def read(self) -> Delivery | None:
        """What is here, to whoever receives. Raises EOFError when nothing more will come."""
        try:
            packet = self._socket.recv(MOST_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise EOFError from error
        if not packet:
            raise EOFError
        return Delivery(self._sender, None, [packet])


def _socket() -> socket.socket:
    """Of a kind that keeps packets apart, and says when the other side is gone."""
    if not hasattr(socket, "SO_PEERCRED") or not hasattr(socket, "AF_UNIX"):
        raise OSError("this system has no sockets without a name in a folder")
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made.setblocking(False)
    return made


def _address(secret: bytes) -> bytes:
    """Who sees it cannot tell the secret by it, which names memory too."""
    return b"\0fedzmq-" + sha256(b"socket" + secret).hexdigest()[:32].encode()


def _is_of_this_user(connected: socket.socket) -> bool:
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(told)[1] == os.geteuid())
