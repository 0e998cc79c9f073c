"""What backwards that are parts of plans do within one pass of torch's engine: it is counted, as one may start others.

A backward that takes gradients goes through the backwards of what came before, and those may do so in turn: a short
plan could double its work with every step. No graph tells beforehand, and the plans may be many: what they have in
common is the thread, in which the engine runs a backward within a backward down to some depth.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fedzmq.errors import LimitExceeded

MOST_RECORDS = 1 << 17  # seconds, on any machine
MOST_DEEP = 32  # the engine takes another thread beyond 60, and keeps it


class Within(threading.local):
    """Each thread has its own."""

    def __init__(self) -> None:
        self._deep = 0
        self._pass = -1
        self._records = 0

    @contextmanager
    def run(self, records: int) -> Iterator[None]:
        """Around a backward of so many records. Raises LimitExceeded."""
        if not self._deep and self._pass != (begun := torch._C._current_graph_task_id()):
            self._pass, self._records = begun, 0
        self._records += records
        if self._records > MOST_RECORDS:
            raise LimitExceeded("the records that backwards of plans run in one pass", self._records, MOST_RECORDS)
        if self._deep == MOST_DEEP:
            raise LimitExceeded("the depth of backwards within backwards", self._deep + 1, MOST_DEEP)
        self._deep += 1
        try:
            yield
        finally:
            self._deep -= 1
