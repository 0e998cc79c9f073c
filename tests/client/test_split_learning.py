from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from fedzmq.client.client import Client
from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.cluster.local_cluster import LocalCluster

close = torch.testing.assert_close


@pytest.fixture
def client(site: LocalCluster) -> Iterator[Client]:
    with site.connect() as client:
        yield client


def test_a_gradient_flows_home_to_what_a_sent_tensor_was_computed_from(alice: VirtualWorker) -> None:
    x = torch.ones(3, requires_grad=True)
    y = (x + x).send(alice, requires_grad=True)
    assert y.requires_grad
    (y * 2).sum().backward()
    assert x.grad.tolist() == [4.0, 4.0, 4.0]
    assert y.grad is None


def test_a_gradient_flows_home_to_a_leaf_that_was_sent(alice: VirtualWorker) -> None:
    x = torch.ones(3, requires_grad=True)
    (x.send(alice, requires_grad=True) * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]


def test_without_a_history_here_the_gradient_stays_there(alice: VirtualWorker) -> None:
    y = torch.ones(3).send(alice, requires_grad=True)
    (y * 2).sum().backward()
    assert y.grad.copy().get().tolist() == [2.0, 2.0, 2.0]


def test_without_asking_for_it_no_gradient_comes_home_which_is_said(alice: VirtualWorker) -> None:
    x = torch.ones(3, requires_grad=True)
    with pytest.warns(UserWarning, match="requires_grad=True"):
        there = (x + x).send(alice)
    there.sum().backward()
    assert x.grad is None


def test_each_backward_brings_its_own_gradient(alice: VirtualWorker) -> None:
    x = torch.ones(2, requires_grad=True)
    y = (3 * x).send(alice, requires_grad=True)
    loss = (y * y).sum()
    for times in (1, 2):
        loss.backward(retain_graph=True)
        assert x.grad.tolist() == [18.0 * times] * 2


def test_a_gradient_flows_from_worker_to_worker(bob: VirtualWorker, alice: VirtualWorker) -> None:
    x = torch.ones(2, requires_grad=True).send(bob)
    y = (x * 3).move(alice, requires_grad=True)
    assert y.location is alice
    (y * 2).sum().backward()
    assert x.grad.copy().get().tolist() == [6.0, 6.0]


def test_a_gradient_flows_from_here_to_the_worker_that_a_tensor_came_from(hook: TorchHook, bob: VirtualWorker) -> None:
    x = torch.ones(2, requires_grad=True).send(bob)
    y = (x * 3).move(hook.local_worker, requires_grad=True)
    assert type(y) is torch.Tensor
    (y * 2).sum().backward()
    assert x.grad.copy().get().tolist() == [6.0, 6.0]
    z = (x * 3).get(requires_grad=True)
    (z * z).sum().backward()
    assert x.grad.copy().get().tolist() == [24.0, 24.0]


def test_a_gradient_crosses_three_places_and_comes_back(
    hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker
) -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    there = (x * 2).send(bob, requires_grad=True)
    further = (there * there).move(alice, requires_grad=True)
    back = (further + 1).move(hook.local_worker, requires_grad=True)
    (back * 3).sum().backward()
    assert x.grad.tolist() == [24.0, 48.0]


def test_a_network_in_two_halves_trains_as_the_whole_one(bob: VirtualWorker, alice: VirtualWorker) -> None:
    assert_split_training(bob, alice)


def test_a_network_in_two_halves_trains_across_processes(client: Client) -> None:
    assert_split_training(client.worker("bob"), client.worker("alice"))


def assert_split_training(bob: object, alice: object) -> None:
    """A first layer on bob beside the data, a second on alice, against both of them here."""
    first, second = nn.Linear(3, 4), nn.Linear(4, 1)
    whole = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    whole[0].load_state_dict(first.state_dict())
    whole[2].load_state_dict(second.state_dict())
    data = torch.arange(12.0).reshape(4, 3) / 10
    target = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    first.send(bob)
    second.send(alice)
    x, y = data.send(bob), target.send(alice)
    optimizers = [torch.optim.SGD(part.parameters(), lr=0.1, momentum=0.9) for part in (first, second)]
    expected = torch.optim.SGD(whole.parameters(), lr=0.1, momentum=0.9)
    for _ in range(5):
        for optimizer in optimizers:
            optimizer.zero_grad()
        hidden = torch.tanh(first(x)).move(alice, requires_grad=True)
        ((second(hidden) - y) ** 2).mean().backward()
        for optimizer in optimizers:
            optimizer.step()
        expected.zero_grad()
        ((whole(data) - target) ** 2).mean().backward()
        expected.step()
    close(first.get().weight, whole[0].weight)
    close(second.get().weight, whole[2].weight)
