"""What is private does not leave its worker, whatever is done to it there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import fedzmq
from fedzmq.client.client import Client
from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.errors import GetNotPermittedError, RemoteError, SendNotPermittedError, UsageError

X = torch.tensor([1.0, 2.0, 3.0])
SGD = {
    "weight_decay": 0.0,
    "momentum": 0.0,
    "dampening": 0.0,
    "nesterov": False,
    "maximize": False,
    "is_first_step": False,
}


@pytest.fixture
def clients(site: LocalCluster) -> Iterator[tuple[Client, Client]]:
    with site.connect() as one, site.connect() as other:
        yield one, other


def test_a_private_tensor_is_computed_with_and_not_fetched(bob: VirtualWorker) -> None:
    p = X.send(bob).private_()
    q = p * 2 + 1
    assert q.shape == (3,)
    for secret in (p, q):
        with pytest.raises(GetNotPermittedError, match="nobody may take it, and 'me' not"):
            secret.get()
    assert torch.ones(1).send(bob).get().tolist() == [1.0]


def test_an_allowed_client_takes_it(bob: VirtualWorker) -> None:
    p = X.send(bob, allowed_users=["me", "anna"])
    assert (p * 2).get().tolist() == [2.0, 4.0, 6.0]
    value = p.get(user="me")
    assert value.tolist() == X.tolist()
    assert (value.allow("anna"), value.allow("bert"), value.allowed_users) == (True, False, {"me", "anna"})


def by_a_view(p: Tensor, public: Tensor) -> Tensor:
    return p[0:2]


def by_a_copy_into_a_public_one(p: Tensor, public: Tensor) -> Tensor:
    return public.copy_(p)


def by_a_view_that_was_there_before(p: Tensor, public: Tensor) -> Tensor:
    view = public[1:]
    public.copy_(p)
    return view


def by_data(p: Tensor, public: Tensor) -> Tensor:
    public.data = p
    return public


def by_data_that_is_copied(p: Tensor, public: Tensor) -> Tensor:
    flags = torch.zeros(3, dtype=torch.bool).send(p.location)
    flags.data = p > 1
    return flags


def by_data_in_the_place_of_a_result(p: Tensor, public: Tensor) -> Tensor:
    product = public.requires_grad_() * p
    product.data = torch.ones(3).send(p.location)
    product.sum().backward()
    return public.grad.copy()


def by_a_gradient(p: Tensor, public: Tensor) -> Tensor:
    public.requires_grad_()
    (public * p).sum().backward()
    return public.grad.copy()


def by_a_gradient_of_a_gradient(p: Tensor, public: Tensor) -> Tensor:
    public.requires_grad_()
    return torch.autograd.grad((public * p).sum(), public)[0]


def by_a_backward_that_fails_halfway(p: Tensor, public: Tensor) -> Tensor:
    public.requires_grad_()
    overwritten = torch.ones(3).send(p.location).requires_grad_().exp()
    loss = (public * p).sum() + overwritten.sum()
    overwritten.add_(1)  # which its backward needs as it was
    loss.backward()
    with pytest.raises(RemoteError, match="withheld"):
        public.grad.copy().get()
    public.sum().backward()
    return public.grad.copy()


def by_a_hook(p: Tensor, public: Tensor) -> Tensor:
    public.requires_grad_()
    seen: list[Tensor] = []
    public.register_hook(seen.append)
    (public * p).sum().backward()
    return seen[0].copy()


def by_a_hook_that_returns_it(p: Tensor, public: Tensor) -> Tensor:
    public.requires_grad_()
    public.register_hook(lambda gradient: p)
    public.sum().backward()
    return public.grad.copy()


def by_data_that_a_graph_has_saved(p: Tensor, public: Tensor) -> Tensor:
    public.requires_grad_()
    loss = (public * public).sum()
    public.data = p
    loss.backward()
    return public.grad.copy()


def by_a_retained_gradient(p: Tensor, public: Tensor) -> Tensor:
    middle = public.requires_grad_() * 1
    middle.retain_grad()
    (middle * p).sum().backward()
    return middle.grad.copy()


def by_a_gradient_that_another_is_added_to(p: Tensor, public: Tensor) -> Tensor:
    public.requires_grad_().grad = p
    public.sum().backward(create_graph=True)
    return public.grad.detach()


def by_a_retained_gradient_that_another_is_added_to(p: Tensor, public: Tensor) -> Tensor:
    middle = public.requires_grad_() * 1
    middle.retain_grad()
    (middle * p).sum().backward(retain_graph=True)
    public.grad = None
    middle.sum().backward()
    return middle.grad.copy()


def by_a_step_of_an_optimizer(p: Tensor, public: Tensor) -> Tensor:
    weights = nn.Parameter(public)
    optimizer = torch.optim.Adam([weights])
    (weights * p).sum().backward()
    optimizer.step()
    return weights.detach().copy()


def by_batch_statistics(p: Tensor, public: Tensor) -> Tensor:
    norm = nn.BatchNorm1d(1).send(p.location)
    norm(p.reshape(3, 1))
    return norm.running_mean.copy()


def by_a_plan(p: Tensor, public: Tensor) -> Tensor:
    plan = fedzmq.plan(lambda x: x + 1)
    plan.build(X)
    return plan.send(p.location)(p)


def by_what_a_plan_writes(p: Tensor, public: Tensor) -> Tensor:
    plan = fedzmq.plan(lambda x, y: y.copy_(x) * 1)
    plan.build(X, X)
    plan.send(p.location)(p, public)
    return public


def by_batch_statistics_of_a_plan(p: Tensor, public: Tensor) -> Tensor:
    plan = fedzmq.plan(lambda x, mean, var: F.batch_norm(x, mean, var, training=True, momentum=1.0).sum())
    plan.build(torch.ones(2, 3), X, X)
    plan.send(p.location)(torch.stack([p, p]), public, torch.ones(3).send(p.location))
    return public


def by_a_fused_step_of_a_plan(p: Tensor, public: Tensor) -> Tensor:
    plan = fedzmq.plan(lambda x, out: (torch._fused_sgd_([out], [x], [], lr=-1.0, **SGD), x.sum())[1])
    plan.build(X, X)
    plan.send(p.location)(p, public)
    return public


def by_the_scale_of_gradients(p: Tensor, public: Tensor) -> Tensor:
    torch._fused_sgd_([torch.ones(3).send(p.location)], [public], [], lr=-1.0, grad_scale=p.sum(), **SGD)
    return public


def by_a_write_that_fails_halfway(p: Tensor, public: Tensor) -> Tensor:
    view = public[:2]
    public.put_(torch.tensor([0, 99]).send(p.location), p[:2])
    return view


def by_keywords_and_lists(p: Tensor, public: Tensor) -> Tensor:
    return torch.add(public, other=torch.cat([public, p])[3:])


def by_many_outputs(p: Tensor, public: Tensor) -> Tensor:
    return torch.sort(p).indices


ESCAPES = [value for name, value in list(globals().items()) if name.startswith("by_")]


@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph=True")
@pytest.mark.parametrize("escape", ESCAPES, ids=lambda escape: escape.__name__)
def test_what_is_made_of_it_is_private_too(bob: VirtualWorker, escape: Callable[[Tensor, Tensor], Tensor]) -> None:
    p, public = X.send(bob).private_(), torch.ones(3).send(bob)
    with pytest.raises(GetNotPermittedError):
        escape(p, public).get()


def test_how_much_of_it_there_is_is_not_told(bob: VirtualWorker) -> None:
    p = X.send(bob).private_()
    for ask in (lambda: p[p > 1], p.nonzero, p.unique):
        with pytest.raises(GetNotPermittedError):
            ask()


def test_what_only_values_foretell_is_for_those_alone_who_may_take_them(clients: tuple[Client, Client]) -> None:
    one, other = clients
    name = one.endpoint.connection.name
    kept = X.send(one.worker("bob"), allowed_users=[name]).nonzero().tag("#places").share()  # as long as it is held
    (found,) = other.worker("bob").search("#places")
    with pytest.raises(GetNotPermittedError, match="private"):
        found.get()
    assert kept.get().tolist() == [[0], [1], [2]]


def test_an_error_does_not_quote_it(bob: VirtualWorker) -> None:
    index = torch.tensor([77]).send(bob).private_()
    with pytest.raises(RemoteError, match="withheld") as caught:
        torch.ones(3).send(bob)[index].get()
    assert "77" not in str(caught.value)


def test_a_function_that_its_owner_offers_is_not_called_with_it(hook: TorchHook) -> None:
    james = VirtualWorker(hook, "james", functions={"pick": lambda x, index: x[index]})
    index = torch.tensor([77]).send(james).private_()
    with pytest.raises(GetNotPermittedError, match="private"):
        james.function("pick")(torch.ones(3).send(james), index)


def test_operands_of_two_rules_are_for_those_whom_both_allow(bob: VirtualWorker) -> None:
    one, other = X.send(bob, allowed_users=["me", "anna"]), X.send(bob, allowed_users=["me", "bert"])
    assert (one + other).get().tolist() == [2.0, 4.0, 6.0]
    third = X.send(bob, allowed_users=["anna"])
    with pytest.raises(GetNotPermittedError, match="nobody may take it"):
        (other + third).get()


def test_a_rule_is_never_made_wider(bob: VirtualWorker) -> None:
    p = X.send(bob, allowed_users=["anna"]).private_("me", "anna")
    assert p.allowed_users == {"anna"}
    with pytest.raises(GetNotPermittedError):
        p.get()


def test_it_moves_for_those_alone_who_may_take_it(bob: VirtualWorker, alice: VirtualWorker) -> None:
    with pytest.raises(GetNotPermittedError):
        X.send(bob).private_().move(alice).get()
    moved = X.send(bob, allowed_users=["me"]).move(alice)
    assert moved.allowed_users == {"me"}
    assert moved.get().tolist() == X.tolist()


def test_a_private_tensor_here_is_sent_by_those_alone_who_may_have_it(bob: VirtualWorker) -> None:
    x = X.clone().private_tensor(allowed_users=("anna",))
    for send in (lambda: x.send(bob), lambda: x.send(bob, user="anna")):
        with pytest.raises(SendNotPermittedError):
            send()
    y = X.clone().private_("me")
    assert y.send(bob, user="me").allowed_users == {"me"}
    with pytest.raises(SendNotPermittedError, match="cannot send as that one"):
        y.send(bob, user="anna")
    assert X.allow("anybody")


def test_a_value_is_not_taken_in_anothers_name(bob: VirtualWorker) -> None:
    with pytest.raises(GetNotPermittedError, match="this client is 'me' and not 'anna'"):
        X.send(bob, allowed_users=["anna"]).get(user="anna")


def test_a_module_takes_its_rules_along(bob: VirtualWorker) -> None:
    model = nn.Linear(3, 1)
    model.weight.private_("anna")
    with pytest.raises(SendNotPermittedError):
        model.send(bob)
    other = nn.Linear(3, 1)
    other.weight.private_("me")
    assert other.send(bob)(X.send(bob)).get().shape == (1,)
    model = nn.Linear(3, 1).send(bob)
    model.weight.private_()
    with pytest.raises(GetNotPermittedError):
        model.get()


def test_users_are_names(bob: VirtualWorker) -> None:
    with pytest.raises(UsageError, match="the names of clients"):
        X.send(bob).private_(5)


def test_the_rule_goes_with_the_memory_and_not_for_ever(bob: VirtualWorker) -> None:
    for _ in range(600):
        p = torch.zeros(1).send(bob).private_()
        del p
    assert torch.ones(1).send(bob).get().tolist() == [1.0]


def test_what_a_search_finds_is_as_private_as_what_was_shared(clients: tuple[Client, Client]) -> None:
    one, other = clients
    mine = X.send(one.worker("bob"), allowed_users=[one.home.name]).tag("#private").share()
    (found,) = other.worker("bob").search("#private")
    for secret in (found.copy(), (found * 2)):
        with pytest.raises(GetNotPermittedError):
            secret.get()
    with pytest.raises(GetNotPermittedError):
        found.move(other.worker("alice")).get()
    assert (mine * 2).get().tolist() == [2.0, 4.0, 6.0]


def test_nobody_makes_anothers_tensor_private(clients: tuple[Client, Client]) -> None:
    one, other = clients
    mine = X.send(one.worker("bob")).tag("#open-to-all").share()
    (found,) = other.worker("bob").search("#open-to-all")
    found.private_()
    with pytest.raises(GetNotPermittedError, match="who alone can make it private"):
        other.worker("bob").stream.sync()
    assert mine.copy().get().tolist() == X.tolist()


def test_the_owner_may_make_it_private_after_it_was_found(clients: tuple[Client, Client]) -> None:
    one, other = clients
    mine = X.send(one.worker("bob")).tag("#for-now").share()
    (found,) = other.worker("bob").search("#for-now")
    assert found.copy().get().tolist() == X.tolist()
    mine.private_(one.home.name)
    assert mine.copy().get().tolist() == X.tolist()
    with pytest.raises(GetNotPermittedError):
        found.copy().get()


def test_the_data_of_a_virtual_worker_can_be_private(hook: TorchHook) -> None:
    james = VirtualWorker(hook, "james", data=[X.clone().private_("me").tag("#ages")])
    (found,) = james.search("#ages")
    assert found.copy().get().tolist() == X.tolist()


@pytest.mark.parametrize("given", ["anna", b"anna", 5])
def test_one_name_is_not_read_as_the_clients_of_its_letters(bob: VirtualWorker, given: Any) -> None:
    with pytest.raises(UsageError, match="allowed_users is a list of the names of clients"):
        X.send(bob, allowed_users=given)
    with pytest.raises(UsageError, match="allowed_users is a list of the names of clients"):
        X.clone().private_tensor(allowed_users=given)
