"""Rounds to commit that cost nothing."""

from __future__ import annotations

import torch

from fedzmq.federated.ledger.checkpoint import Checkpoint
from fedzmq.federated.ledger.ledger import Term
from fedzmq.federated.ledger.run_ledger import RunLedger
from fedzmq.federated.report import Absence, Answer, RoundReport

TERMS: dict[str, Term] = {"lr": 0.1, "torch": "2.13.0", "strategy": "FedAvg"}


def checkpoint(number: int, memory: bool = False) -> Checkpoint:
    model = {"weight": torch.full((3,), float(number))}
    kept = {"momentum/weight": torch.full((3,), number / 3, dtype=torch.float64)} if memory else {}
    return Checkpoint(number, "a name", model, kept, {"bob": number, "alice": number - 1}, {"bob": number + 2})


def report(number: int) -> RoundReport:
    answer = Answer("bob", 100, 0.4, 0.9, 7, {"accuracy": 0.75})
    return RoundReport(number, 0.5, 0.9, 0.4, 1.0, 10, 20, (answer,), (Absence("alice", "it left"),))


def run_to(ledger: RunLedger, number: int, memory: bool = False, rounds: int = 10) -> None:
    """Commit rounds up to this one, from where the ledger is."""
    before = ledger.take_up(TERMS, rounds)
    if before is None:
        ledger.begin(checkpoint(0, memory))
    for each in range(1 if before is None else before.round + 1, number + 1):
        ledger.commit(checkpoint(each, memory), report(each))
