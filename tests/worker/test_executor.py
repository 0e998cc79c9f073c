from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fedzmq.operations.catalog import CATALOG
from fedzmq.wire.messages import (
    Backward,
    Cancel,
    Described,
    DescribeData,
    Description,
    Drop,
    Failed,
    Fetch,
    Gradients,
    Mode,
    Probe,
    Put,
    RequireGrad,
    Seed,
    SetData,
    SetGrad,
    Sync,
    Synced,
    TensorSpec,
)
from fedzmq.worker.answer import Answer
from fedzmq.worker.executor import Executor
from fedzmq.worker.store import Store
from tests.worker.bench import Bench, at


@pytest.fixture
def bench() -> Bench:
    return Bench()


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def probe(bench: Bench, first: int, room: int, number: int, mask: int, *packed: Any) -> Any:
    return bench.ask(Probe(bench.request(), first, room, [number, 0, mask, list(packed)]))[0]


# Values


def test_a_tensor_comes_back_as_it_was_put(bench: Bench) -> None:
    assert torch.equal(bench.get(bench.put(X)), X)


def test_operations_compute(bench: Bench) -> None:
    x = bench.put(X)
    y = bench.apply(torch.mm, at(x), at(x))
    z = bench.apply(Tensor.mul, at(y), 2.5)
    assert torch.equal(bench.get(z), X @ X * 2.5)


def test_keywords_lists_and_inline_tensors_are_resolved(bench: Bench) -> None:
    x = bench.put(X)
    y = bench.apply(torch.cat, [at(x), torch.ones(1, 2)], dim=0)
    z = bench.apply(torch.add, at(y), torch.tensor(1.0), alpha=2)
    assert torch.equal(bench.get(z), torch.cat([X, torch.ones(1, 2)]) + 2)


def test_indexing_reads_and_writes(bench: Bench) -> None:
    x = bench.put(X)
    bench.apply(Tensor.__setitem__, at(x), (slice(None), 0), 9.0, results=0)
    y = bench.apply(Tensor.__getitem__, at(x), (..., None, 0))
    assert bench.get(y).tolist() == [[9.0], [9.0]]


def test_a_property_is_an_operation(bench: Bench) -> None:
    number = CATALOG.number_of("Tensor.T.get")
    assert torch.equal(bench.get(bench.apply(number, at(bench.put(X)))), X.T)


def test_several_outputs_are_named_in_order_and_0_is_not_kept(bench: Bench) -> None:
    x, second = bench.put(X), bench.new_id()
    bench.apply(torch.max, at(x), 1, results=[0, second])
    assert bench.get(second).tolist() == [1, 1]
    assert sorted(bench.executor.store.tensors) == [x, second]


def test_one_id_takes_the_only_tensor_of_a_sequence(bench: Bench) -> None:
    assert bench.get(bench.apply(torch.split, at(bench.put(X)), 2)).shape == (2, 2)


def test_a_view_shares_memory_on_the_worker(bench: Bench) -> None:
    x = bench.put(X)
    row = bench.apply(Tensor.__getitem__, at(x), 0)
    bench.apply(Tensor.add_, at(row), 10, results=0)
    assert bench.get(x).tolist() == [[11.0, 12.0], [3.0, 4.0]]


def test_dropped_tensors_are_gone(bench: Bench) -> None:
    x = bench.put(X)
    bench.batch.append(Drop((x, 999)))
    assert bench.failure(x).error == "TensorNotStored"
    assert len(bench.executor.store) == 0


def test_a_fetched_value_is_not_reached_by_later_commands_of_its_message(bench: Bench) -> None:
    x = bench.put(torch.zeros(100_000))
    bench.flush()
    fill = [CATALOG.numbers[Tensor.fill_], 0, 1, [x, 7]]
    answer = bench.executor.run([Fetch(1, x), fill])[0]
    assert answer.is_stable
    assert not any(memoryview(answer.buffers[0]).tobytes())


def test_a_value_that_nothing_follows_is_lent(bench: Bench) -> None:
    x = bench.put(torch.zeros(100_000))
    bench.flush()
    assert not bench.executor.run([Fetch(1, x), Sync(2)])[0].is_stable


# Failures


def test_a_failure_says_what_failed_where_and_on_what(bench: Bench) -> None:
    bench.put(X)
    y = bench.apply(torch.mm, at(1), torch.ones(3, 3))
    failure = bench.failure(y)
    assert (failure.command, failure.operation, failure.error) == (2, "torch.mm", "RuntimeError")
    assert "cannot be multiplied" in failure.message
    assert failure.shapes == ("float32[2, 2]",)


def test_a_traceback_holds_frames_of_torch_without_paths_of_the_machine(bench: Bench) -> None:
    y = bench.apply(functional.cross_entropy, at(bench.put(X)), torch.tensor([0, 9]))
    frames = bench.failure(y).traceback.splitlines()
    assert frames[-1].startswith("torch/nn/functional.py:")
    assert not any("/work" in frame or "site-packages" in frame or "executor" in frame for frame in frames)


def test_what_uses_a_failure_inherits_it_and_it_is_reported_once(bench: Bench) -> None:
    bad = bench.apply(torch.mm, at(bench.put(X)), 3)
    worse = bench.apply(torch.add, at(bad), 1)
    worst = bench.apply(torch.cat, [at(worse), at(bad)])
    failures = bench.sync()
    assert [failure.operation for failure in failures] == ["torch.mm"]
    assert bench.failure(worst) == failures[0]
    assert bench.sync() == ()


def test_a_failure_that_a_fetch_has_told_is_not_reported_again(bench: Bench) -> None:
    bench.failure(bench.apply(torch.mm, at(bench.put(X)), 3))
    assert bench.sync() == ()


def test_a_fetch_of_something_else_leaves_the_failure_for_the_report(bench: Bench) -> None:
    x = bench.put(X)
    bench.apply(torch.mm, at(x), 3)
    bench.get(x)
    assert len(bench.sync()) == 1


def test_a_failure_does_not_stop_what_comes_after(bench: Bench) -> None:
    x = bench.put(X)
    bench.apply(torch.mm, at(x), 3)
    assert torch.equal(bench.get(bench.apply(torch.neg, at(x))), -X)


def test_a_failed_write_leaves_its_target_unfit(bench: Bench) -> None:
    x = bench.put(X)
    bench.apply(Tensor.add_, at(x), torch.ones(5), results=0)
    assert bench.failure(x).operation == "Tensor.add_"


def test_a_failed_write_to_a_list_leaves_every_target_unfit(bench: Bench) -> None:
    x, y = bench.put(X), bench.put(X)
    bench.apply(torch._foreach_add_, [at(x), at(y)], [torch.ones(5), torch.ones(5)], results=0)
    assert bench.failure(x) == bench.failure(y)


def test_a_write_of_something_failed_leaves_its_target_unfit(bench: Bench) -> None:
    x = bench.put(X)
    bad = bench.apply(torch.mm, at(x), 3)
    bench.apply(Tensor.add_, at(x), at(bad), results=0)
    assert bench.failure(x).operation == "torch.mm"


def test_a_failed_input_spares_the_statistics_of_a_normalisation_in_evaluation(bench: Bench) -> None:
    mean, variance = bench.put(torch.zeros(2)), bench.put(torch.ones(2))
    bad = bench.apply(torch.mm, at(bench.put(X)), 3)
    bench.apply(functional.batch_norm, at(bad), at(mean), at(variance), None, None, False)
    assert bench.get(mean).tolist() == [0.0, 0.0]
    bench.apply(functional.batch_norm, at(bad), at(mean), at(variance), None, None, True)
    assert bench.failure(mean).operation == "torch.mm"


def test_every_output_of_a_failed_operation_is_poisoned(bench: Bench) -> None:
    ids = [bench.new_id(), bench.new_id()]
    bench.apply(torch.max, at(bench.put(X)), 7, results=ids)
    assert bench.failure(ids[0]) == bench.failure(ids[1])


def test_a_wrong_number_of_outputs_is_a_failure(bench: Bench) -> None:
    ids = [bench.new_id(), bench.new_id(), bench.new_id()]
    bench.apply(torch.max, at(bench.put(X)), 1, results=ids)
    assert "gave 2 tensors, and 3 ids" in bench.failure(ids[0]).message


def test_positions_count_every_record_of_the_client(bench: Bench) -> None:
    bench.put(X)
    bench.flush()
    bench.batch.append(Drop((1,)))
    bench.apply(torch.neg, at(1))
    assert bench.sync()[0].command == 3


# Autograd


def test_backward_binds_the_gradients_of_leaves(bench: Bench) -> None:
    x = bench.put(X, requires_grad=True)
    loss = bench.apply(Tensor.sum, at(bench.apply(torch.mul, at(x), at(x))))
    grad = bench.new_id()
    bench.batch.append(Backward(loss, 0, False, False, (x,), (grad,)))
    assert torch.equal(bench.get(grad), 2 * X)


def test_gradients_add_up_under_the_same_id(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    for _ in range(2):
        bench.batch.append(Backward(bench.apply(Tensor.sum, at(x)), 0, False, False, (x,), (grad,)))
    assert bench.get(grad).tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_backward_takes_the_gradient_of_its_root(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    weights = bench.put(torch.full((2, 2), 3.0))
    bench.batch.append(Backward(bench.apply(torch.neg, at(x)), weights, False, False, (x,), (grad,)))
    assert bench.get(grad).tolist() == [[-3.0, -3.0], [-3.0, -3.0]]


def test_a_failed_backward_poisons_the_gradients(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    bench.batch.append(Backward(x, 0, False, False, (x,), (grad,)))
    failure = bench.failure(grad)
    assert (failure.operation, failure.error) == ("Backward", "RuntimeError")
    assert "scalar outputs" in failure.message


def test_a_backward_of_something_failed_poisons_the_gradients_with_its_cause(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    loss = bench.apply(torch.mm, at(x), 3)
    bench.batch.append(Backward(loss, 0, False, False, (x,), (grad,)))
    bench.apply(Tensor.sub_, at(x), at(grad), results=0)
    assert bench.failure(x).operation == "torch.mm"
    assert bench.sync() == ()


def test_a_leaf_that_no_gradient_reaches_is_no_error_until_it_is_used(bench: Bench) -> None:
    x, y, grad = bench.put(X, True), bench.put(X, True), bench.new_id()
    bench.batch.append(Backward(bench.apply(Tensor.sum, at(x)), 0, False, False, (y,), (grad,)))
    assert bench.sync() == ()
    assert "no gradient reached" in bench.failure(grad).message


def test_gradients_are_computed_without_touching_the_leaves(bench: Bench) -> None:
    x, unused, grad = bench.put(X, True), bench.put(X, True), bench.new_id()
    loss = bench.apply(Tensor.sum, at(bench.apply(torch.mul, at(x), at(x))))
    bench.batch.append(Gradients((loss,), (x, unused), (), (grad, 0), False, False, True))
    assert torch.equal(bench.get(grad), 2 * X)
    assert bench.executor.store.tensors[x].grad is None


def test_second_derivatives(bench: Bench) -> None:
    x, first, second = bench.put(torch.tensor([3.0]), True), bench.new_id(), bench.new_id()
    cube = bench.apply(Tensor.pow, at(x), 3)
    ones = bench.put(torch.ones(1))
    bench.batch.append(Gradients((cube,), (x,), (ones,), (first,), True, True, False))
    bench.batch.append(Gradients((first,), (x,), (ones,), (second,), False, False, False))
    assert (bench.get(first).item(), bench.get(second).item()) == (27.0, 18.0)


def test_grad_data_and_requires_grad_are_set(bench: Bench) -> None:
    x, y = bench.put(X), bench.put(torch.zeros(2, 2))
    bench.batch += [RequireGrad(x, True), SetGrad(x, y), SetData(x, y)]
    assert bench.get(x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    stored = bench.executor.store.tensors[x]
    assert stored.requires_grad
    assert stored.grad is bench.executor.store.tensors[y]
    bench.batch.append(SetGrad(x, 0))
    bench.flush()
    assert stored.grad is None


def test_a_fused_optimizer_step_is_the_same_as_here(bench: Bench) -> None:
    weights, moments, squares, steps = (bench.put(torch.zeros(2, 2)) for _ in range(4))
    bench.batch[-1] = Put(steps, TensorSpec("float32", (), 3), False)
    bench.buffers[-1] = memoryview(bytes(4))
    lists = [[at(weights)], [torch.ones(2, 2)], [at(moments)], [at(squares)], [], [at(steps)]]
    options = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.0, "eps": 1e-8}
    bench.apply(torch._foreach_add_, [at(steps)], 1, results=0)
    bench.apply(torch._fused_adam_, *lists, **options, amsgrad=False, maximize=False, results=0)
    assert bench.get(weights).flatten().tolist() == pytest.approx([-0.1] * 4)


# Probe


def test_a_probe_names_and_describes_what_only_values_tell(bench: Bench) -> None:
    x = bench.put(X)
    described = probe(bench, 5, 4, CATALOG.number(torch.nonzero), 1, x)
    assert described == Described(1, (Description("int64", (4, 2), (1, 4), False),), True)
    assert bench.get(5).shape == (4, 2)


def test_a_probe_says_whether_one_tensor_or_a_sequence_came(bench: Bench) -> None:
    described = probe(bench, 5, 4, CATALOG.number(torch.tensor_split), 1, bench.put(X), 2)
    assert (len(described.tensors), described.bare) == (2, False)


def test_a_probe_without_enough_room_fails(bench: Bench) -> None:
    failed = probe(bench, 5, 1, CATALOG.number(torch.tensor_split), 1, bench.put(X), 2)
    assert isinstance(failed, Failed)
    assert bench.sync() == ()


def test_a_probe_of_something_failed_gives_its_failure(bench: Bench) -> None:
    bad = bench.apply(torch.mm, at(bench.put(X)), 3)
    failed = probe(bench, 5, 1, CATALOG.number(torch.nonzero), 1, bad)
    assert failed.failure.operation == "torch.mm"


# Modes and random numbers


def modes() -> tuple[Any, ...]:
    return (
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_default_dtype(),
        torch.is_inference_mode_enabled(),
    )


def test_modes_hold_for_later_batches_and_do_not_leak(bench: Bench) -> None:
    before = modes()
    bench.batch.append(Mode(False, "bfloat16", "float64"))
    bench.flush()
    assert modes() == before
    x = bench.put(X, requires_grad=True)
    product, made = bench.apply(torch.mm, at(x), at(x)), bench.apply(torch.ones, 2)
    assert bench.get(product).dtype is torch.bfloat16
    assert bench.get(made).dtype is torch.float64
    assert not bench.executor.store.tensors[product].requires_grad
    assert modes() == before


def test_modes_do_not_leak_when_a_batch_is_interrupted(bench: Bench) -> None:
    def records() -> Iterator[Any]:
        yield Mode(False, "bfloat16", "float64")
        yield Seed(7)
        raise KeyboardInterrupt

    before, state = modes(), torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        bench.executor.run(records())
    assert modes() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_modes_of_the_caller_do_not_reach_the_client(bench: Bench) -> None:
    x = bench.put(X, requires_grad=True)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        y = bench.apply(torch.mm, at(x), at(x))
        bench.flush()
        assert modes()[1]
        assert modes()[3]
    stored = bench.executor.store.tensors[y]
    assert (stored.requires_grad, stored.dtype, stored.is_inference()) == (True, torch.float32, False)


def test_a_default_device_of_the_caller_does_not_reach_the_client(bench: Bench) -> None:
    with torch.device("meta"):
        y = bench.apply(torch.ones, 2)
        bench.flush()
    assert bench.executor.store.tensors[y].device.type == "cpu"


def test_autocast_sees_a_weight_that_was_changed(bench: Bench) -> None:
    x = bench.put(X, requires_grad=True)
    bench.batch.append(Mode(True, "bfloat16", "float32"))
    bench.apply(torch.mm, at(x), at(x))
    bench.batch.append(Mode(False, None, "float32"))
    bench.apply(Tensor.zero_, at(x), results=0)
    bench.batch.append(Mode(True, "bfloat16", "float32"))
    assert not bench.get(bench.apply(torch.mm, at(x), at(x))).any()


def test_a_mode_with_an_unfit_dtype_is_a_failure(bench: Bench) -> None:
    bench.batch += [Mode(True, "int64", "float32"), Mode(True, None, "qint8")]
    assert [failure.error for failure in bench.sync()] == ["ProtocolError", "ProtocolError"]


def test_a_seed_makes_the_numbers_of_torch_and_leaves_the_process_alone(bench: Bench) -> None:
    state = torch.get_rng_state()
    bench.batch.append(Seed(7))
    y = bench.apply(torch.rand, 3)
    bench.flush()
    z = bench.apply(torch.rand, 3)
    values = torch.cat([bench.get(y), bench.get(z)])
    assert torch.equal(torch.get_rng_state(), state)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        assert torch.equal(values, torch.cat([torch.rand(3), torch.rand(3)]))


def test_the_random_numbers_of_two_clients_are_apart() -> None:
    one, other = Bench(), Bench()
    for bench in (one, other):
        bench.batch.append(Seed(7))
        bench.flush()
    first = one.get(one.apply(torch.rand, 3))
    other.get(other.apply(torch.rand, 5))
    second = one.get(one.apply(torch.rand, 3))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        assert torch.equal(torch.cat([first, second]), torch.cat([torch.rand(3), torch.rand(3)]))


# Hostile records


def test_an_unknown_operation_is_refused(bench: Bench) -> None:
    y = bench.apply(1_000_000, at(bench.put(X)))
    assert (bench.failure(y).error, bench.failure(y).operation) == ("OperationRefused", "operation number 1000000")


@pytest.mark.parametrize(
    ("function", "arguments", "keywords"),
    [
        (torch.add, (1.0,), {"out": X}),
        (torch.zeros, (2,), {"device": "meta"}),
        (Tensor.to, ("meta",), {}),
        (torch.zeros, (1 << 40,), {}),
        (Tensor.expand, (1 << 40, 2, 2), {}),
        (Tensor.repeat, (1 << 20, 1 << 20), {}),
    ],
)
def test_hostile_arguments_are_refused(bench: Bench, function: Any, arguments: Any, keywords: Any) -> None:
    own = () if function is torch.zeros else (at(bench.put(X)),)
    y = bench.apply(function, *own, *arguments, **keywords)
    assert bench.failure(y).error in ("OperationRefused", "LimitExceeded")


@pytest.mark.parametrize(
    "value",
    [{"z": 1}, {"p": 999}, {"p": "1"}, {"d": "qint8"}, {"v": "cuda"}, {"x": ["float32", [2], 9]}, {"t": 1}, [[[]]], {}],
    ids=str,
)
def test_a_hostile_wire_value_is_a_failure_of_its_record(bench: Bench, value: Any) -> None:
    x = bench.put(X)
    bench.batch += [[CATALOG.number(torch.add), 50, 1, [x, value]], [CATALOG.number(torch.neg), 51, 1, [x]]]
    assert bench.failure(50)
    assert torch.equal(bench.get(51), -X)


@pytest.mark.parametrize("id", [[], {}, "x", 1.5, None])
def test_a_hostile_id_is_a_failure_of_its_record(bench: Bench, id: Any) -> None:
    bench.batch.append([CATALOG.number(torch.neg), 50, 1, [id]])
    assert bench.failure(50)


def test_a_buffer_gives_one_tensor_only(bench: Bench) -> None:
    x = bench.put(X)
    bench.batch.append([CATALOG.number(torch.neg), 50, 0, [{"x": ["float32", [2, 2], 0]}]])
    assert "was taken before" in bench.failure(50).message
    assert torch.equal(bench.get(x), X)


def test_an_inline_tensor_must_fit_its_buffer(bench: Bench) -> None:
    bench.buffers.append(bytes(4))
    bench.batch.append([CATALOG.number(torch.neg), 50, 0, [{"x": ["float32", [1 << 40, 1 << 40], 0]}]])
    assert bench.failure(50).error == "LimitExceeded"


def test_what_passes_the_quota_is_refused() -> None:
    bench = Bench(Executor(Store(quota=1000)))
    x = bench.put(torch.ones(100))
    for _ in range(5):
        x = bench.apply(torch.neg, at(x))
    assert [failure.error for failure in bench.sync()] == ["LimitExceeded"]
    assert bench.executor.store.bytes <= 1000


def test_a_value_that_leaves_no_tensor_is_a_failure(bench: Bench) -> None:
    x = bench.put(X)
    y = bench.apply(Tensor.__setitem__, at(x), 0, 1.0)
    assert "gave 0 tensors" in bench.failure(y).message


# Several clients, and commands of others


def test_clients_do_not_see_each_other() -> None:
    one, other = Bench(), Bench()
    x = one.put(X)
    one.flush()
    assert other.failure(x).error == "TensorNotStored"


def test_other_commands_go_to_their_handlers_outside_the_modes_of_the_client() -> None:
    seen: list[Any] = []

    def describe(message: DescribeData, buffers: Any) -> list[Answer]:
        seen.append((torch.is_grad_enabled(), len(buffers)))
        return [Answer(Synced(message.request, ()), [])]

    bench = Bench(Executor(Store(), {DescribeData: describe}))
    bench.batch.append(Mode(False, None, "float32"))
    bench.buffers.append(b"x")
    assert bench.ask(DescribeData(5))[0] == Synced(5, ())
    assert seen == [(True, 1)]
    bench.batch.append(RequireGrad(bench.put(X), True))
    assert not bench.executor.store.tensors.get(bench.apply(torch.neg, at(1)))


def test_an_exception_of_a_handler_answers_the_request() -> None:
    def broken(message: Any, buffers: Any) -> list[Answer]:
        raise ValueError("no data here")

    reply, _ = Bench(Executor(Store(), {DescribeData: broken})).ask(DescribeData(5))
    assert (reply.request, reply.failure.error, reply.failure.message) == (5, "ValueError", "no data here")


def test_a_message_that_is_no_command_is_answered_by_a_failure(bench: Bench) -> None:
    assert bench.ask(Cancel(4))[0].failure.error == "ProtocolError"
    bench.batch.append(Synced(1, ()))
    reply, _ = bench.flush()[-1]
    assert reply.failure.message == "this worker takes no Synced"


def test_replies_come_in_the_order_of_requests(bench: Bench) -> None:
    bench.batch += [Sync(1), DescribeData(2), Sync(3)]
    assert [reply.request for reply, _ in bench.flush()] == [1, 2, 3]
