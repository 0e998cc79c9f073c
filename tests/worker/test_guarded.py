from __future__ import annotations

import pytest
import torch

from fedzmq.operations.catalog import CATALOG
from fedzmq.wire.messages import Backward, Call, Failed, Probe, Restrict, SaveRandomState, Seed, SetData, SetGrad
from fedzmq.worker.executor import Executor
from fedzmq.worker.functions import Functions
from fedzmq.worker.privacy import Privacy
from fedzmq.worker.store import Store
from tests.worker.bench import Bench, at

ALLOWED = frozenset({"anna", "mallory"})


COMMANDS = [
    Call(1, "statistics", 100, 4, [0, 0, 0, [{"p": 1}]]),
    Probe(1, 100, 4, [CATALOG.number(torch.sort), 100, 1, [1]]),
]


def answered(command: Call | Probe, quota: int, users: frozenset[str]) -> tuple[str, Store]:
    """The error that a client named mallory is told, of a command on a tensor that is private to these users."""
    store = Store(quota, client="mallory", privacy=Privacy())
    functions = Functions({"statistics": lambda x: (x * 1, torch.cat([x] * 4))})
    bench = Bench(Executor(store, functions=functions))
    bench.batch.append(Restrict(bench.put(torch.ones(900)), tuple(users)))
    reply, _ = bench.ask(command)
    return reply.failure.error if isinstance(reply, Failed) else "", store


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_nothing_is_kept_of_a_command_whose_results_pass_the_quota_together(command: Call | Probe) -> None:
    error, store = answered(command, 12_000, ALLOWED)
    assert (error, list(store.tensors)) == ("LimitExceeded", [1])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_nobody_is_told_how_large_what_comes_of_values_is_that_they_may_not_take(command: Call | Probe) -> None:
    error, store = answered(command, 1 << 20, frozenset({"anna"}))
    assert (error, list(store.tensors)) == ("GetNotPermittedError", [1])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_what_comes_of_a_private_value_is_private(command: Call | Probe) -> None:
    error, store = answered(command, 1 << 20, ALLOWED)
    assert (error, store.privacy.users(store.tensors[101])) == ("", ALLOWED)


def state_after_leaking(negatives: int, users: frozenset[str]) -> torch.Tensor:
    """Mallory's random numbers after a kernel that draws one for each number below zero of a private tensor."""
    bench = Bench(Executor(Store(client="mallory", privacy=Privacy())))
    private = bench.put(torch.tensor([-1.0] * negatives + [1.0] * (9 - negatives)))
    bench.batch += [Restrict(private, tuple(users)), Seed(1)]
    bench.apply(torch.rrelu, at(private), 0.1, 0.3, True)
    state = bench.new_id()
    bench.batch.append(SaveRandomState(state))
    return bench.get(state)


def test_random_numbers_do_not_tell_of_values_how_many_were_drawn_for_them() -> None:
    hidden = frozenset({"anna"})
    assert torch.equal(state_after_leaking(2, hidden), state_after_leaking(7, hidden))
    assert not torch.equal(state_after_leaking(2, ALLOWED), state_after_leaking(7, ALLOWED))


@pytest.mark.filterwarnings("ignore:Using backward")
def test_what_a_gradient_that_is_private_becomes_is_private_where_the_root_itself_holds_it() -> None:
    store = Store(client="mallory", privacy=Privacy())
    bench = Bench(Executor(store))
    private, root = bench.put(torch.tensor(37.0)), bench.put(torch.tensor(1.0), requires_grad=True)
    grad = bench.new_id()
    bench.batch += [Restrict(private, ("anna",)), SetGrad(root, private)]
    bench.batch.append(Backward((root,), (), False, True, (root,), (grad,)))  # with a graph, the sum is a new tensor
    assert bench.failure(grad).error == "GetNotPermittedError"


@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("by_writing", [True, False])
def test_gradients_are_as_private_as_what_was_put_into_the_graph_past_the_count_of_writes(
    by_writing: bool, in_place: bool
) -> None:
    bench = Bench(Executor(Store(client="mallory", privacy=Privacy())))
    private, kept, alias = bench.put(torch.tensor(37.0)), bench.put(torch.tensor(1.0)), bench.put(torch.zeros(0))
    weight, grad = bench.put(torch.tensor(1.0), requires_grad=True), bench.new_id()
    bench.batch += [Restrict(private, ("anna",)), SetData(alias, kept)]
    if in_place:  # the node of the product lies within another, where nobody sees it
        root = bench.apply(torch.mul, at(weight), 1.0)
        bench.apply(torch.Tensor.mul_, at(bench.apply(torch.Tensor.view, at(root), [1])), at(kept), results=0)
    else:
        root = bench.apply(torch.mul, at(kept), at(weight))
    if by_writing:
        bench.apply(torch.Tensor.copy_, at(alias), at(private), results=0)
    else:
        bench.batch.append(SetData(kept, private))
    bench.batch.append(Backward((root,), (), False, False, (weight,), (grad,)))
    assert bench.failure(grad).error == "GetNotPermittedError"
