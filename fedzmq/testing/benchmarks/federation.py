"""A federation in which nothing costs but the rounds: a crew with one example each, and a model full of ballast."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType

import torch
from torch import nn
from torch.nn.functional import mse_loss

from fedzmq.client.client import Client
from fedzmq.cluster.local_cluster import START, LocalCluster
from fedzmq.federated.numbers import MOST
from fedzmq.federated.report import RoundReport
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from fedzmq.testing.benchmarks.crew import DATA, Crew

PARTS = 4  # a model is not one tensor


class Ballast(nn.Module):
    """One weight that is trained, and so many bytes that are not, and travel with it."""

    def __init__(self, nbytes: int) -> None:
        super().__init__()
        self.line = nn.Linear(1, 1, bias=False)
        for number in range(PARTS):
            self.register_buffer(f"ballast{number}", torch.zeros(nbytes // (4 * PARTS)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.line(x)
        return output


class Federation:
    """A broker over tcp and the workers; the coordinator is this process. It begins when the first round is timed."""

    def __init__(self, workers: int, nbytes: int, *, direct: bool = True) -> None:
        self._direct = direct
        self._workers = workers
        self._nbytes = nbytes
        self._open = ExitStack()
        self._rounds: Iterator[RoundReport] | None = None

    def time(self, count: int) -> float:
        """The median of so many rounds, in seconds."""
        rounds = self._begun()
        took = []
        for _ in range(count):
            began = time.perf_counter()
            next(rounds)
            took.append(time.perf_counter() - began)
        return statistics.median(took)

    def close(self) -> None:
        """Twice is fine."""
        self._rounds = None
        self._open.close()

    def __enter__(self) -> Federation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begun(self) -> Iterator[RoundReport]:
        if self._rounds is None:
            cluster = self._open.enter_context(LocalCluster([], listen="tcp://127.0.0.1:0"))
            self._open.enter_context(Crew(cluster.address, self._workers))
            client = self._open.enter_context(cluster.connect(direct=self._direct))
            self._rounds = rounds(client, self._workers, self._nbytes)
            next(self._rounds)  # the plan travels once
        return self._rounds


def rounds(client: Client, workers: int, nbytes: int) -> Iterator[RoundReport]:
    """Those of a training at such a crew, without an end."""
    model = Ballast(nbytes)
    plan = training_plan(model, mse_loss, torch.ones(1, 1), torch.zeros(1, 1))
    job = TrainingJob(DATA, rounds=MOST, batch_size=1, workers=workers, patience=START)
    return Trainer(client, model, plan, job).rounds()
