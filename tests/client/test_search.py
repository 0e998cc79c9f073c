from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fedzmq.client.client import Client
from fedzmq.client.grid import PrivateGridNetwork
from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.datasets.base_dataset import BaseDataset
from fedzmq.errors import NothingFound, UsageError


@pytest.fixture
def clients(site: LocalCluster) -> Iterator[tuple[Client, Client]]:
    with site.connect() as one, site.connect() as other:
        yield one, other


def test_a_search_finds_by_tags_and_by_the_description(hook: TorchHook, bob: VirtualWorker) -> None:
    x = torch.tensor([1.0, 2.0]).tag("#fun", "#mnist").describe("The first digits").send(bob)
    y = torch.tensor([3.0]).send(bob).tag("#fun")
    torch.ones(1).send(bob).tag("#fun")  # its pointer is gone at once
    assert (x.tags, x.description, y.tags) == ({"#fun", "#mnist"}, "The first digits", {"#fun"})
    for _ in range(2):
        assert len(bob.search("#fun")) == 2
        assert len(bob.search("#mnist")) == 1
        assert len(bob.search("#fun", "#mnist")) == len(bob.search(["#fun", "#mnist"])) == 1
        assert len(bob.search("digits")) == 1
        assert bob.search("#none") == []
    (found,) = bob.search("#mnist")
    assert (found.location, found.owner) == (bob, hook.local_worker)
    assert (found.tags, found.description) == ({"#fun", "#mnist"}, "The first digits")
    assert y.get().tags == {"#fun"}


def test_what_a_search_did_not_find_is_said_where_it_is_asked_for(bob: VirtualWorker, alice: VirtualWorker) -> None:
    grid, x = PrivateGridNetwork(bob, alice), torch.ones(1).tag("#houses").send(bob)
    with pytest.raises(NothingFound, match="nothing on 'alice' fits '#houses': it is on bob"):
        grid.search("#houses")["alice"]
    with pytest.raises(KeyError, match="it is nowhere; a search for nothing finds all there is"):
        grid.search("#boston")["bob"]
    assert (grid.search("#boston"), grid.search().keys()) == ({}, {"bob"})
    del x


def test_what_was_found_is_fetched_and_dropped_without_deleting_anything(bob: VirtualWorker) -> None:
    x = torch.tensor([1.0, 2.0]).send(bob).tag("#x")
    (found,) = bob.search("#x")
    found.add_(1)
    assert found.get().tolist() == [2.0, 3.0]
    del found
    bob.search("#x")
    assert bob.objects_count() == 1
    assert x.get().tolist() == [2.0, 3.0]


def test_a_found_leaf_has_a_gradient_of_its_own(bob: VirtualWorker) -> None:
    x = torch.ones(2, requires_grad=True).send(bob).tag("#x")
    (found,) = bob.search("#x")
    (found * 2).sum().backward()
    assert found.grad.copy().get().tolist() == [2.0, 2.0]
    assert x.grad is None


def test_very_many_are_found_all_the_same(bob: VirtualWorker) -> None:
    many = [torch.ones(1).send(bob).tag("#many") for _ in range(150)]
    assert len(bob.search("#many")) == len(many)


def test_a_client_searches_all_workers(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    kept = [
        torch.ones(1).send(bob).tag("#male"),
        torch.ones(1).send(VirtualWorker(hook, "james")).tag("#male"),
        torch.ones(1).send(alice).tag("#female"),
    ]
    assert {name: len(found) for name, found in hook.client.search("#male").items()} == {"bob": 1, "james": 1}
    assert sorted(hook.client.search()) == ["alice", "bob", "james"]
    del kept


def test_tags_and_descriptions_are_texts(bob: VirtualWorker) -> None:
    with pytest.raises(UsageError, match="a tag is a text"):
        torch.ones(1).tag(5)
    with pytest.raises(UsageError, match="a description is a text"):
        torch.ones(1).send(bob).describe(None)
    with pytest.raises(UsageError, match="a search is for tags"):
        bob.search(5)


def test_another_client_finds_nothing_that_is_not_shared(clients: tuple[Client, Client]) -> None:
    one, other = clients
    mine = torch.tensor([1.0, 2.0]).send(one.worker("bob")).tag("#mine")
    assert len(one.worker("bob").search("#mine")) == 1
    assert other.worker("bob").search("#mine") == []
    assert other.worker("bob").list_objects() == ()
    assert mine.get().tolist() == [1.0, 2.0]


def test_a_shared_tensor_is_found_by_the_clients_that_it_is_shared_with(clients: tuple[Client, Client]) -> None:
    one, other = clients
    everyone = torch.tensor([1.0, 2.0]).send(one.worker("bob")).tag("#open").share()
    torch_friends = torch.ones(1).send(one.worker("bob")).tag("#friends").share(other.home.name)
    strangers = torch.ones(1).send(one.worker("bob")).tag("#strangers").share("somebody-else")
    (found,) = other.worker("bob").search("#open")
    assert len(other.worker("bob").search("#friends")) == 1
    assert other.worker("bob").search("#strangers") == []
    assert (found * 2).get().tolist() == [2.0, 4.0]
    assert found.get().tolist() == [1.0, 2.0]
    assert everyone.get().tolist() == [1.0, 2.0]
    del torch_friends, strangers


def test_what_is_tagged_once_it_is_shared_is_found_at_once(clients: tuple[Client, Client]) -> None:
    mine, theirs = clients
    p = torch.ones(2).send(mine.worker("bob")).share().tag("#late").describe("too late")
    assert len(theirs.worker("bob").search("#late", "too late")) == 1
    assert p.tags == {"#late"}


def test_what_a_client_shared_is_gone_with_it(site: LocalCluster) -> None:
    with site.connect() as other:
        with site.connect() as one:
            shared = torch.ones(2).send(one.worker("bob")).tag("#passing").share()
            (found,) = other.worker("bob").search("#passing")
        assert found.get().tolist() == [1.0, 1.0]
        bob = other.worker("bob")
        assert other.wait_until(lambda: bob.search("#passing") == [], 10)
        del shared


def test_numbers_of_one_client_mean_nothing_to_another(clients: tuple[Client, Client]) -> None:
    one, other = clients
    mine = torch.tensor([7.0]).send(one.worker("bob"))
    theirs = torch.tensor([8.0]).send(other.worker("bob"))
    assert mine.id_at_location == theirs.id_at_location
    assert (mine.get().item(), theirs.get().item()) == (7.0, 8.0)


def test_a_tagged_data_set_is_found_on_its_worker(bob: VirtualWorker) -> None:
    dataset = BaseDataset(torch.arange(4.0).reshape(2, 2), torch.tensor([0, 1])).tag("#toy").describe("two rows")
    other = BaseDataset(torch.ones(1, 2), torch.ones(1)).tag("#toy", "#other").send(bob)
    assert (dataset.tags, dataset.description) == ({"#toy"}, "two rows")
    dataset.send(bob)
    assert len(bob.search_datasets("#toy")) == 2
    (found,) = bob.search_datasets("#toy", "two rows")
    assert (found.location, len(found), found.tags) == (bob, 2, {"#toy"})
    assert found.owner is dataset.owner
    assert found.get().targets.tolist() == [0, 1]
    assert len(other) == 1
