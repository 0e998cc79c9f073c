"""What a signal may interrupt, and what not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from fedzmq.cli.ending import on_signal


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of the process are back afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_stops_once() -> None:
    stopped: list[str] = []
    on_signal(lambda: stopped.append("now"))
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert stopped == ["now"]


def test_what_must_not_be_interrupted_is_stopped_at_its_end() -> None:
    stopped: list[str] = []
    later = on_signal(lambda: stopped.append("now"))
    with later():
        os.kill(os.getpid(), signal.SIGTERM)
        assert stopped == []
    assert stopped == ["now"]
    with later():
        pass
    assert stopped == ["now"]
