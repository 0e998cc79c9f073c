"""Handwritten digits among twenty workers, after section 3 of the paper: at random, or two sorted shards each."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import nn

from fedzmq.data.examples import Examples
from fedzmq.data.load import load
from fedzmq.data.partition import hold_out, part
from fedzmq.data.partitioners.iid import Iid
from fedzmq.data.partitioners.partitioner import Partitioner
from fedzmq.data.partitioners.shards import Shards

WORKERS = 20
HELD_OUT = 0.2  # of the 1797: with a tenth, one example is half a percent
SPLIT_SEED = 0

Split: TypeAlias = Literal["IID", "two shards"]
SPLITS: dict[Split, Partitioner] = {"IID": Iid(), "two shards": Shards(per_worker=2)}


def split_digits(split: Split) -> tuple[dict[str, Examples], Examples]:
    """The workers' examples by their names, and those to evaluate on."""
    digits = load("digits")
    workers = {
        f"worker{number:02}": part(digits, number, WORKERS, SPLITS[split], SPLIT_SEED, fraction=HELD_OUT)
        for number in range(1, WORKERS + 1)
    }
    return workers, hold_out(digits, HELD_OUT, SPLIT_SEED)[1]


def two_hidden_layers(seed: int) -> nn.Module:
    """The paper's 2NN: two hidden layers of 200 units with ReLU, for images of 8 by 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))
