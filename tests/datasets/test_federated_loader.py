from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import fedzmq
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.datasets.federate import federate
from fedzmq.datasets.federated_dataset import FederatedDataset
from fedzmq.datasets.federated_loader import FederatedDataLoader
from fedzmq.errors import DataError
from tests.pointers.loopback import Place


@pytest.fixture
def three(bob: Place, alice: Place) -> FederatedDataset:
    """Two examples on bob, four on alice, four on james."""
    parts = ((bob, [1, 2]), (alice, [3, 4, 5, 6]), (Place("james"), [7, 8, 9, 10]))
    return FederatedDataset(
        [BaseDataset(torch.tensor(rows), torch.tensor(rows)).send(worker) for worker, rows in parts]
    )


def rows(data: torch.Tensor) -> list[int]:
    return [int(each) for each in data.copy().get()]


def seen(loader: FederatedDataLoader) -> list[Any]:
    """Of each step, worker and rows, and of steps with several workers all of them."""
    steps: list[Any] = []
    for step in loader:
        if isinstance(step, dict):
            steps.append({worker.name: rows(data) for worker, (data, _) in step.items()})
        else:
            data, target = step
            assert rows(data) == rows(target)
            steps.append((data.location.name, rows(data)))
    assert len(steps) == len(loader)
    return steps


def test_workers_are_visited_one_after_the_other(three: FederatedDataset) -> None:
    assert seen(FederatedDataLoader(three, batch_size=3)) == [
        ("bob", [1, 2]),
        ("alice", [3, 4, 5]),
        ("alice", [6]),
        ("james", [7, 8, 9]),
        ("james", [10]),
    ]


def test_what_does_not_fill_a_batch_can_be_left_out(three: FederatedDataset) -> None:
    assert seen(FederatedDataLoader(three, batch_size=3, drop_last=True)) == [
        ("alice", [3, 4, 5]),
        ("james", [7, 8, 9]),
    ]


def test_shuffling_orders_each_epoch_anew_within_each_worker(bob: Place, alice: Place) -> None:
    numbers = torch.arange(40)
    loader = FederatedDataLoader(federate(BaseDataset(numbers, numbers), (bob, alice)), batch_size=8, shuffle=True)
    torch.manual_seed(0)
    first, second = seen(loader), seen(loader)
    assert first != second
    for epoch in (first, second):
        assert [name for name, _ in epoch] == ["bob"] * 3 + ["alice"] * 3
        assert sorted(row for name, part in epoch for row in part if name == "bob") == list(range(20))
    torch.manual_seed(0)
    assert seen(loader) == first


def test_of_several_workers_at_a_time_one_takes_the_place_of_another_that_is_through(three: FederatedDataset) -> None:
    loader = FederatedDataLoader(three, batch_size=2, num_iterators=3)
    assert loader.num_iterators == 2
    assert seen(loader) == [
        {"bob": [1, 2], "alice": [3, 4]},
        {"james": [7, 8], "alice": [5, 6]},
        {"james": [9, 10]},
    ]


def test_with_an_iterator_for_each_worker_every_step_has_a_batch_of_all(three: FederatedDataset) -> None:
    loader = FederatedDataLoader(three, batch_size=1, iter_per_worker=True)
    assert loader.num_iterators == 3
    assert seen(loader) == [
        {"bob": [1], "alice": [3], "james": [7]},
        {"bob": [2], "alice": [4], "james": [8]},
    ]


def test_one_worker_has_one_iterator(bob: Place) -> None:
    dataset = federate(BaseDataset(torch.arange(4), torch.arange(4)), (bob,))
    loader = FederatedDataLoader(dataset, batch_size=2, num_iterators=4)
    assert loader.num_iterators == 1
    assert seen(loader) == [("bob", [0, 1]), ("bob", [2, 3])]


def test_batches_are_found_by_handle_and_by_name(three: FederatedDataset, bob: Place) -> None:
    (first, *_) = FederatedDataLoader(three, batch_size=2, num_iterators=2)
    assert first[bob] is first["bob"]
    with pytest.raises(KeyError):
        first["carol"]


def test_a_batch_costs_two_commands_and_no_rows(bob: Place) -> None:
    dataset = federate(BaseDataset(torch.zeros(512, 4), torch.zeros(512)), (bob,))
    bob.stream.flush()
    before = bob.line.records
    pairs = list(FederatedDataLoader(dataset, batch_size=64))
    bob.stream.flush()
    assert bob.line.records == before + 2 * len(pairs)


def test_an_order_travels_once_in_an_epoch(bob: Place) -> None:
    dataset = federate(BaseDataset(torch.zeros(512, 4), torch.zeros(512)), (bob,))
    bob.stream.flush()
    before = bob.line.records
    pairs = list(FederatedDataLoader(dataset, batch_size=64, shuffle=True))
    bob.stream.flush()
    assert bob.line.records <= before + 3 * len(pairs) + 2  # the order, its part and its use, and what was dropped


def test_what_is_not_federated_is_refused() -> None:
    with pytest.raises(DataError, match="it takes a FederatedDataset, not a BaseDataset"):
        FederatedDataLoader(BaseDataset(torch.ones(2), torch.ones(2)))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="batch_size is 0"):
        FederatedDataLoader(FederatedDataset([]), batch_size=0)


def train(bob: Any, alice: Any) -> list[float]:
    """The loop of the well-known tutorial: the model goes where each batch is, and comes back."""
    torch.manual_seed(0)
    features = torch.randn(48, 4)
    targets = features @ torch.tensor([[1.0], [-2.0], [0.5], [3.0]])
    loader = FederatedDataLoader(federate(BaseDataset(features, targets), (bob, alice)), batch_size=8, shuffle=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = []
    for _ in range(4):
        for data, target in loader:
            model.send(data.location)
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(data), target)
            loss.backward()
            optimizer.step()
            model.get()
        losses.append(loss.get().item())
    return losses


def test_a_model_that_goes_from_batch_to_batch_learns(bob: Place, alice: Place) -> None:
    losses = train(bob, alice)
    assert losses[-1] < losses[0] / 10


def test_it_learns_the_same_across_processes(bob: Place, alice: Place, site: LocalCluster) -> None:
    with site.connect() as client:
        torch.testing.assert_close(train(client.worker("bob"), client.worker("alice")), train(bob, alice))


def test_the_names_are_at_the_top() -> None:
    assert fedzmq.FederatedDataLoader is FederatedDataLoader
    assert fedzmq.federate is federate
