from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import fedzmq
from fedzmq.errors import UsageError


@pytest.fixture
def bob() -> Iterator[fedzmq.VirtualWorker]:
    hook = fedzmq.TorchHook(torch)
    yield fedzmq.VirtualWorker(hook, id="bob")
    hook.close()


def test_a_seeded_worker_draws_what_torch_draws_after_that_seed(bob: fedzmq.VirtualWorker) -> None:
    ones = torch.ones(100)
    pointer = ones.send(bob)
    bob.seed(3)
    drawn = nn.functional.dropout(pointer).get()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        assert torch.equal(drawn, nn.functional.dropout(ones))


def test_seeding_a_worker_leaves_this_process_alone(bob: fedzmq.VirtualWorker) -> None:
    before = torch.get_rng_state()
    bob.seed(3)
    nn.functional.dropout(torch.ones(100).send(bob)).get()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("value", ["a", 1.5, True, 2**63, -(2**63) - 1])
def test_what_is_no_seed_is_refused_at_once_and_costs_nothing_else(bob: fedzmq.VirtualWorker, value: Any) -> None:
    pointer = torch.ones(1).send(bob)
    with pytest.raises(UsageError, match="a seed is an int of 64 bits"):
        bob.seed(value)
    assert pointer.get().tolist() == [1.0]
