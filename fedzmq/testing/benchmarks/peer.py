"""A peer under measurement: processes of its own, which do one thing after another as they are asked over pipes.

They are stopped while nothing is asked of them, because one that waits by looking again and again takes the processors
from whoever is measured next. They end when the standard input of the first does, so none outlives the measurement.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import cast

from fedzmq.errors import ClusterError

READY = "ready"
STOP = 5.0  # seconds that a peer has to end by itself


class Peer:
    """Starts `python -m module` and asks it. Raises ClusterError where it dies."""

    def __init__(self, module: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._is_ready = False

    def ask(self, what: str, *arguments: float) -> float:
        """The seconds that it took for one."""
        if not self._is_ready:
            self._is_ready = self._line() == READY
        assert self._process.stdin is not None
        self._signal(signal.SIGCONT)
        self._process.stdin.write(json.dumps([what, *arguments]) + "\n")
        self._process.stdin.flush()
        seconds = cast(float, json.loads(self._line()))
        self._signal(signal.SIGSTOP)
        return seconds

    def close(self) -> None:
        """End it. Twice is fine."""
        self._signal(signal.SIGCONT)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(STOP)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

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
        line = self._process.stdout.readline()
        if not line:
            raise ClusterError(f"the peer {self._module} ended with exit code {self._process.wait()}")
        return line.strip()


def lead() -> None:
    """The peer's side, before all else: have a group of processes of its own.

    Ctrl-C is then for the process that measures, which ends this one. Should that die, the system wakes a group that
    is stopped.
    """
    os.setpgrp()


def answer(tasks: Mapping[str, Callable[..., float]]) -> None:
    """The peer's side: do what is asked until nobody asks any more."""
    print(READY, flush=True)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(tasks[what](*arguments)), flush=True)
