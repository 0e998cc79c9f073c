"""A training of two workers inside the process, for loggers to hear of."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from fedzmq.federated.report import Absence, Answer, RoundReport
from fedzmq.federation.federation import Federation
from fedzmq.federation.history import History
from fedzmq.federation.loggers import RoundLogger

POINTS = torch.arange(24.0).reshape(12, 2) / 24, torch.tensor([0, 1] * 6)
REPORT = RoundReport(
    3, 0.5, None, 0.25, 1.5, 100, 200, (Answer("bob", 10, 0.25, 1.0, 5, {"accuracy": 0.75}),), (Absence("al", "left"),)
)


def trained(log: str | RoundLogger, folder: Path | None = None, rounds: int = 3) -> History:
    with Federation(workers={"bob": POINTS, "alice": POINTS}) as federation:
        return federation.train(
            nn.Linear(2, 2), evaluate=POINTS, rounds=rounds, log=log, out=folder, batch_size=6, seed=7
        ).run()
