from __future__ import annotations

import threading

import pytest
from torch import compiler

from fedzmq.recording.exporting import exported


def test_two_threads_at_a_time_leave_the_flag_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "_is_compiling_flag", False)
    monkeypatch.setattr(compiler, "_is_exporting_flag", False)
    overlaps = threading.Event()

    def ends_last() -> None:
        overlaps.set()
        first.join()

    first = threading.Thread(target=exported(lambda: (second.start(), overlaps.wait(0.05))))
    second = threading.Thread(target=exported(ends_last))
    first.start()
    first.join()
    second.join()

    assert not compiler.is_exporting()
    assert not compiler.is_compiling()
