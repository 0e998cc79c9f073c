from __future__ import annotations

import os
import sys

import pytest

from fedzmq.testing.benchmarks.memory import Watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


def test_a_peak_is_remembered_until_it_begins_anew() -> None:
    watched = Watched(os.getpid())
    watched.begin()
    before = watched.resident
    large = bytearray(b"x" * (64 << 20))
    del large
    peak = watched.peak

    assert before is not None
    assert peak is not None
    assert peak >= before + (48 << 20)


def test_of_a_process_that_is_not_there_nothing_is_said() -> None:
    watched = Watched(2**22 + 1)
    watched.begin()

    assert (watched.resident, watched.peak) == (None, None)
