from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import fedzmq
from fedzmq.errors import UsageError
from fedzmq.pointers import seeding


class FakeStream:
    """Notes its seeds."""

    def __init__(self, seeds: list[int]) -> None:
        self.seeds = seeds

    def reseed(self, seed: int) -> None:
        self.seeds.append(seed)

    def save_random_state(self) -> None: ...

    def load_random_state(self, saved: object) -> None: ...


@pytest.fixture
def hook() -> Iterator[fedzmq.TorchHook]:
    hook = fedzmq.TorchHook(torch)
    yield hook
    hook.close()


@pytest.fixture
def bob(hook: fedzmq.TorchHook) -> fedzmq.VirtualWorker:
    return fedzmq.VirtualWorker(hook, id="bob")


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


def test_the_seed_of_torch_reaches_every_worker_and_this_process(
    hook: fedzmq.TorchHook, bob: fedzmq.VirtualWorker
) -> None:
    ones, alice = torch.ones(100), fedzmq.VirtualWorker(hook, id="alice")
    pointers = [ones.send(bob), ones.send(alice)]
    for _ in range(2):
        torch.manual_seed(7)
        expected = nn.functional.dropout(ones)
        torch.manual_seed(7)
        assert all(torch.equal(nn.functional.dropout(pointer).copy().get(), expected) for pointer in pointers)


def test_a_worker_that_is_met_after_a_seed_begins_with_it(hook: fedzmq.TorchHook) -> None:
    torch.manual_seed(-1)
    carol = fedzmq.VirtualWorker(hook, id="carol")
    assert torch.equal(carol.remote.torch.rand(10).get(), torch.rand(10))


def test_the_seed_of_one_worker_is_its_own(hook: fedzmq.TorchHook, bob: fedzmq.VirtualWorker) -> None:
    alice = fedzmq.VirtualWorker(hook, id="alice")
    torch.manual_seed(1)
    bob.seed(2)
    one, two = bob.remote.torch.rand(10).get(), alice.remote.torch.rand(10).get()
    assert torch.equal(two, torch.rand(10))
    torch.manual_seed(2)
    assert torch.equal(one, torch.rand(10))


def test_a_state_of_torch_is_that_of_the_workers_too(bob: fedzmq.VirtualWorker) -> None:
    zeros = torch.zeros(10).send(bob)
    state = torch.get_rng_state()
    first = torch.rand_like(zeros)
    torch.set_rng_state(state)
    assert torch.equal(torch.rand_like(zeros).get(), first.get())


def test_what_is_drawn_in_fork_rng_changes_nothing_after_it(hook: fedzmq.TorchHook, bob: fedzmq.VirtualWorker) -> None:
    torch.manual_seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        bob.remote.torch.rand(3)
    drawn = [bob.remote.torch.rand(10), fedzmq.VirtualWorker(hook, id="carol").remote.torch.rand(10)]
    expected = torch.rand(10)
    assert all(torch.equal(each.get(), expected) for each in drawn)


def test_equal_states_without_a_history_are_equal_seeds(bob: fedzmq.VirtualWorker) -> None:
    state, drawn = torch.get_rng_state().clone(), []
    for _ in range(2):
        torch.set_rng_state(state)
        drawn.append(bob.remote.torch.rand(10).get())
    assert torch.equal(*drawn)


def test_a_checkpoint_drops_again_what_it_dropped(bob: fedzmq.VirtualWorker) -> None:
    x = torch.ones(100).send(bob).requires_grad_()
    made = checkpoint(nn.functional.dropout, x, use_reentrant=True)
    made.sum().backward()
    assert torch.equal(x.grad.copy().get(), made.get().detach())


@pytest.mark.parametrize(("seed", "is_followed"), [(7, True), (2**62, False)])
def test_a_seed_that_somebody_gave_before_anybody_watched_is_followed(seed: int, is_followed: bool) -> None:
    followed: list[int] = []
    seeds = seeding._Seeds()
    seeds.begin(seed)
    stream = FakeStream(followed)
    seeds.follow(stream)
    assert followed == [seed] * is_followed
