"""The medium that a transport is tested on, and parties on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from fedzmq.testing.conformance.parties import settle
from fedzmq.transports.connection import Connection
from fedzmq.transports.registry import connect

LARGE = 1 << 20  # bytes of a frame that no medium can keep in a small buffer

Join = Callable[[str], Connection]
Outage = Callable[[], AbstractContextManager[None]]


class Medium:
    """Two fixtures describe it: where it is, and how to take it away for a while."""

    @pytest.fixture
    def address(self) -> str:
        """Where parties connect, with a medium of its own for each test."""
        raise NotImplementedError("override the fixture `address`")

    @pytest.fixture
    def outage(self) -> Outage | None:
        """A context in which the medium at `address` is away; None where it cannot be."""
        return None

    @pytest.fixture
    def join(self, address: str) -> Iterator[Join]:
        """Connects a party, waits until mail reaches it, and closes it in the end."""
        opened: list[Connection] = []

        def join(name: str) -> Connection:
            connection = connect(address, name)
            opened.append(connection)
            settle(connection)
            return connection

        yield join
        for connection in opened:
            connection.close()
