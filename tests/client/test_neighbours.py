"""The names that PySyft has for what places among workers do."""

from __future__ import annotations

import pytest
import torch

import fedzmq
from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.errors import PlanError, WorkerExists


def test_a_tensor_is_sent_to_stay_and_asked_for_by_its_number(
    hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker
) -> None:
    me = hook.local_worker
    number = me.send_obj(torch.tensor([1.0, 2.0]), bob).id_at_location
    assert bob.objects_count() == 1
    assert me.request_obj(number, bob).tolist() == [1.0, 2.0]
    assert alice.request_obj(number, "bob").tolist() == [1.0, 2.0]
    moved = bob.send_obj(torch.ones(2).send(bob), alice)
    assert (moved.location, moved.gc) == (alice, False)
    assert me.send_obj(moved, me).tolist() == [1.0, 1.0]


def test_a_search_is_asked_of_a_place(hook: TorchHook, bob: VirtualWorker) -> None:
    kept = torch.ones(1).send(bob).tag("#fun")
    (found,) = hook.local_worker.request_search(["#fun"], location=bob)
    assert found.location is kept.location


def test_a_plan_is_fetched_by_a_place(hook: TorchHook, bob: VirtualWorker) -> None:
    @fedzmq.func2plan(args_shape=[(3,)])
    def double(x: torch.Tensor) -> torch.Tensor:
        return x * 2

    double.send(bob)
    for fetched in (hook.local_worker.fetch_plan(double.id, bob), bob.fetch_plan(double.id)):
        assert fetched.forward is None
        assert fetched(torch.ones(3)).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(PlanError, match="has no plan"):
        bob.fetch_plan("nonsense")


def test_places_know_their_frameworks_and_each_other(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    for place in (hook.local_worker, bob):
        assert place.is_framework_supported("torch")
        assert not place.is_framework_supported("tensorflow")
        assert place.add_workers([alice]) is place.add_worker(alice) is place


def test_no_worker_has_the_name_of_this_process(hook: TorchHook) -> None:
    with pytest.raises(WorkerExists, match="'me', which is the name of this process") as caught:
        VirtualWorker(hook, "me")
    assert isinstance(caught.value, RuntimeError)


def test_a_slow_worker_takes_its_time_with_every_message(hook: TorchHook, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("fedzmq.client.virtual.time.sleep", slept.append)
    slow = VirtualWorker(hook, "slow", message_pending_time=0.1)
    torch.ones(1).send(slow).get()
    assert slept
    assert set(slept) == {0.1}
    VirtualWorker(hook, "slow").message_pending_time = 0
    slept.clear()
    torch.ones(1).send(slow).get()
    assert slept == []
