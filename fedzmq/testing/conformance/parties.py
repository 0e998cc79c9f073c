"""Connections as tests use them: what must come is waited for, and a medium is waited for until it delivers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

from fedzmq.transports.connection import Connection, Delivery

PATIENCE = 20.0  # seconds after which a message that does not come counts as lost


def expect(connection: Connection, wait: float | None = PATIENCE) -> Delivery:
    """The next message, which must come."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        delivery = connection.recv(wait)
        if delivery is not None:
            return delivery
    raise AssertionError(f"nothing came to {connection.name!r} in {PATIENCE:g} s")


def until(connection: Connection, last: bytes) -> list[Delivery]:
    """All messages up to one whose first frame is `last`."""
    got = [expect(connection)]
    while not got[-1].frames or bytes(got[-1].frames[0]) != last:
        got.append(expect(connection))
    return got


def settle(connection: Connection) -> None:
    """Wait until the medium takes and delivers the connection's mail, and leave nothing of that in its mailbox."""
    for bulk in (False, True):
        token = uuid.uuid4().bytes
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            connection.send(connection.name, [token, b"probe"], bulk=bulk)
            if connection.recv(0.05) is not None:
                break
        last = uuid.uuid4().bytes
        connection.send(connection.name, [last], bulk=bulk)
        until(connection, last)


def listen(connection: Connection, topic: str) -> None:
    """Subscribe, and wait until the medium knows."""
    connection.subscribe(topic)
    settle(connection)


class thread:  # noqa: N801 - reads as a statement: with thread(call): ...
    """Runs a call in a thread, joins it in the end, and fails the test with what it raised."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *raised: object) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the thread did not end"
        if self._error is not None and raised[0] is None:
            raise self._error

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:
            self._error = error
