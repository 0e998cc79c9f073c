"""The socket that a broker listens with, and what it may listen to."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import cast

import zmq

from fedzmq.errors import AddressError, AddressInUse, UnavailableError, UsageError
from fedzmq.transports import address as addresses
from fedzmq.transports.address import Address
from fedzmq.transports.dealer import LINK_OPTIONS

_OPTIONS = LINK_OPTIONS | {
    zmq.ROUTER_MANDATORY: 1,  # tell who is gone instead of dropping in silence
    zmq.BACKLOG: 1024,
}


class Listener:
    """A bound ROUTER. `address` is where it listens in fact, with the port that the system chose.

    Raises AddressInUse, AddressError, and UsageError for an address that other machines reach, unless `allow_remote`.
    """

    def __init__(self, address: str, *, allow_remote: bool) -> None:
        target = addresses.for_listening(address)
        if not target.is_local and not allow_remote:
            raise UsageError(
                f"{address} is reached from other machines, and traffic is neither encrypted nor authenticated yet: "
                "listen at tcp://127.0.0.1:PORT, or, on a network that you trust, allow it "
                "(--allow-remote, or allow_remote=True)"
            )
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            self.router = self._context.socket(zmq.ROUTER)
            self._bind(target)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise UnavailableError(f"cannot listen at {address}: {error.strerror}") from None
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self.address = cast(bytes, self.router.getsockopt(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()
        self._path = target.path if target.scheme == "ipc" and not target.path.startswith("@") else ""
        self._inode = _inode(self._path)

    def close(self) -> None:
        self._context.destroy(linger=0)
        if self._path and _inode(self._path) == self._inode:  # else it is another's by now
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _bind(self, target: Address) -> None:
        for option, value in _OPTIONS.items():
            self.router.setsockopt(option, value)
        self.router.setsockopt(zmq.IPV6, int(target.is_ipv6))
        if target.scheme == "ipc" and _is_answered(target.path):
            raise AddressInUse(target.text, "another process listens there")  # ZeroMQ would put itself in its place
        try:
            self.router.bind(target.bindable)
        except zmq.ZMQError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(target.text, "another process listens there") from None
            if target.scheme == "ipc" and error.errno == errno.ENOENT:
                raise AddressError(target.text, f"there is no folder {os.path.dirname(target.path)}") from None
            raise AddressError(target.text, f"nothing can listen there: {error.strerror}") from None


def _is_answered(path: str) -> bool:
    """A process accepts connections at this path."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect("\0" + path[1:] if path.startswith("@") else path)
        except OSError:
            return False
        return True


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except OSError:
        return None
