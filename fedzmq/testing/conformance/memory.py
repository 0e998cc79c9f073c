"""What a transport promises of memory: the caller's own is the caller's again at once, and what was donated arrives."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fedzmq.testing.conformance.medium import LARGE, Join, Medium
from fedzmq.testing.conformance.parties import expect, listen


class Memory(Medium):
    """Whose the bytes of a frame are."""

    @pytest.mark.parametrize("size", [5, LARGE], ids=["small", "large"])
    @pytest.mark.parametrize("kind", [bytearray, lambda data: memoryview(bytearray(data))], ids=["bytearray", "view"])
    def test_memory_is_the_callers_again_after_send(
        self, join: Join, kind: Callable[[bytes], bytearray | memoryview], size: int
    ) -> None:
        alice, bob = join("alice"), join("bob")
        memory = kind(b"a" * size)
        alice.send("bob", [memory], bulk=size == LARGE)
        memory[:] = b"b" * size
        assert bytes(expect(bob).frames[0]) == b"a" * size

    def test_memory_is_the_callers_again_after_publish(self, join: Join) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        memory = bytearray(b"a" * LARGE)
        alice.publish("news", [memory])
        memory[:] = b"b" * LARGE
        assert bytes(expect(bob).frames[0]) == b"a" * LARGE

    @pytest.mark.parametrize("size", [0, 5, LARGE], ids=["empty", "small", "large"])
    def test_donated_memory_arrives(self, join: Join, size: int) -> None:
        alice, bob = join("alice"), join("bob")
        alice.send("bob", [memoryview(bytearray(size)), memoryview(bytes(size))], bulk=True, donate=True)
        assert [bytes(frame) for frame in expect(bob).frames] == [bytes(size), bytes(size)]

    @pytest.mark.parametrize("size", [0, 5, LARGE], ids=["empty", "small", "large"])
    def test_memory_that_was_donated_to_a_topic_arrives(self, join: Join, size: int) -> None:
        alice, bob = join("alice"), join("bob")
        listen(bob, "news")
        alice.publish("news", [memoryview(bytes(size)), bytes(size)], bulk=True, donate=True)
        assert [bytes(frame) for frame in expect(bob).frames] == [bytes(size), bytes(size)]
