"""What a handler of commands gives back, and what a handler is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import Reply


class Answer(NamedTuple):
    """A reply, and the buffers that belong to it.

    Where `is_stable` is false they are memory of the store's, which stays as it is until the next records are run.
    """

    reply: Reply
    buffers: Sequence[Buffer] = ()
    is_stable: bool = True


Handler = Callable[[Any, Sequence[Buffer]], list[Answer]]
"""Gets a message and all buffers of its batch."""
