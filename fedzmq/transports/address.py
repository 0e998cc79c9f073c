"""Addresses that ZeroMQ understands, checked before ZeroMQ sees them: `tcp://host:port` and `ipc://path`."""

from __future__ import annotations

import ipaddress
import re
import socket
import sys
from dataclasses import dataclass

from fedzmq.errors import AddressError

MOST_PATH_BYTES = 107 if sys.platform == "linux" else 103  # what fits into a sockaddr_un, without its final zero
_TCP = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._*-]+):(?P<port>\*|[0-9]{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Address:
    """`host` and `port` are of tcp, `path` is of ipc; port 0 is any free one."""

    text: str
    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host

    @property
    def is_local(self) -> bool:
        """Nothing outside this machine can reach it."""
        if self.scheme == "ipc" or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def bindable(self) -> str:
        """As ZeroMQ wants it for listening, where it resolves no names."""
        host = "127.0.0.1" if self.host == "localhost" else self.host
        return self.text if self.scheme == "ipc" else f"tcp://{host}:{self.port or '*'}"


def for_connecting(text: str) -> Address:
    """The address of something that listens. Raises AddressError."""
    address = _parse(text)
    if address.scheme == "tcp" and address.port == 0:
        raise AddressError(text, "a port to connect to is a number from 1 to 65535")
    if address.host == "*":
        raise AddressError(text, "'*' is every interface of the listener; to connect, name the host")
    return address


def for_listening(text: str) -> Address:
    """An address to listen at, where port `*` or 0 is any free one. Raises AddressError."""
    address = _parse(text)
    if address.scheme == "tcp" and not _is_of_a_machine(address.host):
        reason = f"nothing can listen there: {address.host!r} is neither an IP address nor a network interface"
        raise AddressError(text, f"{reason}, and names are not looked up; try tcp://127.0.0.1:{address.port}")
    return address


def _is_of_a_machine(host: str) -> bool:
    """What ZeroMQ listens at has this form, whether it is of this machine or of another."""
    if host in ("*", "localhost") or host in (name for _, name in socket.if_nameindex()):
        return True
    try:
        socket.getaddrinfo(host.strip("[]"), None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return False
    return True


def _parse(text: str) -> Address:
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "tcp":
        match = _TCP.fullmatch(rest)
        if match is None:
            raise AddressError(text, "expected tcp://host:port, as in tcp://127.0.0.1:5555")
        port = 0 if match["port"] == "*" else int(match["port"])
        if port > 65535:
            raise AddressError(text, f"the port is {port}, and the highest is 65535")
        return Address(text, scheme, host=match["host"], port=port)
    if separator and scheme == "ipc":
        size = len(rest.encode("utf-8", "replace"))
        if not rest or "\0" in rest or rest == "*":
            raise AddressError(text, "expected ipc://path, as in ipc:///tmp/fedzmq.sock")
        if size > MOST_PATH_BYTES:
            raise AddressError(text, f"the path has {size} bytes, and the system allows {MOST_PATH_BYTES}; shorten it")
        return Address(text, scheme, path=rest)
    raise AddressError(text, "expected tcp://host:port or ipc://path")
