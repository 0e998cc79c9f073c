"""Starts, and never answers. `whose` tells its process."""

from __future__ import annotations

import os
import time

from fedzmq.testing.benchmarks.peer import answer, lead


def _sleep() -> float:
    time.sleep(1000)
    return 0.0


if __name__ == "__main__":
    lead()
    answer({"hang": _sleep, "whose": os.getpid})
