from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from fedzmq.client.client import Client
from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.errors import FedzmqError, RemoteError
from fedzmq.pointers.pointer import Pointer

close = torch.testing.assert_close


@pytest.fixture
def client(site: LocalCluster) -> Iterator[Client]:
    with site.connect() as client:
        yield client


def test_a_moved_tensor_leaves_one_worker_and_is_on_the_other_once(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.tensor([1.0, 2.0]).send(bob)
    q = p.move(alice)
    assert (len(bob._objects), list(alice._objects)) == (0, [q.id_at_location])
    assert (q.location, q.move(alice)) == (alice, q)
    assert q.get().tolist() == [1.0, 2.0]
    assert len(alice._objects) == 0


def test_a_move_passes_by_the_client(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.ones(100_000).send(bob)
    bob.objects_count()
    endpoint = hook.client.endpoint
    sent, received = endpoint.bytes_sent, endpoint.bytes_received
    q = p.move(alice)
    alice.objects_count()
    assert (endpoint.bytes_sent - sent) + (endpoint.bytes_received - received) < 10_000
    assert q.get().sum() == 100_000


def test_a_moved_leaf_is_a_leaf_with_its_gradient(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.tensor([1.0, 2.0], requires_grad=True).send(bob)
    (p * p).sum().backward()
    q = p.move(alice)
    assert q.requires_grad
    assert q.is_leaf
    close(q.grad.copy().get(), torch.tensor([2.0, 4.0]))
    (q * 3).sum().backward()
    close(q.get().grad, torch.tensor([5.0, 7.0]))


def test_a_moved_tensor_lies_as_it_lay(bob: VirtualWorker, alice: VirtualWorker) -> None:
    x = torch.rand(3, 4).t().requires_grad_()
    moved = x.send(bob).move(alice)
    there = alice._objects[moved.id_at_location]
    assert (moved.stride(), there.stride(), there.is_leaf, there.requires_grad) == ((1, 4), (1, 4), True, True)
    assert torch.equal(moved.get(), x)
    assert (len(bob._objects), len(alice._objects)) == (0, 0)


def test_another_thread_may_post_what_has_gathered_in_the_middle_of_a_move(
    bob: VirtualWorker, alice: VirtualWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.rand(3, 4).t()
    p = x.send(bob)
    stream = p._ref.stream
    command = stream.command

    def posted_before(*args: Any) -> None:
        stream.flush()
        command(*args)

    monkeypatch.setattr(stream, "command", posted_before)
    assert torch.equal(p.move(alice).get(), x)


def test_moving_to_me_is_getting(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    me = hook.local_worker
    x = torch.tensor([1.0, 2.0])
    assert x.send(bob).move(alice).move(me).tolist() == [1.0, 2.0]
    assert x.send(bob).move(hook.client).tolist() == [1.0, 2.0]
    assert x.move(me) is x


def test_tensors_that_cross_each_other_arrive(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p, q = torch.ones(3).send(bob), torch.zeros(3).send(alice)
    for _ in range(5):
        p, q = (p + 1).move(alice), (q + 2).move(bob)
        p, q = q, p
    assert (p.get().sum() + q.get().sum()).item() == 48.0


def test_what_failed_before_a_move_fails_after_it_as_the_same(bob: VirtualWorker, alice: VirtualWorker) -> None:
    wrong = torch.zeros(4).send(bob)[torch.tensor([9]).send(bob)]
    moved = wrong.move(alice) + 1
    with pytest.raises(RemoteError, match="before the move") as caught:
        moved.get()
    assert (caught.value.worker, caught.value.error) == ("alice", "IndexError")
    assert (torch.ones(2).send(bob).move(alice) + 1).get().tolist() == [2.0, 2.0]


def test_a_worker_that_is_gone_before_it_posts_leaves_nobody_waiting(bob: VirtualWorker, alice: VirtualWorker) -> None:
    moved = torch.ones(2).send(bob).move(alice)
    bob.close()
    with pytest.raises(RemoteError, match="'bob' was lost before the tensor had left it"):
        moved.get()
    assert (torch.ones(2).send(alice) + 1).get().tolist() == [2.0, 2.0]


def test_other_clients_of_a_worker_do_not_wait_for_a_move(site: LocalCluster, client: Client) -> None:
    with site.connect() as other:
        moved = torch.ones(500_000).send(client.worker("bob")).move(client.worker("alice"))
        assert torch.ones(2).send(other.worker("alice")).get().tolist() == [1.0, 1.0]
        assert moved.sum().get() == 500_000


def test_a_module_moves_in_place_with_its_buffers_and_gradients(bob: VirtualWorker, alice: VirtualWorker) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.LSTM(3, 2))
    expected = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = list(model.parameters())
    model.send(bob)
    model[0](torch.ones(4, 2)).sum().backward()
    assert model.move(alice) is model
    assert all(now is then for now, then in zip(model.parameters(), before, strict=True))
    assert (model.location, bob.objects_count()) == (alice, 0)
    assert model[0].weight.grad.location is alice
    with torch.no_grad():
        expected["0.weight"] -= 0.1 * 4
        expected["0.bias"] -= 0.1 * 4
    optimizer.step()
    for name, value in model.get().state_dict().items():
        close(value, expected[name])


def test_a_tied_and_a_frozen_parameter_move_as_they_are(bob: VirtualWorker, alice: VirtualWorker) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[1].weight = model[0].weight
    model[0].bias.requires_grad_(False)
    model.send(bob).move("alice")
    assert model[1].weight is model[0].weight
    assert not model[0].bias.requires_grad
    assert alice.objects_count() == 3


def test_a_copy_of_a_remote_module_is_its_own(bob: VirtualWorker) -> None:
    model = nn.Linear(2, 1).send(bob)
    x = torch.ones(1, 2).send(bob)
    copy = model.copy()
    close(copy(x).get(), model(x).get())
    copy.get()
    assert isinstance(model.weight, Pointer)
    assert model(x).get().shape == (1, 1)


def test_tensors_move_between_worker_processes_in_both_directions(client: Client) -> None:
    bob, alice, carol = (client.worker(name) for name in ("bob", "alice", "carol"))
    x = torch.arange(300_000.0)
    p = x.send(bob)
    for _ in range(3):
        p = p.move(alice).move(carol).move(bob)
    q = torch.ones(3).send(alice).move(bob) + 1
    close(p.get(), x)
    assert q.move(alice).get().tolist() == [2.0, 2.0, 2.0]


def test_a_module_moves_between_worker_processes(client: Client) -> None:
    model = nn.Linear(3, 2)
    x = torch.ones(1, 3)
    expected = model(x).detach()
    model.send(client.worker("bob")).move(client.worker("alice"))
    close(model(x).get().detach(), expected)


def test_a_worker_process_that_dies_before_it_posts_leaves_nobody_waiting(site: LocalCluster, client: Client) -> None:
    carol, alice = client.worker("carol"), client.worker("alice")
    p = torch.ones(2).send(carol)
    p.copy().get()
    site.kill("carol")
    try:
        with pytest.raises(FedzmqError, match="'carol'"):
            p.move(alice).get()
        assert torch.ones(2).send(alice).get().tolist() == [1.0, 1.0]
    finally:
        site.start_worker("carol")
