"""A peer under measurement: processes of its own, which do one thing after another as they are asked over pipes.

They are stopped while nothing is asked of them, because one that waits by looking again and again takes the processors
from whoever is measured next. They end when the standard input of the first does, so none outlives the measurement.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NoReturn, cast

from fedzmq.errors import ClusterError

READY = "ready"
PATIENCE = 60.0  # seconds that a peer has to start, and for each thing that it is asked
STOP = 5.0  # seconds that it has to end by itself


class Peer:
    """Starts `python -m module` and asks it."""

    def __init__(self, module: str, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # `close` closes it
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        self._is_ready = False
        self._is_asked = False
        self._lost: str | None = None

    def ask(self, what: str, *arguments: float | str) -> float:
        """What it came to: mostly the seconds for one. Raises ClusterError, at once from the second time on, where the
        peer is not there, died, or does not answer in time.
        """
        if self._lost is not None:
            raise ClusterError(self._lost)
        if not self._is_ready:
            self._is_ready = self._line() == READY
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        self._is_asked = True
        with contextlib.suppress(BrokenPipeError):  # it died, and what it said tells more
            self._process.stdin.write(json.dumps([what, *arguments]) + "\n")
            self._process.stdin.flush()
        result = cast(float, json.loads(self._line()))
        self._is_asked = False
        self._signal(signal.SIGSTOP)
        return result

    def close(self) -> None:
        """End it. Twice is fine."""
        self._signal(signal.SIGCONT)
        if self._is_asked:
            self._process.terminate()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._kill()
        self._said.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _signal(self, number: signal.Signals) -> None:
        """To all of its processes, once they have made a group of their own."""
        if self._is_ready and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _line(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(self._patience):
                self._lose(f"did not answer within {self._patience:g} s")
        line = self._process.stdout.readline()
        if not line:
            self._lose("ended")
        return line.strip()

    def _lose(self, how: str) -> NoReturn:
        self._kill()
        self._said.seek(0)
        words = _reason(self._said.read().decode(errors="replace"))
        self._lost = f"{how}: {words}" if words else f"{how} and said nothing"
        raise ClusterError(self._lost)

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._process.kill()
        self._process.wait()


def lead() -> None:
    """The peer's side, before all else: have a group of processes of its own, and tidy up when it is told to end.

    Ctrl-C is then for the process that measures, which ends this one. Should that die, the system wakes a group that
    is stopped.
    """
    os.setpgrp()
    signal.signal(signal.SIGTERM, _end)


def answer(tasks: Mapping[str, Callable[..., float]]) -> None:
    """The peer's side: do what is asked until nobody asks any more."""
    print(READY, flush=True)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(tasks[what](*arguments)), flush=True)


def _end(number: int, frame: Any) -> NoReturn:
    sys.exit()


def _reason(said: str) -> str:
    """The error that the last traceback ends with, or else the last line."""
    _, trace, after = said.rpartition("Traceback (most recent call last):\n")
    lines = [line for line in after.splitlines() if line.strip() and not (trace and line[0].isspace())]
    return lines[0 if trace else -1] if lines else ""
