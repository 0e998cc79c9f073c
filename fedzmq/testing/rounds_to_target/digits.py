"""Handwritten digits among twenty workers, after section 3 of the paper: at random, or two sorted shards each."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import nn

from fedzmq.data.data import Data
from fedzmq.data.examples import Examples
from fedzmq.data.load import load
from fedzmq.data.partition import hold_out, iid

WORKERS = 20
HELD_OUT = 0.2  # of the 1797: with a tenth, one example is half a percent
SPLIT_SEED = 0

Split: TypeAlias = Literal["IID", "two shards"]


def split_digits(split: Split) -> tuple[dict[str, Examples], Examples]:
    """The workers' examples by their names, and those to evaluate on."""
    kept, held = hold_out(load("digits"), HELD_OUT, SPLIT_SEED)
    assert isinstance(kept, Data)
    parts = iid(len(kept), WORKERS, SPLIT_SEED) if split == "IID" else _two_shards(kept.targets)
    return {f"worker{number:02}": kept.rows(rows) for number, rows in enumerate(parts, 1)}, held


def two_hidden_layers(seed: int) -> nn.Module:
    """The paper's 2NN: two hidden layers of 200 units with ReLU, for images of 8 by 8."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(64, 200), nn.ReLU(), nn.Linear(200, 200), nn.ReLU(), nn.Linear(200, 10))


def _two_shards(targets: torch.Tensor) -> list[torch.Tensor]:
    """Sorted by class and cut into two shards for each worker, which are dealt out at random."""
    shards = targets.argsort(stable=True).tensor_split(2 * WORKERS)
    order = np.random.RandomState(SPLIT_SEED).permutation(2 * WORKERS)
    return [torch.cat([shards[one], shards[other]]) for one, other in order.reshape(WORKERS, 2)]
