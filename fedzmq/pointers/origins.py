"""Which line of the user's program issued a command. Kept on the client, never sent.

Two words for each command (a code object and a line number) instead of a stack: a tenth of a microsecond, not ten.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections import deque
from collections.abc import Sequence
from types import CodeType, FrameType

import torch

import fedzmq

Origin = tuple[CodeType, int]

# Frames of these are never the user's.
LIBRARY = tuple(os.path.dirname(package.__file__ or "") + os.sep for package in (torch, fedzmq))
DEPTH = 32_768  # how many commands back an origin is remembered: more than may be unacknowledged


def origin() -> Origin | None:
    """The innermost frame of the calling thread that belongs to neither torch nor fedzmq."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    return None if frame is None else (frame.f_code, frame.f_lineno)


def warn(text: str) -> None:
    """A UserWarning at the line of the user's program, which Python shows once for each line."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(LIBRARY):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, UserWarning, stacklevel=depth)


def shown(origin: Origin | None) -> str:
    return "" if origin is None else f"{origin[0].co_filename}:{origin[1]}"


class Origins:
    """The origins of the last commands, by their number in the stream (the first is 1)."""

    __slots__ = ("_recent", "count")

    def __init__(self, depth: int = DEPTH) -> None:
        self._recent: deque[Origin | None] = deque(maxlen=depth)
        self.count = 0

    def extend(self, origins: Sequence[Origin | None]) -> None:
        self.count += len(origins)
        self._recent.extend(origins)

    def amend(self, length: int, origin: Origin | None) -> None:
        """So many of the last commands come from there."""
        for back in range(1, min(length, len(self._recent)) + 1):
            self._recent[-back] = origin

    def forget(self) -> None:
        """All commands so far are acknowledged: none of them will be asked for again."""
        self._recent.clear()

    def of(self, number: int) -> str:
        """'file:line', or '' when it is not known (any more)."""
        back = self.count - number
        if not 0 <= back < len(self._recent):
            return ""
        return shown(self._recent[-1 - back])
