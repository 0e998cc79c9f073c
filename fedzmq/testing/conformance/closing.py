"""What a transport promises once a connection is closed."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fedzmq.errors import TransportClosed
from fedzmq.testing.conformance.medium import Join, Medium


class Closing(Medium):
    """The end of a connection."""

    def test_every_call_after_close_says_so(self, join: Join) -> None:
        alice = join("alice")
        alice.close()
        calls: list[Callable[[], object]] = [
            lambda: alice.send("bob", []),
            lambda: alice.publish("news", []),
            lambda: alice.subscribe("news"),
            lambda: alice.unsubscribe("news"),
            lambda: alice.recv(0),
            alice.wake,
            alice.silent_for,
        ]
        for call in calls:
            with pytest.raises(TransportClosed):
                call()

    def test_close_is_fine_twice(self, join: Join) -> None:
        alice = join("alice")
        alice.close()
        alice.close()
