from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from fedzmq.plans.plan import BackwardBody, Constant, Output, Plan, Slot
from fedzmq.tensors.buffers import export_all, restore
from fedzmq.wire.messages import (
    Drop,
    Failed,
    Fetch,
    FetchPlan,
    Mode,
    PlanFetched,
    PlanMissing,
    Put,
    PutPlan,
    Restrict,
    RunPlan,
    Seed,
    SharePlan,
    Sync,
    Synced,
    Value,
)
from fedzmq.worker.cancellation import Cancellation
from fedzmq.worker.executor import Executor
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.store import Store
from tests.plans.listing import W, op, plan

X = replace(W, name="0 x", trained=False)
ADDED = plan(op("torch.add", 3, 0b11, 1, 2), parameters=(X, replace(X, name="1 y")), columns=())


class Stay:
    """One client's executor; tensors get the ids 1, 2, ..."""

    def __init__(
        self, shelf: PlanShelf | None = None, *tensors: torch.Tensor, cancellation: Cancellation | None = None
    ) -> None:
        self.store = Store()
        self.executor = Executor(self.store, plans=shelf, cancellation=cancellation)
        specs, buffers = export_all(tensors, copy=True)
        self.run(*[Put(id, spec, False) for id, spec in enumerate(specs, 1)], buffers=buffers)

    def run(self, *commands: Any, buffers: Any = ()) -> list[Any]:
        return [answer.reply for answer in self.executor.run(commands, list(buffers))]

    def value(self, id: int) -> list[float]:
        (answer,) = self.executor.run([Fetch(1, id)])
        assert isinstance(answer.reply, Value), answer.reply
        return restore(answer.reply.tensor, answer.buffers[0]).tolist()  # type: ignore[no-any-return]  # of numbers

    def failure(self, id: int) -> str:
        (reply,) = self.run(Fetch(1, id))
        assert isinstance(reply, Failed)
        return f"{reply.failure.operation}: {reply.failure.error}: {reply.failure.message}"

    def put(self, id: int, what: Plan, *state: int, writes: tuple[int, ...] = ()) -> list[Any]:
        return self.run(PutPlan(id, what.to_bytes(), state, writes))


@pytest.fixture
def stay() -> Stay:
    return Stay(None, torch.ones(2), torch.ones(2) * 2, torch.ones(3))


def test_a_stored_plan_runs_until_it_is_dropped(stay: Stay) -> None:
    stay.put(9, ADDED)
    assert stay.run(RunPlan(9, (1, 2), (10,)), RunPlan(9, (10, 10), (11,))) == []
    assert stay.value(11) == [6, 6]
    stay.run(Drop((9,)), RunPlan(9, (1, 2), (12,)))
    assert "TensorNotStored" in stay.failure(12)


def test_a_plan_that_does_not_check_fails_what_it_runs_once(stay: Stay) -> None:
    stay.put(9, replace(ADDED, catalog="0" * 64))
    stay.run(RunPlan(9, (1, 2), (10,)), RunPlan(9, (10, 2), (11,)))
    assert stay.failure(11).startswith("PutPlan: PlanError: the plan was recorded by a fedzmq whose list")
    assert stay.run(Sync(2)) == [Synced(2, ())]


@pytest.mark.parametrize(
    ("arguments", "results", "reason"),
    [
        ((1,), (10,), "the plan takes 2 arguments, and 1 came"),
        ((1, 2, 1), (10,), "the plan takes 2 arguments, and 3 came"),
        ((1, 3), (10,), r"'1 y' is float32[2] in the plan, and float32[3] came"),
        ((1, 2), (10, 11), "the plan gives 1 tensors, and 2 ids came"),
        ((1, 77), (10,), "no tensor number 77 is stored here"),
    ],
)
def test_a_call_that_does_not_fit_fails(
    arguments: tuple[int, ...], results: tuple[int, ...], reason: str, stay: Stay
) -> None:
    stay.put(9, ADDED)
    stay.run(RunPlan(9, arguments, results))
    assert reason in stay.failure(10)
    assert stay.value(1) == [1, 1]


def test_batches_have_as_many_rows_as_one_another(stay: Stay) -> None:
    rows = plan(
        op("torch.add", 3, 0b11, 1, 2),
        parameters=(),
        columns=(Slot("0 x", "float32", (), False), Slot("1 y", "float32", (), False)),
    )
    stay.put(9, rows)
    stay.run(RunPlan(9, (1, 2), (10,)), RunPlan(9, (3, 3), (11,)), RunPlan(9, (1, 3), (12,)))
    assert (stay.value(10), stay.value(11)) == ([3, 3], [2, 2, 2])
    assert "'1 y' is float32[2] in the plan, and float32[3] came" in stay.failure(12)


def test_a_run_that_fails_spoils_what_it_may_have_written(stay: Stay) -> None:
    failing = plan(
        op("Tensor.add_", 0, 0b11, 1, 2), op("torch.mm", 3, 0b11, 1, 2), parameters=ADDED.parameters, columns=()
    )
    stay.put(9, failing, writes=(1,))
    stay.run(RunPlan(9, (1, 2), (10,)))
    assert stay.failure(10).startswith("torch.mm in a plan: RuntimeError")
    assert stay.failure(1) == stay.failure(10)
    assert stay.value(2) == [2, 2]


def test_nothing_that_is_stored_stays_in_a_graph_of_a_plans() -> None:
    """Its backward would run, and write where it likes, when nobody looks."""
    body = (
        op("torch.mul", 3, 0b11, 1, 1),
        op("fedzmq.linked", [4, 5], 0, [{"p": 3}], [{"p": 1}]),
        op("torch.mul", 6, 0b11, 1, 5),
        op("torch.sum", 7, 1, 3),
        op("Tensor.add_", 8, 0b11, 2, 4),
        op("torch.autograd.grad", [9], 0, [{"p": 7}], [{"p": 1}], None),
        op("torch.sum", 10, 1, 1),
    )
    linked = plan(
        *body, parameters=(replace(X, trained=True), replace(X, name="1 y")), columns=(), outputs=(Output("sum", 10),)
    )
    stay = Stay(None, torch.ones(2), torch.ones(2))
    stay.put(9, replace(linked, backwards=(BackwardBody(1, 1, (6,)),)))
    (done,) = stay.run(RunPlan(9, (1, 2), (3,)), Sync(1))

    assert done == Synced(1, ())
    assert stay.value(2) == [2.0, 2.0]
    assert not stay.store.tensor(2).requires_grad


def test_no_run_sees_what_another_wrote_to_a_constant(stay: Stay) -> None:
    constant = Constant("float32", (2,), bytes(8))
    written = plan(
        op("Tensor.add_", 0, 0b11, 2, 1), op("torch.neg", 3, 0b1, 2), parameters=(X,), columns=(), constants=(constant,)
    )
    stay.put(9, written)
    stay.run(RunPlan(9, (1,), (10,)), RunPlan(9, (1,), (11,)))
    assert stay.value(10) == stay.value(11) == [-1, -1]


def test_no_run_sees_what_a_fused_optimizer_wrote_to_a_constant(stay: Stay) -> None:
    options = {"weight_decay": 0.0, "momentum": 0.0, "lr": -1.0, "dampening": 0.0}
    options |= {"nesterov": False, "maximize": False, "is_first_step": False}
    writing = plan(
        op("Tensor.clone", 3, 1, 2),
        op("torch._fused_sgd_", 0, 0, [{"p": 2}], [{"p": 1}], [], **options),
        parameters=(X,),
        columns=(),
        constants=(Constant("float32", (2,), bytes(8)),),
        outputs=(Output("out", 3),),
    )
    stay.put(9, writing)
    stay.run(RunPlan(9, (1,), (10,)), RunPlan(9, (2,), (11,)))
    assert (stay.value(10), stay.value(11)) == ([0, 0], [0, 0])


def test_a_run_is_in_the_modes_of_its_recording_and_leaves_those_of_the_client(stay: Stay) -> None:
    squared = plan(op("torch.matmul", 3, 0b11, 1, 1), parameters=(X,), columns=())
    stay.put(9, squared)
    stay.run(Mode(True, "bfloat16", "float64"), RunPlan(9, (1,), (10,)))
    assert stay.store.tensor(10).dtype is torch.float32
    stay.run([*op("torch.matmul", 11, 0b11, 1, 1)])
    assert stay.store.tensor(11).dtype is torch.bfloat16


def test_what_it_keeps_must_be_there_in_number(stay: Stay) -> None:
    keeping = replace(ADDED, parameters=(X,), buffers=(replace(X, name="state[0]"),))
    stay.put(9, keeping, 2)
    stay.run(RunPlan(9, (1,), (10,)))
    assert stay.value(10) == [3, 3]
    stay.put(12, keeping)
    stay.run(RunPlan(12, (1,), (13,)))
    assert "the plan keeps 1 tensors, and 0 came" in stay.failure(13)


def test_what_it_writes_to_is_among_what_it_is_given(stay: Stay) -> None:
    stay.put(9, ADDED, writes=(3,))
    stay.run(RunPlan(9, (1, 2), (10,)))
    assert "a plan that is given 2 tensors cannot write to more" in stay.failure(10)


def test_a_plan_is_fetched_by_other_clients_only_once_it_is_shared() -> None:
    shelf = PlanShelf()
    owner, other = Stay(shelf, torch.ones(2), torch.ones(2) * 5), Stay(shelf)
    keeping = replace(ADDED, parameters=(X,), buffers=(replace(X, name="state[0]"),))
    owner.put(9, keeping, 2)
    assert other.run(FetchPlan(1, "key")) == [PlanMissing(1, "key")]
    owner.run(SharePlan(9, "key", ("#tag",)))
    for name in ("key", "#tag"):
        (answer,) = other.executor.run([FetchPlan(1, name)])
        assert isinstance(answer.reply, PlanFetched)
        assert (answer.reply.key, answer.reply.plan) == ("key", keeping.to_bytes())
        assert restore(answer.reply.state[0], answer.buffers[0]).tolist() == [5, 5]
    owner.run(Drop((9,)))
    assert other.run(FetchPlan(1, "#tag")) == [PlanMissing(1, "#tag")]


def test_whoever_fetches_a_plan_is_not_told_what_its_state_failed_of() -> None:
    shelf = PlanShelf()
    owner, other = Stay(shelf, torch.ones(2), torch.tensor([37])), Stay(shelf)
    owner.put(9, replace(ADDED, parameters=(X,), buffers=(replace(X, name="state[0]"),)), 5)
    owner.run(op("Tensor.take", 5, 0b11, 1, 2), SharePlan(9, "key", ()))
    assert "access index 37" in owner.failure(5)
    (reply,) = other.run(FetchPlan(1, "key"))
    assert "37" not in repr(reply)
    assert reply.failure.message == "the state of plan 'key' has failed where it was computed"


def test_nobody_takes_the_key_of_another_plan() -> None:
    shelf = PlanShelf()
    owner, other = Stay(shelf), Stay(shelf)
    for stay in (owner, other):
        stay.put(9, ADDED)
        stay.run(SharePlan(9, "key", ()))
    (synced,) = other.run(Sync(1))
    assert [failure.message for failure in synced.failures] == ["another plan is shared under 'key' already"]
    owner.run(SharePlan(9, "key", ("#again",)))
    assert owner.run(Sync(1)) == [Synced(1, ())]


class Soon(Cancellation):
    """The client takes all that it asked for back after so many looks."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def is_interrupted(self, command: int) -> bool:
        self._looks -= 1
        if self._looks < 0:
            self.interrupt(command)
        return super().is_interrupted(command)


def long_plan(write_at: int) -> Plan:
    """Of 64 operations, of which this one writes to the first argument."""
    steps = [op("torch.add", at + 3, 0b11, at + 2, 2) for at in range(64)]
    steps[write_at] = op("Tensor.mul_", 0, 0b11, 1, 2)
    steps[write_at + 1] = op("torch.add", write_at + 4, 0b11, 2, 2)
    return replace(ADDED, records=tuple(steps), outputs=(Output("", 66),))


@pytest.mark.parametrize(("looks", "write_at", "first"), [(0, 0, [1, 1]), (2, 40, [1, 1]), (2, 4, [2, 2])])
def test_a_run_that_is_taken_back_ends_unless_it_has_begun_to_write(
    looks: int, write_at: int, first: list[int]
) -> None:
    stay = Stay(None, torch.ones(2), torch.ones(2) * 2, cancellation=Soon(looks))
    stay.put(9, long_plan(write_at), writes=(1,))
    assert stay.run(RunPlan(9, (1, 2), (10,)), Sync(1)) == [Synced(1, ())]  # it is no news to its client
    assert stay.value(1) == first
    if first == [1, 1]:
        assert stay.failure(10) == "a plan: Cancelled: the client took it back, or is gone"
        stay.run(RunPlan(9, (10, 2), (11,)))
        assert stay.failure(11) == stay.failure(10)
    else:
        stay.value(10)


def drawn_after(*commands: Any, cancellation: Cancellation | None = None, x: float = 1.0) -> list[float]:
    """What the client draws after these, where it is told neither the value of tensor 1 nor what comes of it."""
    stay = Stay(None, torch.full((2,), x), torch.ones(2), cancellation=cancellation)
    leaky = op("torch.rrelu", 67, 0b1, 1, 0.1, 0.3, True)  # draws for each number below zero
    stay.put(9, replace(long_plan(40), records=(leaky, *long_plan(40).records)))
    stay.run(Seed(1), *commands, op("torch.rand", 90, 0, [3]))
    return stay.value(90)


def test_a_run_that_is_taken_back_has_drawn_nothing() -> None:
    assert drawn_after(RunPlan(9, (1, 2), (10,)), cancellation=Soon(2), x=-1.0) == drawn_after()


def test_what_a_plan_drew_for_private_values_tells_nothing_of_them() -> None:
    commands = (Restrict(1, ("anna",)), RunPlan(9, (1, 2), (10,)))
    assert drawn_after(*commands, x=-1.0) == drawn_after(*commands)


def test_runs_are_taken_back_up_to_a_command_before_they_begin() -> None:
    cancellation = Cancellation()
    stay = Stay(None, torch.ones(2), torch.ones(2) * 2, cancellation=cancellation)
    stay.put(9, ADDED)
    cancellation.interrupt(stay.store.position + 1)
    stay.run(RunPlan(9, (1, 2), (10,)), RunPlan(9, (1, 2), (11,)))
    assert "Cancelled" in stay.failure(10)
    assert stay.value(11) == [3, 3]


def test_a_plan_whose_argument_failed_does_not_begin_and_what_it_writes_to_stays(stay: Stay) -> None:
    stay.put(9, replace(ADDED, records=(op("Tensor.mul_", 0, 0b11, 1, 2), *ADDED.records)), writes=(1,))
    stay.run(op("torch.add", 5, 0b11, 1, 3), RunPlan(9, (1, 5), (10,)))
    assert stay.failure(10).startswith("torch.add: RuntimeError")
    assert stay.value(1) == [1, 1]


class Pressed(Soon):
    """Ctrl-C after so many looks, where the worker is in the program's own process."""

    def interrupt(self, commands: int) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize(("write_at", "is_kept"), [(40, True), (4, False)])
def test_ctrl_c_within_a_run_costs_what_it_has_written_to_and_no_more(write_at: int, is_kept: bool) -> None:
    stay = Stay(None, torch.ones(2), torch.ones(2) * 2, cancellation=Pressed(2))
    stay.put(9, long_plan(write_at), writes=(1,))
    with pytest.raises(KeyboardInterrupt):
        stay.run(RunPlan(9, (1, 2), (10,)), op("torch.add", 11, 0b11, 2, 2))
    assert stay.failure(10).startswith("a plan: KeyboardInterrupt")
    assert stay.value(11) == [4, 4]
    if is_kept:
        assert stay.value(1) == [1, 1]
    else:
        assert "KeyboardInterrupt" in stay.failure(1)
