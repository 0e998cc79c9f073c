"""Where tensors can be sent."""

from __future__ import annotations

from typing import Protocol

from fedzmq.pointers.stream import Stream


class Destination(Protocol):
    """A worker as the one who sends to it sees it: handles and virtual workers are destinations."""

    @property
    def name(self) -> str: ...

    @property
    def stream(self) -> Stream: ...
