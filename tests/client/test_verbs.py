from __future__ import annotations

import os

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.errors import (
    GetNotPermittedError,
    InvalidTensorForRemoteGet,
    NotInPlaceError,
    ObjectNotFoundError,
    PointerError,
    TensorsNotCollocatedException,
    UsageError,
    WorkerNotFoundError,
)
from fedzmq.pointers.multi_pointer import MultiPointer, combine_pointers
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.pointer_to_pointer import PointerToPointer
from fedzmq.recording.decorators import func2plan

close = torch.testing.assert_close


def test_send_and_get_in_place_keep_the_object_and_its_id(bob: VirtualWorker) -> None:
    x = torch.tensor([1.0, 2.0])
    identity, number = id(x), x.id
    assert x.send_(bob) is x
    assert isinstance(x, Pointer)
    assert bob.objects_count() == 1
    assert x.get_() is x
    assert type(x) is torch.Tensor
    assert (id(x), x.id, x.tolist()) == (identity, number, [1.0, 2.0])
    assert bob.objects_count() == 0


def test_a_parameter_goes_and_comes_in_place_and_stays_what_an_optimizer_holds(bob: VirtualWorker) -> None:
    p = nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = torch.optim.SGD([p], lr=0.5)
    assert p.send_(bob) is p
    assert isinstance(p, nn.Parameter)
    (p + p).sum().backward()
    optimizer.step()
    assert p.get_() is p
    assert type(p) is nn.Parameter
    assert p.tolist() == [0.0, 1.0]
    assert p.grad.tolist() == [2.0, 2.0]


def test_a_parameter_is_sent_and_fetched_twice(bob: VirtualWorker) -> None:
    p = nn.Parameter(torch.tensor([1.0, 2.0]))
    for _ in range(2):
        there = p.send(bob)
        assert (there + there).get().tolist() == [2.0, 4.0]
        p = there.get()
        assert type(p) is nn.Parameter


def test_a_worker_is_named_where_it_is_sent_to(hook: TorchHook, bob: VirtualWorker) -> None:
    p = torch.ones(2).send("bob")
    assert p.location is bob
    with pytest.raises(WorkerNotFoundError, match=r"no worker 'bobby' is here \(known: .*bob"):
        torch.ones(2).send("bobby")
    with pytest.raises(UsageError, match="a worker or the name of one is expected"):
        torch.ones(2).send(5)


def test_one_tensor_is_not_sent_to_several_workers_in_place(bob: VirtualWorker, alice: VirtualWorker) -> None:
    x = torch.ones(2)
    with pytest.raises(NotInPlaceError, match=r"on bob and alice in place; \.send\(bob, alice\)") as caught:
        x.send_(bob, alice)
    assert isinstance(caught.value, NotImplementedError)
    assert type(x) is torch.Tensor


def test_a_tensor_on_several_workers_is_fetched_as_a_list_or_a_sum(bob: VirtualWorker, alice: VirtualWorker) -> None:
    x = torch.tensor([1.0, 2.0])
    p = x.send(bob, alice)
    assert isinstance(p, MultiPointer)
    assert p.location == [bob, alice]
    assert (p.shape, p.dtype, repr(p)) == ((2,), torch.float32, "MultiPointer(2 float32 on bob, alice)")
    assert [value.tolist() for value in (p + p).get()] == [[2.0, 4.0], [2.0, 4.0]]
    assert p.get(sum_results=True).tolist() == [2.0, 4.0]


def test_operations_on_a_multi_pointer_run_on_every_worker(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.tensor([3.0, 1.0, 2.0], requires_grad=True).send(bob, "alice")
    values, indices = torch.sort(torch.stack([p, 2 * p]).sum(0))
    assert isinstance(values, MultiPointer)
    assert [value.tolist() for value in indices.get()] == [[1, 2, 0]] * 2
    (values * p).sum().backward()
    assert p.requires_grad
    assert all(gradient.shape == (3,) for gradient in p.grad.copy().get())
    q = torch.ones(3).send(bob, alice)
    assert q.add_(1) is q
    assert [value.tolist() for value in q.get()] == [[2.0] * 3] * 2


def test_pointers_are_combined_either_way(bob: VirtualWorker, alice: VirtualWorker) -> None:
    x, y = torch.ones(2).send(bob), torch.zeros(2).send(alice)
    for both in (x.combine(y), combine_pointers(x, y)):
        assert [value.tolist() for value in both.copy().get()] == [[1.0, 1.0], [0.0, 0.0]]
    with pytest.raises(UsageError, match="two of these are on the same one"):
        combine_pointers(x, x + 1)
    with pytest.raises(UsageError, match="that are alike"):
        combine_pointers(x, torch.ones(3).send(alice))
    with pytest.raises(UsageError, match="that is here"):
        combine_pointers(x, torch.ones(2))


def test_multi_pointers_on_other_workers_do_not_meet(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    x = torch.ones(2)
    with pytest.raises(TensorsNotCollocatedException, match="not on the same workers"):
        x.send(bob, alice) + x.send(bob, VirtualWorker(hook, "carol"))


def test_the_switches_of_garbage_collection_agree(bob: VirtualWorker) -> None:
    for switch in ("gc", "garbage_collection"):
        p = torch.ones(2).send(bob)
        assert (p.gc, p.garbage_collection) == (True, True)
        setattr(p, switch, False)
        assert (p.gc, p.garbage_collection) == (False, False)
    p = torch.ones(2).send(bob)
    assert p.disable_gc is p
    assert not p.gc
    p.gc = True
    assert p.garbage_collection


def test_without_garbage_collection_a_tensor_outlives_its_pointers(bob: VirtualWorker) -> None:
    kept = torch.ones(2).send(bob, garbage_collect_data=False)
    number = kept.id_at_location
    goes = torch.ones(2).send(bob)
    stays = torch.ones(2, requires_grad=True).send(bob).disable_gc
    assert bob.objects_count() == 3
    del kept, goes, stays
    assert bob.objects_count() == 2
    assert torch.empty(2).create_pointer(bob, number).get().tolist() == [1.0, 1.0]
    assert bob.objects_count() == 1


def test_get_takes_what_is_not_collected_too(bob: VirtualWorker) -> None:
    torch.ones(2).send(bob).disable_gc.get()
    assert bob.objects_count() == 0


def test_another_value_under_the_name_frees_the_tensor(bob: VirtualWorker) -> None:
    p: object = torch.ones(2).send(bob)
    assert bob.objects_count() == 1
    p = "asdf"
    assert bob.objects_count() == 0
    assert p == "asdf"


def test_a_pointer_is_made_for_what_is_there(hook: TorchHook, bob: VirtualWorker) -> None:
    p = torch.empty(2).create_pointer(location=bob, id_at_location=7, owner=hook.local_worker, ptr_id=2)
    assert (p.location, p.id_at_location, p.owner, p.id) == (bob, 7, hook.local_worker, 2)
    assert p.gc
    with pytest.raises(ObjectNotFoundError, match="7"):
        p.get()


def test_what_was_cleared_is_named_by_its_number(bob: VirtualWorker) -> None:
    p = torch.ones(2).send(bob)
    assert bob.clear_objects() is bob
    assert len(bob._objects) == 0
    number = str(p.id_at_location)
    with pytest.raises(ObjectNotFoundError, match=number):
        (p + 1).get()
    with pytest.raises(ObjectNotFoundError, match=number):
        p.get()


def test_workers_know_each_other_by_name(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    assert bob.get_worker("alice").id == alice.id
    assert bob.get_worker(alice) is alice
    assert bob.get_worker("me") is hook.local_worker
    assert bob.get_worker("nobody") == "nobody"
    for unknown in ("nobody", 17):
        with pytest.raises(WorkerNotFoundError):
            bob.get_worker(unknown, fail_hard=True)
    assert bob.add_workers([alice]) is bob


def test_a_virtual_worker_has_the_data_that_it_was_made_with(hook: TorchHook) -> None:
    x = torch.tensor([1.0, 2.0]).tag("#data")
    james = VirtualWorker(hook, "james", data=[x])
    assert x.owner is james
    assert x.id in james._objects
    (found,) = james.search("#data")
    assert found.get().tolist() == [1.0, 2.0]
    assert james.objects_count() == 1


def test_a_virtual_worker_is_made_as_in_pysyft(hook: TorchHook) -> None:
    james = VirtualWorker(hook, id="james", is_client_worker=False, auto_add=True, verbose=False)
    james.load_data([torch.ones(1).tag("#later")])
    assert len(james.search("#later")) == 1
    with pytest.raises(UsageError, match="leave those out"):
        VirtualWorker(hook, id="jon", is_client_worker=True)
    assert hook.local_worker.clear_objects() is hook.local_worker


def test_a_worker_that_is_made_again_is_the_same_place(hook: TorchHook, bob: VirtualWorker) -> None:
    again, alice = VirtualWorker(hook, "bob"), VirtualWorker(hook, "alice")
    p = torch.ones(1).send(bob)
    assert again == bob == p.location
    assert {bob: "here"}[again] == "here"
    assert bob != alice
    assert (repr(hook), repr(hook.client)) == (
        "<TorchHook with bob, alice>",
        f"<client 'me' at {hook.client.address}>",
    )


def test_of_a_multi_pointer_all_values_come_home_or_none(bob: VirtualWorker, alice: VirtualWorker) -> None:
    both = torch.ones(2).send(bob, alice)
    at_bob, at_alice = both.pointers()
    at_alice.private_()
    with pytest.raises(GetNotPermittedError):
        both.get()
    assert at_bob.get().tolist() == [1.0, 1.0]


def test_what_would_write_a_multi_pointer_into_one_pointer_is_refused(bob: VirtualWorker, alice: VirtualWorker) -> None:
    at_bob, both = torch.ones(2).send(bob), torch.ones(2).send(bob, alice)
    with pytest.raises(TensorsNotCollocatedException, match="one tensor cannot take in"):
        at_bob[0] = both[0]
    with pytest.raises(TensorsNotCollocatedException, match="one tensor cannot take in"):
        torch.fill_(input=at_bob, value=both[0])  # type: ignore[call-overload]  # by name, as torch takes it
    with pytest.raises(TensorsNotCollocatedException, match="one tensor cannot take in"):
        torch._foreach_add_([at_bob], [both])


def test_a_gradient_is_not_lost_where_a_local_operand_is_sent_by_a_call_over_there(bob: VirtualWorker) -> None:
    weight = torch.ones(2, requires_grad=True)
    with pytest.raises(TensorsNotCollocatedException, match=r"worker .bob. and this process .the local one requires"):
        bob.remote.torch.mul(weight, 2)
    with torch.no_grad():
        assert bob.remote.torch.mul(weight, 2).get().tolist() == [2.0, 2.0]


def test_a_plan_is_fetched_by_its_owner(hook: TorchHook, bob: VirtualWorker) -> None:
    plan = func2plan(args_shape=[(1,)])(lambda x: x * 3)
    pointer = plan.send(bob)
    assert plan.owner is pointer.owner is hook.local_worker
    assert hook.local_worker.fetch_plan(pointer.id_at_location, bob)(torch.ones(1)).tolist() == [3.0]


def test_a_worker_makes_tensors_over_there(bob: VirtualWorker) -> None:
    there = bob.remote.torch
    assert there.zeros(2, 3).get().tolist() == torch.zeros(2, 3).tolist()
    assert there.tensor([1, 2]).get().tolist() == [1, 2]
    assert there.arange(1, 7, 2, dtype=there.float64).get().tolist() == [1.0, 3.0, 5.0]
    assert there.full((2,), 5).dtype is torch.int64
    x = there.rand(100)
    assert 0 <= x.min().get() < x.max().get() < 1
    assert there.randn(3, requires_grad=True).requires_grad
    assert there.ones(3).location is bob
    assert there.add(torch.ones(2), 1).location is bob
    torch.testing.assert_close(there.signal.windows.kaiser(5).get(), torch.signal.windows.kaiser(5))
    with pytest.raises(ValueError, match="non-empty list"):
        there.cat([])
    with pytest.raises(TypeError, match="makes none"):
        there.broadcast_tensors()
    assert there.nn.functional.relu(there.eye(2) - 1).get().tolist() == [[0.0, 0.0], [0.0, 0.0]]
    for name in ("load", "nonsense", "save", "Tensor"):
        with pytest.raises(AttributeError, match=f"torch.{name} is not among what worker 'bob' runs"):
            getattr(there, name)


def test_a_pointer_to_a_pointer_is_unwrapped_one_get_after_the_other(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.tensor([1.0, 2.0]).send(bob).send(alice)
    assert isinstance(p, PointerToPointer)
    assert p.location is alice
    assert repr(p).startswith("alice -> Pointer(2 float32 on bob")
    inner = (p + p).get()
    assert inner.location is bob
    assert inner.get().tolist() == [2.0, 4.0]
    assert p.get().get().tolist() == [1.0, 2.0]


def test_chains_are_as_long_as_one_likes(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    carol = VirtualWorker(hook, "carol")
    p = torch.tensor([1.0]).send(bob).send(alice).send(carol)
    assert p.get().get().get().tolist() == [1.0]
    p = torch.tensor([1.0]).send(bob).send(alice).send(carol)
    assert p.remote_get() is p
    assert p.location is carol
    assert p.get().location is bob


def test_a_worker_gets_what_its_pointer_points_to(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.tensor([1.0, 2.0]).send(bob).send(alice)
    p.remote_get()
    assert (bob.objects_count(), alice.objects_count(), p.location) == (0, 1, alice)
    assert p.get().tolist() == [1.0, 2.0]
    with pytest.raises(InvalidTensorForRemoteGet):
        torch.ones(2).send(bob).remote_get()


def test_a_worker_sends_its_tensor_on_and_keeps_a_pointer(
    hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker
) -> None:
    p = torch.tensor([1.0, 2.0]).send(bob).remote_send(alice)
    assert p.location is bob
    assert (bob.objects_count(), alice.objects_count()) == (0, 1)
    assert p.get().get().tolist() == [1.0, 2.0]


def test_the_end_of_a_chain_is_freed_with_it(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.ones(2).send(bob).send(alice)
    assert bob.objects_count() == 1
    del p
    assert (bob.objects_count(), alice.objects_count()) == (0, 0)


def test_gradients_flow_through_a_pointer_to_a_pointer(bob: VirtualWorker, alice: VirtualWorker) -> None:
    x = torch.ones(2, requires_grad=True).send(bob)
    (x.send(alice) * 3).sum().backward()
    assert x.grad.copy().get().tolist() == [3.0, 3.0]


def test_a_gradient_is_none_before_a_backward_and_stays_when_it_is_fetched(bob: VirtualWorker) -> None:
    x = torch.ones(2, requires_grad=True).send(bob)
    assert x.grad is None
    (x * 2).sum().backward()
    for _ in range(2):
        assert x.grad.copy().get().tolist() == [2.0, 2.0]
    assert x.get().grad.tolist() == [2.0, 2.0]


def test_data_is_another_name_for_the_same_values(bob: VirtualWorker) -> None:
    x = torch.ones(2, requires_grad=True).send(bob)
    x.data.add_(1)
    assert not x.data.requires_grad
    assert x.data.get().tolist() == [2.0, 2.0]
    assert x.get().tolist() == [2.0, 2.0]


def test_a_pointer_meets_a_multi_pointer_on_every_worker(bob: VirtualWorker, alice: VirtualWorker) -> None:
    several, one = torch.ones(2).send(bob, alice), torch.tensor([1.0, 2.0]).send(bob)
    for both in (several + one, one + several):
        assert both.location == [bob, alice]
        assert [value.tolist() for value in both.get()] == [[2.0, 3.0]] * 2
    assert [value.tolist() for value in torch.cat([one, several]).get()] == [[1.0, 2.0, 1.0, 1.0]] * 2
    with pytest.raises(TensorsNotCollocatedException, match="one tensor cannot take in"):
        one.add_(several)
    with pytest.raises(TensorsNotCollocatedException, match="gradient"):
        torch.ones(2, requires_grad=True).send(bob) * several
    assert one.get().tolist() == [1.0, 2.0]


def test_a_chain_meets_a_pointer_wherever_it_stands(bob: VirtualWorker, alice: VirtualWorker) -> None:
    chain, one = torch.ones(2).send(bob).send(alice), torch.ones(2).send(bob)
    for both in (one + chain, chain + one):
        assert both.get().get().tolist() == [2.0, 2.0]


def test_a_multi_pointer_is_labelled_and_kept_on_every_worker(bob: VirtualWorker, alice: VirtualWorker) -> None:
    p = torch.ones(2).tag("#a").send(bob, alice)
    assert p.tag("#b").describe("ones") is p
    assert (p.tags, p.description) == ({"#a", "#b"}, "ones")
    assert [len(worker.search("#b", "ones")) for worker in (bob, alice)] == [1, 1]
    assert p.gc
    p.gc = False
    assert (p.garbage_collection, p.disable_gc.garbage_collect_data) == (False, False)
    del p
    assert (bob.objects_count(), alice.objects_count()) == (1, 1)


def test_a_multi_pointer_does_not_become_one_tensor(bob: VirtualWorker, alice: VirtualWorker) -> None:
    with pytest.raises(PointerError, match="gives the values, one for each worker"):
        torch.ones(2).send(bob, alice).get_()


def test_another_worker_holds_the_pointer_that_is_moved(
    hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker
) -> None:
    james = VirtualWorker(hook, "james")
    chain = torch.ones(2).send(bob).send(alice).move(james)
    assert isinstance(chain, PointerToPointer)
    assert chain.location is james
    back = chain.move(hook.local_worker)
    assert isinstance(back, Pointer)
    assert back.location is bob


def test_what_a_pointer_is_tagged_with_is_shown(bob: VirtualWorker) -> None:
    p = torch.ones(2).tag("#fun").send(bob)
    assert repr(p) == f"Pointer(2 float32 on bob, #{p.id_at_location}, '#fun')"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process forks here")
def test_a_process_that_was_forked_has_no_use_of_pointers(bob: VirtualWorker) -> None:
    rows = DataLoader(TensorDataset(torch.ones(2).send(bob)), num_workers=1, multiprocessing_context="fork")
    with pytest.raises(PointerError, match="num_workers=0"):
        next(iter(rows))
