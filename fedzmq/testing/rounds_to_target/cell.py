"""One cell of the tables: a way to train, and after how many rounds it reaches the target at its best learning rate."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

import torch

from fedzmq.errors import FedzmqError
from fedzmq.federation.federation import Federation
from fedzmq.testing.rounds_to_target.digits import HELD_OUT, WORKERS, Split, split_digits, two_hidden_layers

DIGITS = 1797
SLOW = 50  # rounds in which a rate has to come to half of the target, or is given up
WHOLE = 1_000_000  # a batch that holds whatever a worker has


@dataclass(frozen=True, slots=True)
class Cell:
    """fraction: of the workers, asked in each round (C). batch_size: None for all that a worker has (B = infinity)."""

    split: Split
    epochs: int
    batch_size: int | None
    fraction: float = 0.2

    @property
    def is_fedsgd(self) -> bool:
        """One step on all data of who is asked: federated averaging as plain gradient descent."""
        return self.epochs == 1 and self.batch_size is None

    @property
    def updates(self) -> float:
        """Local steps of a worker in a round: u = E n / (K B)."""
        rows = DIGITS * (1 - HELD_OUT) / WORKERS
        return self.epochs * max(1.0, rows / (self.batch_size or WHOLE))


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done for a cell. rates: the grid of learning rates, of which `first` is tried first."""

    target: float = 0.95
    seeds: tuple[int, ...] = (0, 1, 2)
    rates: tuple[float, ...] = (0.022, 0.046, 0.1, 0.22, 0.46, 1.0, 2.2, 4.6)
    first: float = 0.46
    most: int = 250  # rounds


@dataclass(frozen=True, slots=True)
class Found:
    """rounds: one for each seed, at the rate that is best for the first; none where no rate reaches the target."""

    cell: Cell
    rate: float | None = None
    rounds: tuple[float, ...] = ()

    @property
    def mean(self) -> float | None:
        return statistics.mean(self.rounds) if self.rounds else None


def measure(cell: Cell, effort: Effort) -> Found:
    """Find the best rate for the first seed, and train with the others at it."""
    torch.set_num_threads(1)
    best = _best(cell, effort)
    if best is None:
        return Found(cell)
    rounds, rate = best
    others = [rounds_to(cell, rate, seed, effort.target, effort.most) for seed in effort.seeds[1:]]
    if None in others:
        return Found(cell)
    return Found(cell, rate, (rounds, *(each for each in others if each is not None)))


def _best(cell: Cell, effort: Effort) -> tuple[float, float] | None:
    """The fewest rounds and their rate: up the grid as long as it helps, else down. Neither neighbour does better."""
    start = effort.rates.index(effort.first)
    best: tuple[float, float] | None = None
    for rates in (effort.rates[start:], effort.rates[:start][::-1]):
        before = best
        for rate in rates:
            # With more rounds than the best so far it is none.
            most = effort.most if best is None else int(best[0]) + 1
            rounds = rounds_to(cell, rate, effort.seeds[0], effort.target, most)
            if rounds is not None and (best is None or rounds < best[0]):
                best = rounds, rate
            elif best is not None or rates[0] == effort.first:
                break
        if best is not None and before is None and best[1] > effort.first:
            break  # it helped to go up
    return best


def rounds_to(cell: Cell, rate: float, seed: int, target: float, most: int) -> float | None:
    """Rounds until the target, by the paper's rule (see `History.rounds_to`); None where `most` do not do."""
    workers, held = split_digits(cell.split)
    model = two_hidden_layers(seed)
    with Federation(workers=workers) as federation:
        training = federation.train(
            model,
            torch.nn.functional.cross_entropy,
            evaluate=held,
            rounds=most,
            epochs=cell.epochs,
            batch_size=cell.batch_size or WHOLE,
            fraction=cell.fraction,
            lr=rate,
            seed=seed,
        )
        try:
            best = 0.0
            for report in training:
                best = max(best, report.accuracy or 0.0)
                if best >= target or (report.round >= SLOW and best < target / 2):
                    break
        except FedzmqError:  # the rate is too high, and all updates hold NaN
            return None
    return training.history.rounds_to(target)
