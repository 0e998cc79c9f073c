"""Many workers at a broker, as processes that share what they have in common. They have one example each."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from types import TracebackType

import torch

from fedzmq.data.data import Data
from fedzmq.transports.registry import connect
from fedzmq.worker.worker import Worker

DATA = "one"


class Crew:
    """A process of its own, which forks `count` workers and ends them when it is closed, or this process dies."""

    def __init__(self, address: str, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "fedzmq.testing.benchmarks.crew", address, str(count)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the process that measures, which then ends this one
        )

    def close(self) -> None:
        """Twice is fine."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _main(address: str, count: int) -> None:
    torch.set_num_threads(1)
    children = []
    gc.freeze()  # as `fedzmq worker` does
    for number in range(count):
        child = os.fork()  # before there is any thread
        if not child:
            _serve(address, f"crew-{number:03}")
        children.append(child)
    sys.stdin.read()
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _serve(address: str, name: str) -> None:
    """Until it is killed."""
    try:
        data = Data(DATA, torch.ones(1, 1), torch.zeros(1, 1), None)
        with connect(address, name) as connection, Worker(connection, data=[data]) as worker:
            worker.run()
    finally:
        os._exit(1)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
