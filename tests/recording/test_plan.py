from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, relu

import fedzmq
from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.errors import PlanError, RemoteError, TensorsNotCollocatedException
from fedzmq.recording.decorators import func2plan, plan
from fedzmq.recording.fetching import fetch_plan
from fedzmq.recording.plan import Plan
from fedzmq.recording.plan_pointer import PlanPointer
from tests.pointers.loopback import Place

close = torch.testing.assert_close


def absolute() -> Plan:
    @func2plan(args_shape=[(1,)])
    def plan_abs(data: Tensor) -> Tensor:
        return data.abs()

    return plan_abs


def biased() -> Plan:
    @func2plan(args_shape=[(1,)], state=(torch.tensor([1.0]), torch.tensor([2.0])))
    def foo(x: Tensor, state: Any) -> Tensor:
        shift, factor = state.read()
        return x * factor + shift

    return foo


def test_a_plan_that_is_called_here_is_the_function() -> None:
    x = torch.tensor([-1.0, 7, 3], requires_grad=True)
    absolute()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1, 1, 1]


def test_a_plan_on_a_worker_gives_pointers(bob: Place) -> None:
    pointer = absolute().send(bob)
    result = pointer(torch.tensor([-1, 7, 3]).send(bob))
    assert result.location is pointer.location is bob
    assert result.shape == (3,)
    assert result.get().tolist() == [1, 7, 3]


def test_local_arguments_are_shipped(bob: Place) -> None:
    assert absolute().send(bob)(torch.tensor([-2.0])).get().tolist() == [2]


def test_a_call_is_one_command_however_long_the_plan_is(bob: Place) -> None:
    @plan(args_shape=[(3,)])
    def long(x: Tensor) -> Tensor:
        for _ in range(500):
            x = x + 1
        return x

    pointer, x = long.send(bob), torch.zeros(3).send(bob)
    bob.stream.flush()
    before = bob.line.records, bob.line.messages
    y = pointer(x)
    bob.stream.flush()
    assert (bob.line.records, bob.line.messages) == (before[0] + 1, before[1] + 1)
    assert y.get().tolist() == [500, 500, 500]


def test_a_worker_has_one_pointer_to_a_plan(bob: Place, alice: Place) -> None:
    sent = absolute()
    first = sent.send(bob)
    assert sent.send(bob) is first
    assert len(sent.get_pointers()) == 1
    assert sent.send(alice) is not first
    assert sent.get_pointers() == {"bob": first, "alice": sent.send(alice)}


def test_a_plan_on_several_workers_runs_where_its_arguments_are(bob: Place, alice: Place) -> None:
    both = absolute().send(bob, alice)
    for worker in (bob, alice):
        result = both(torch.tensor([-1, 9, 3]).send(worker))
        assert result.location is worker
        assert result.get().tolist() == [1, 9, 3]
    with pytest.raises(PlanError, match="is on worker 'bob' and worker 'alice', and no argument is on either"):
        both(torch.ones(1))


def test_a_plan_that_was_sent_runs_where_its_arguments_are(bob: Place, alice: Place) -> None:
    scale = biased()
    x = torch.tensor([4.0])
    there = scale.send(bob)
    before = bob.line.records
    result = scale(x.send(bob))
    bob.stream.flush()
    assert bob.line.records - before <= 3  # what was sent, the call, and a mode
    assert result.location is there.location
    assert result.get().tolist() == scale(x).tolist() == scale(x.send(alice)).get().tolist() == [9.0]


def test_a_gradient_goes_on_through_a_plan_that_was_sent(bob: Place) -> None:
    square = func2plan(args_shape=[(1,)])(lambda x: x * x)
    square.send(bob)
    p = torch.tensor([3.0], requires_grad=True).send(bob)
    square(p).sum().backward()
    assert p.grad.get().tolist() == [6.0]


def test_the_state_of_a_plan_is_tensors() -> None:
    with pytest.raises(PlanError, match="a list of tensors, and 'bias' is none"):
        func2plan(args_shape=[(1,)], state={"bias": torch.ones(1)})(lambda x, bias: x + bias)  # type: ignore[arg-type]


def test_several_outputs_come_as_the_function_gives_them(bob: Place) -> None:
    @plan(torch.zeros(2, 3), torch.zeros(3))
    def several(x: Tensor, y: Tensor) -> Any:
        return {"sum": x + y, "rest": [x.max(1).values, (y,)]}, x.t()

    x, y = torch.randn(2, 3), torch.randn(3)
    remote = several.send(bob)(x.send(bob), y)
    close(remote[1].get(), x.t())
    close(remote[0]["sum"].get(), x + y)
    close(remote[0]["rest"][0].get(), x.max(1).values)
    close(remote[0]["rest"][1][0].get(), y)


def test_the_first_call_builds_a_plan(bob: Place) -> None:
    @plan
    def doubled(x: Tensor) -> Tensor:
        return x * 2

    assert not doubled.is_built
    assert doubled(torch.ones(2)).tolist() == [2, 2]
    assert doubled.is_built
    assert doubled.send(bob)(torch.ones(2)).get().tolist() == [2, 2]


def test_a_plan_is_not_sent_before_it_is_built(bob: Place) -> None:
    @func2plan()
    def unbuilt(x: Tensor) -> Tensor:
        return x

    with pytest.raises(RuntimeError, match=r"'unbuilt' has not been built: call unbuilt\.build\(\.\.\.\)"):
        unbuilt.send(bob)


def test_arguments_may_lie_in_lists_and_have_names(bob: Place) -> None:
    @plan
    def listed(data: list[Tensor], *, scale: Tensor) -> Tensor:
        return (data[0] - data[1]) * scale

    listed.build([torch.ones(2), torch.ones(2)], scale=torch.ones(()))
    pointer = listed.send(bob)
    assert pointer([torch.ones(2) * 3, torch.ones(2)], scale=torch.tensor(5.0)).get().tolist() == [10, 10]
    with pytest.raises(
        TypeError, match=r"are 3 tensors \(data\[0\], data\[1\], scale\), and 2 came \(data\[0\], scale\)"
    ):
        pointer([torch.ones(2)], scale=torch.ones(()))


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ((), TypeError, "its arguments do not fit .*missing a required argument: 'x'"),
        ((torch.ones(2), torch.ones(2), torch.ones(2)), TypeError, "do not fit .*too many positional arguments"),
        ((torch.ones(2), 1), TypeError, "the argument y is of type int, and a tensor was expected"),
        ((torch.ones(2), [1.0]), TypeError, "the argument y is a list or a map, and a tensor was expected"),
        ((torch.ones(2), torch.ones(3)), ValueError, r"the argument y has the shape \(3,\), and \(2,\) was expected"),
        ((torch.ones(2, 1), torch.ones(2)), TypeError, r"the argument x has the shape \(2, 1\), and \(2,\)"),
        ((torch.ones(2), torch.ones(2).long()), TypeError, "y is of torch.int64, and torch.float32 was expected"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_sent(
    arguments: tuple[Any, ...], error: type[Exception], reason: str, bob: Place
) -> None:
    @plan(torch.zeros(2), torch.zeros(2))
    def added(x: Tensor, y: Tensor) -> Tensor:
        return x + y

    pointer = added.send(bob)
    bob.stream.flush()
    before = bob.line.records
    with pytest.raises(error, match="the plan 'added': .*" + reason):
        pointer(*arguments)
    bob.stream.flush()
    assert bob.line.records == before


@pytest.mark.parametrize(
    ("shapes", "reason"),
    [
        ([(1, -20)], r"the shape of data in args_shape is \(1, -20\)"),
        ([3], "the shape of data in args_shape is 3"),
        ([(1,), (1,)], "args_shape has 2 shapes, and the function takes"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_where_the_plan_is_declared(shapes: list[Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        func2plan(args_shape=shapes)(lambda data: data)


def test_arguments_of_another_worker_are_refused_with_both_places(bob: Place, alice: Place) -> None:
    with pytest.raises(TensorsNotCollocatedException, match="worker 'bob' and worker 'alice'"):
        absolute().send(bob)(torch.ones(1).send(alice))


def test_control_flow_that_depends_on_data_is_an_error_at_its_line() -> None:
    def branching(x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x

    with pytest.raises(PlanError, match=rf"{__file__}:\d+ cannot be part of a plan"):
        plan(args_shape=[(3,)])(branching)


def test_a_gradient_inside_a_plan_is_an_error_at_its_line() -> None:
    def trained(x: Tensor) -> Tensor:
        x.sum().backward()
        return x

    with pytest.raises(PlanError, match=rf"a gradient at {__file__}:\d+ cannot be part of a plan"):
        plan(args_shape=[(3,)])(trained)


def test_what_is_drawn_by_chance_is_drawn_anew_in_every_run(bob: Place) -> None:
    @plan(args_shape=[(3,)])
    def noisy(x: Tensor) -> Tensor:
        return x + torch.rand(3)

    there = noisy.send(bob)
    one, other = (there(torch.zeros(3)).get() for _ in range(2))

    assert not torch.equal(one, other)


def test_chance_is_not_made_a_constant() -> None:
    def noisy(x: Tensor) -> Tensor:
        return x + torch.rand(3, generator=torch.Generator().manual_seed(torch.seed() % 1000))

    with pytest.raises(PlanError, match=rf"torch's own random numbers.* at {__file__}:\d+.*draw with torch.rand"):
        plan(args_shape=[(3,)])(noisy)


def test_a_gradient_does_not_end_at_a_plan_in_silence(bob: Place) -> None:
    pointer = absolute().send(bob)
    x = torch.tensor([-1.0]).send(bob).requires_grad_()
    with pytest.raises(PlanError, match="gradients do not cross a plan's boundary"):
        pointer(x)
    with torch.no_grad():
        assert not pointer(x).requires_grad
    assert pointer(x.detach()).get().tolist() == [1]


def test_batches_of_any_size_are_one_plan(bob: Place) -> None:
    @plan(args_shape=[(-1, 2), (2,)])
    def scored(x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        return x.reshape(x.shape[0] * 2).view(-1, 2) @ w, x.sum(0) / x.shape[0]

    pointer, w = scored.send(bob), torch.tensor([1.0, 2.0])
    for rows in (2, 3, 20):
        x = torch.randn(rows, 2)
        for remote, local in zip(pointer(x, w), scored(x, w), strict=True):
            close(remote.get(), local)
    assert len(pointer._placed) == 1


def test_what_differs_with_the_rows_is_recorded_for_each_number_of_them(bob: Place) -> None:
    @plan(args_shape=[(-1, 2)])
    def padded(x: Tensor) -> Tensor:
        while len(x) % 4:
            x = torch.cat([x, x[:1]])
        return x.squeeze()

    pointer = padded.send(bob)
    for rows in (1, 3, 4, 6):
        x = torch.randn(rows, 2)
        close(pointer(x).get(), padded(x))


def test_a_single_row_is_no_batch_like_others(bob: Place) -> None:
    @plan(args_shape=[(-1, 2)])
    def squeezed(x: Tensor) -> Tensor:
        return x.squeeze()

    pointer = squeezed.send(bob)
    assert pointer(torch.ones(3, 2)).shape == (3, 2)
    assert pointer(torch.ones(1, 2)).shape == pointer(torch.ones(1, 2)).get().shape == (2,)


def test_views_of_a_batch_are_taken_as_they_lie(bob: Place) -> None:
    @plan(args_shape=[(-1, 3)])
    def flat(x: Tensor) -> Tensor:
        return x.reshape(-1)

    x = torch.arange(12.0).reshape(3, 4)
    close(flat.send(bob)(x.send(bob).t()).get(), x.t().reshape(-1))


def test_state_travels_once_and_stays(bob: Place) -> None:
    sent = biased()
    assert sent(torch.tensor([3.0])).tolist() == [7]
    pointer = sent.send(bob)
    assert [each.location for each in pointer.parameters()] == [bob, bob]
    bob.stream.flush()
    before = bob.line.records
    first, second = pointer(torch.tensor([3.0])), pointer(torch.tensor([4.0]))
    bob.stream.flush()
    assert bob.line.records == before + 5  # each a put and a run, and what was shipped is dropped
    assert (first.get().tolist(), second.get().tolist()) == ([7], [9])


def test_state_may_be_given_one_by_one(bob: Place) -> None:
    @plan(args_shape=[(2,)], state=(torch.tensor([1.0, 2]), torch.tensor(3.0)))
    def affine(x: Tensor, shift: Tensor, factor: Tensor) -> Tensor:
        return x * factor + shift

    assert affine.send(bob)(torch.ones(2)).get().tolist() == [4, 5]


def test_state_that_the_plan_writes_to_is_written_there_and_comes_home(bob: Place) -> None:
    norm = nn.BatchNorm1d(2)
    local = nn.BatchNorm1d(2)
    pointer = plan(norm).build(torch.zeros(4, 2)).send(bob)
    for _ in range(3):
        x = torch.randn(4, 2)
        close(pointer(x).get(), local(x).detach())
    assert norm.num_batches_tracked == 0
    pointer.get()
    close(norm.running_mean, local.running_mean)
    assert norm.num_batches_tracked == 3


def test_a_plan_that_went_home_leaves_nothing_behind(bob: Place) -> None:
    sent = biased()
    pointer = sent.send(bob)
    assert pointer.get() is sent
    assert sent.get_pointers() == {}
    del pointer
    assert bob.stored == 0
    assert bob.line.store.plans == {}
    with pytest.raises(PlanError, match=f"worker 'bob' has no plan '{sent.id}'"):
        fetch_plan(sent.id, bob)


class Net(Plan):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.second = nn.Linear(3, 2)
        self.shift = torch.ones(2)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return self.second(relu(self.first(x))) + self.shift


def test_a_class_of_plans_has_its_modules_and_tensors_for_state(bob: Place) -> None:
    net = Net()
    x = torch.tensor([1.0, 2.0])
    pointer = net.build(x).send(bob)
    assert len(pointer.parameters()) == len(net.parameters()) == 5
    close(pointer(x.send(bob)).get(), net(x).detach())
    assert type(net.shift) is Tensor


def test_a_model_that_is_there_already_is_used_as_it_is(bob: Place) -> None:
    model = nn.Linear(2, 1)
    expected = model(torch.ones(3, 2)).detach()
    model.send(bob)
    bob.stream.flush()
    before = bob.stored
    pointer = plan(model).build(torch.zeros(3, 2)).send(bob)
    assert bob.stored == before
    close(pointer(torch.ones(3, 2)).get(), expected)


def test_a_plan_calls_another(bob: Place) -> None:
    inner = biased()

    @plan(args_shape=[(1,)])
    def outer(x: Tensor) -> Tensor:
        return inner(x) * 10

    assert outer.send(bob)(torch.tensor([3.0])).get().tolist() == [70]


def test_a_plan_writes_to_its_arguments_as_the_function_does(bob: Place) -> None:
    @plan(args_shape=[(2,)])
    def counted(x: Tensor) -> Tensor:
        x[:1].add_(1)
        return x

    x = torch.zeros(2).send(bob)
    assert counted.send(bob)(x).get().tolist() == [1, 0]
    assert x.get().tolist() == [1, 0]


def test_a_plan_has_dropout_and_leaves_the_numbers_of_the_program_alone(bob: Place) -> None:
    model = nn.Dropout(0.5)
    pointer = plan(model).build(torch.ones(100)).send(bob)
    torch.manual_seed(0)
    first, second = pointer(torch.ones(100)).get(), pointer(torch.ones(100)).get()
    assert 0 < int((first == 0).sum()) < 100
    assert first.tolist() != second.tolist()
    drawn = torch.rand(3)
    torch.manual_seed(0)
    close(drawn, torch.rand(3))


def looked_up() -> Plan:
    @plan(torch.zeros(2, dtype=torch.long), torch.zeros(4, 3))
    def rows(index: Tensor, table: Tensor) -> Tensor:
        table.add_(1)
        return embedding(index, table).sum(1)

    return rows


def test_a_failure_is_raised_by_whoever_needs_the_result_at_the_line_of_the_call(bob: Place) -> None:
    pointer = looked_up().send(bob)
    table = torch.zeros(4, 3).send(bob)
    result = pointer(torch.tensor([0, 9]), table) + 1
    with pytest.raises(RemoteError, match=r"embedding in a plan failed on worker 'bob': IndexError") as caught:
        result.get()
    assert caught.value.origin.startswith(f"{__file__}:")
    assert caught.value.shapes == ("int64[2]", "float32[4, 3]")
    with pytest.raises(RemoteError, match="embedding in a plan"):  # half of the plan has written to it
        table.get()


def test_a_failure_in_an_argument_is_passed_on(bob: Place) -> None:
    x = embedding(torch.tensor([9]).send(bob), torch.zeros(4, 1)).reshape(1)
    with pytest.raises(RemoteError, match="embedding failed"):
        absolute().send(bob)(x).get()


def test_the_worker_lives_on_after_a_failure(bob: Place) -> None:
    pointer = looked_up().send(bob)
    pointer(torch.tensor([0, 9]), torch.zeros(4, 3))
    with pytest.raises(RemoteError):
        bob.stream.sync()
    assert pointer(torch.tensor([0, 3]), torch.ones(4, 3)).get().tolist() == [6, 6]


def test_a_fetched_plan_has_no_function_and_gives_the_same(bob: Place, alice: Place) -> None:
    sent = biased().tag("#affine")
    sent.send(bob)
    x = torch.tensor([3.0])
    for name in (sent.id, "#affine"):
        fetched = fetch_plan(name, bob, copy=True)
        assert fetched.forward is None
        assert fetched.is_built
        assert fetched.id == sent.id
        close(fetched(x), sent(x))
        close(fetched.send(alice)(x).get(), sent(x))
    assert [each.tolist() for each in fetched.parameters()] == [[1], [2]]


def test_a_fetched_plan_takes_what_it_was_recorded_for_and_batches_of_any_size(bob: Place, alice: Place) -> None:
    @plan(args_shape=[(2,), (-1, 2)])
    def mixed(w: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.reshape(x.shape[0] * 2) * 2, x @ w

    mixed.send(bob)
    fetched = fetch_plan(mixed.id, bob)
    w, x = torch.randn(2), torch.randn(5, 2)
    for ours, theirs, remote in zip(mixed(w, x), fetched(w=w, x=x), fetched.send(alice)(w, x), strict=True):
        close(ours, theirs)
        close(ours, remote.get())
    with pytest.raises(ValueError, match=r"the argument w has the shape \(3,\), and \(2,\) was expected"):
        fetched(torch.ones(3), x)


def test_a_fetched_plan_has_the_values_that_the_state_has_now(bob: Place) -> None:
    sent = biased()
    sent.send(bob).parameters()[0].add_(10)
    assert fetch_plan(sent.id, bob)(torch.tensor([3.0])).tolist() == [17]
    assert sent(torch.tensor([3.0])).tolist() == [7]


@pytest.mark.parametrize("make", [absolute, biased, looked_up])
def test_what_is_recorded_does_not_depend_on_the_modes_of_the_caller(make: Callable[[], Plan], bob: Place) -> None:
    usual = make()
    with torch.no_grad():
        quiet = make()
    assert quiet.declared.body == usual.declared.body


def test_a_plan_is_shared_between_clients_across_processes(site: LocalCluster) -> None:
    sent = biased().tag("#shared-affine")
    x = torch.tensor([3.0])
    with site.connect() as one:
        pointer = sent.send(one.worker("bob"))
        with site.connect() as other:
            fetched = fetch_plan("#shared-affine", other.worker("bob"))  # it is there when send returns
            assert pointer(x).get().tolist() == [7]
            assert fetched(x).tolist() == [7]
            assert fetched.send(other.worker("alice"))(x.send(other.worker("alice"))).get().tolist() == [7]
        del pointer


def test_a_plan_goes_to_a_worker_that_is_named() -> None:
    hook = fedzmq.TorchHook(torch)
    try:
        bob = fedzmq.VirtualWorker(hook, id="bob-of-plans")
        sent = absolute()
        assert sent.send("bob-of-plans") is sent.send(bob)
        assert repr(fetch_plan(sent.id, "bob-of-plans")) == "<plan 'a fetched plan' of (data)>"
    finally:
        hook.close()


def test_the_names_are_at_the_top() -> None:
    assert fedzmq.plan is plan
    assert fedzmq.func2plan is func2plan
    assert fedzmq.Plan is Plan
    assert fedzmq.fetch_plan is fetch_plan
    assert PlanPointer.__call__.__doc__


def test_numbers_among_the_arguments_are_part_of_what_is_recorded(bob: Place) -> None:
    @plan(args_shape=[(3,)])
    def power(x: Tensor, k: float = 2, *, times: int = 1) -> Tensor:
        for _ in range(times):
            x = x**k
        return x

    there, x = power.send(bob), torch.full((3,), 2.0).send(bob)
    for args, kwargs in (((), {}), ((3,), {}), ((3,), {"times": 2}), ((2.0,), {}), ((2,), {})):
        torch.testing.assert_close(there(x, *args, **kwargs).get(), power(torch.full((3,), 2.0), *args, **kwargs))


def test_a_plan_gives_named_tuples_as_its_function_does(bob: Place) -> None:
    @plan(torch.zeros(3))
    def extremes(x: Tensor) -> Pair:
        return Pair(torch.max(x, 0), {"least": x.min()})

    found = extremes.send(bob)(torch.tensor([1.0, 3.0, 2.0]).send(bob))
    assert isinstance(found, Pair)
    assert (found.most.values.get().item(), found.most.indices.get().item()) == (3.0, 1)
    assert found.rest["least"].get().item() == 1.0


class Pair(NamedTuple):
    most: Any
    rest: dict[str, Tensor]


def test_a_plan_that_depends_on_values_fails_with_one_traceback() -> None:
    with pytest.raises(PlanError, match="which needs a value") as caught:

        @plan(args_shape=[(-1, 3)])
        def branching(x: Tensor) -> Tensor:
            return x if x.sum() > 0 else x + 1

    assert caught.value.__context__ is None


@pytest.mark.parametrize("given", [5, "x"])
def test_what_is_no_function_becomes_no_plan(given: Any) -> None:
    for make in (plan, plan(), func2plan([(1,)])):
        with pytest.raises(PlanError, match=f"a plan is made of a function or module.* and not {given!r}"):
            make(given)


@pytest.mark.parametrize("shapes", [5, 0, "x"])
def test_shapes_are_a_list(shapes: Any) -> None:
    for make in (plan, func2plan):
        with pytest.raises(PlanError, match="args_shape is a list of shapes"):
            make(args_shape=shapes)(torch.abs)


class Summing(Plan):
    """Assigns its state anew."""

    def __init__(self) -> None:
        super().__init__()
        self.total = torch.zeros(1)

    def forward(self, x: Tensor) -> Tensor:
        self.total = self.total + x.sum()
        return x * self.total


class SummingModule(nn.Module):
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.total = self.total + x.sum()
        return x * self.total


@pytest.mark.parametrize("make", [Summing, lambda: plan(SummingModule())])
def test_what_is_assigned_to_the_state_is_its_next_value_there_as_here(bob: Place, make: Callable[[], Plan]) -> None:
    there, here = make().build(torch.ones(2)), make().build(torch.ones(2))
    pointer = there.send(bob)
    for _ in range(2):
        close(pointer(torch.ones(2)).get(), here(torch.ones(2)))
    assert pointer.get().parameters() == here.parameters() == [4]


def test_what_is_assigned_to_the_state_keeps_its_dtype() -> None:
    made = Summing()
    made.total = torch.zeros(1, dtype=torch.long)
    with pytest.raises(
        PlanError, match=r"'total' is assigned what is of torch.float32, and is a tensor of torch.int64"
    ):
        made.build(torch.ones(2))


class Started(nn.Module):
    """Does something else in its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.is_started = False

    def forward(self, x: Tensor) -> Tensor:
        if self.is_started:
            return x + 1
        self.is_started = True
        return x.cos()


class Counted(Plan):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


def test_a_plan_that_counts_its_calls_here_is_refused_with_what_counts() -> None:
    with pytest.raises(PlanError, match=r"depends on its attribute 'is_started', which was False and is True"):
        plan(Started()).build(torch.ones(2))
    counted = Counted()
    with pytest.raises(PlanError, match=r"depends on its attribute 'calls', which was 0"):
        counted.build(torch.ones(2))
    assert counted.calls == 0
    calls: list[None] = []

    def function(x: Tensor) -> Tensor:
        calls.append(None)
        return x * len(calls)

    with pytest.raises(PlanError, match=r"test_plan.py:\d+ is something else when it is called again"):
        plan(function).build(torch.ones(2))


def test_distributions_do_not_look_at_what_a_plan_draws_from(bob: Place) -> None:
    drawn = plan(lambda x: torch.distributions.Normal(x, 0.01).rsample()).build(torch.ones(2)).send(bob)
    close(drawn(torch.ones(2)).get(), torch.ones(2), rtol=0, atol=0.1)


def step(x: Tensor, y: Tensor, w: Tensor, momentum: Tensor) -> Tensor:
    loss = (x @ w - y).square().mean()
    (gradient,) = torch.autograd.grad(loss, [w])
    momentum.mul_(0.9).add_(gradient)
    with torch.no_grad():
        w.sub_(0.1 * momentum)
    return loss


def test_a_plan_takes_gradients_for_state_that_requires_grad(bob: Place, alice: Place) -> None:
    weight, momentum = torch.ones(3, 1, requires_grad=True), torch.zeros(3, 1)
    state = weight.detach().clone().requires_grad_(), momentum.clone()
    made = plan(torch.ones(4, 3), torch.ones(4, 1), state=state)(step)
    pointer = made.send(bob)
    for _ in range(3):
        x, y = torch.randn(4, 3), torch.randn(4, 1)
        found = pointer(x, y)
        assert not found.requires_grad
        close(found.get(), step(x, y, weight, momentum).detach())
    fetched = fetch_plan(made.id, bob)
    sent, x, y = fetched.send(alice), torch.randn(4, 3), torch.randn(4, 1)
    close(sent(x, y).get(), fetched(x, y))
    pointer.get()
    close(state[0], weight)


def test_what_a_plan_cannot_take_a_gradient_for_or_bring_along_is_said_at_its_line() -> None:
    layer = nn.Linear(3, 2)
    with pytest.raises(PlanError, match=r"test_plan.py:\d+ .*: nothing in it requires grad; take it for parameters"):
        plan(torch.ones(4, 3), torch.ones(4, 1), state=(torch.ones(3, 1), torch.zeros(3, 1)))(step)
    with pytest.raises(PlanError, match=r"linear at .*test_plan.py:\d+ computes with a tensor of the program's own"):
        plan(lambda x: layer(x) + 1).build(torch.ones(4, 3))


def test_a_plan_is_recorded_in_the_modes_of_its_build_whenever_that_is(bob: Place) -> None:
    layer = nn.Dropout(1.0)
    made = plan(args_shape=[(-1, -1)])(layer)
    layer.eval()
    pointer = made.send(bob)
    for shape in ((1, 1), (3, 2)):
        assert not pointer(torch.ones(shape)).get().any()
    assert not layer.training


def test_arguments_that_lie_otherwise_in_memory_are_recorded_as_they_lie(bob: Place) -> None:
    @plan(torch.ones(3, 2))
    def flat(x: Tensor) -> Tensor:
        return x.view(-1) if x.is_contiguous() else x.t().contiguous().view(-1)

    x = torch.arange(6.0).reshape(2, 3)
    assert flat.send(bob)(x.send(bob).t()).get().tolist() == x.flatten().tolist()


def test_a_seed_within_a_plan_is_refused_wherever_the_program_stands() -> None:
    def seeded(x: Tensor) -> Tensor:
        torch.manual_seed(0)
        return x + torch.rand(3)

    with pytest.raises(PlanError, match=rf"at {__file__}:\d+.* and seed outside"):
        plan(seeded).build(torch.ones(3))


class Step(Plan):
    """Trains what is not frozen of a layer, with a momentum."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.momentum = torch.zeros_like(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        loss = self.layer(x).square().sum()
        (gradient,) = torch.autograd.grad(loss, [each for each in self.layer.parameters() if each.requires_grad])
        self.momentum = self.momentum * 0.9 + gradient
        with torch.no_grad():
            self.layer.weight.sub_(self.momentum * 0.01)
        return loss


def layer_of(*hooks: Callable[[Tensor], Tensor]) -> nn.Linear:
    layer = nn.Linear(3, 2)
    nn.init.ones_(layer.weight)
    nn.init.ones_(layer.bias).requires_grad_(False)
    for hook in hooks:
        layer.weight.register_hook(hook)
    return layer


@pytest.mark.parametrize("hooks", [(), (lambda g: g * 3,), (lambda g: g * 3, lambda g: g + 1)])
def test_a_step_of_training_with_frozen_parameters_and_hooks_is_a_plan(
    bob: Place, hooks: tuple[Callable[[Tensor], Tensor], ...]
) -> None:
    there, here = Step(layer_of(*hooks)).build(torch.ones(4, 3)), Step(layer_of(*hooks)).build(torch.ones(4, 3))
    pointer = there.send(bob)
    for _ in range(2):
        x = torch.randn(4, 3)
        close(pointer(x).get(), here(x).detach())
    pointer.get()
    for one, other in zip(there.parameters(), here.parameters(), strict=True):
        close(one, other)


def test_several_hooks_on_one_gradient_are_called_in_their_order(bob: Place) -> None:
    def hooked(x: Tensor) -> Tensor:
        x = x.detach().requires_grad_()
        doubled = x * 2
        doubled.register_hook(lambda gradient: gradient * 3)
        doubled.register_hook(lambda gradient: gradient + 1)
        return torch.autograd.grad(doubled.square().sum(), [x])[0]

    x = torch.randn(2)
    close(plan(hooked).build(x).send(bob)(x).get(), hooked(x))


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
def test_what_no_plan_can_be_made_of_says_so_before_it_is_run() -> None:
    with pytest.raises(PlanError, match=r"does not tell its parameters.*: wrap it, as in lambda x: torch.relu\(x\)"):
        plan(torch.relu)
    with pytest.raises(PlanError, match="'weight' has no shape yet"):
        plan(nn.LazyLinear(2))
    layer = layer_of()
    layer.register_full_backward_hook(lambda *_: None)
    with pytest.raises(PlanError, match="the part 'layer' of the model has a backward hook"):
        Step(layer).build(torch.ones(4, 3))
