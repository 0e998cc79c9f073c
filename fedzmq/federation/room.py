"""Room on the disk of a run: a training pauses where none is left, and goes on once there is some."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from fedzmq.client.waiting import Waiting
from fedzmq.errors import RunFolderFull

LOOK = 1.0  # seconds between two looks whether there is some

_Kind = TypeVar("_Kind")


class Room:
    """`say` is told that `path` is full and, now and then, for how long. `way_on` takes the run up again."""

    def __init__(self, path: str, way_on: str, say: Callable[[str], None]) -> None:
        self._path = path
        self._way_on = way_on
        self._say = say

    def patiently(self, write: Callable[[], _Kind]) -> _Kind:
        """What `write` gives, which is called until there was room for it."""
        try:
            return write()
        except RunFolderFull as error:
            way_on = f"after Ctrl-C, {self._way_on} goes on"
            self._say(f"{self._path}: {error.reason}; waiting until there is some ({way_on})")
        waiting = Waiting()
        while True:
            time.sleep(LOOK)
            try:
                done = write()
            except RunFolderFull:
                if waiting.is_due():
                    self._say(f"waiting for room in {self._path} for {waiting.seconds:.0f} s")
            else:
                self._say(f"{self._path}: there is room again")
                return done
