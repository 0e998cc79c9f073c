from __future__ import annotations

from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from fedzmq.operations.catalog import CATALOG
from fedzmq.wire.messages import (
    Cancel,
    DescribeData,
    Drop,
    LoadRandomState,
    Mode,
    RequireGrad,
    SaveRandomState,
    Sync,
    Synced,
)
from fedzmq.worker.answer import Answer
from fedzmq.worker.executor import Executor
from fedzmq.worker.store import Store
from tests.worker.bench import Bench, at


@pytest.fixture
def bench() -> Bench:
    return Bench()


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


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


def test_a_saved_random_state_is_loaded_as_it_was_whatever_is_done_to_its_tensor(bench: Bench) -> None:
    state = bench.new_id()
    bench.batch.append(SaveRandomState(state))
    drawn = bench.get(bench.apply(torch.rand, 5))
    bench.apply(Tensor.fill_, at(state), 255, results=0)
    bench.batch.append(LoadRandomState(state))
    assert torch.equal(bench.get(bench.apply(torch.rand, 5)), drawn)


def test_no_other_tensor_is_loaded_as_a_random_state(bench: Bench) -> None:
    state = bench.new_id()
    bench.batch.append(SaveRandomState(state))
    bench.batch.append(LoadRandomState(bench.apply(Tensor.clone, at(state))))
    assert bench.sync()[0].message == "this tensor is no state of random numbers that was saved here"


def test_ctrl_c_within_a_message_is_raised_when_the_rest_of_it_has_run() -> None:
    def press(message: Any, buffers: Any) -> NoReturn:
        raise KeyboardInterrupt

    bench = Bench(Executor(Store(), {DescribeData: press}))
    x = bench.put(X)
    bench.batch.append(DescribeData(7))
    doubled = bench.apply(torch.mul, at(x), 2)
    with pytest.raises(KeyboardInterrupt):
        bench.flush()
    assert torch.equal(bench.get(doubled), X * 2)


def test_an_operation_that_ctrl_c_breaks_off_has_failed_and_what_it_wrote_to_too() -> None:
    bench = Bench()
    x, y = bench.put(X), bench.put(X)
    number = CATALOG.number(Tensor.add_)

    def press(*operands: Any) -> NoReturn:
        raise KeyboardInterrupt

    bench.executor._operations._functions[number] = press
    bench.apply(Tensor.add_, at(x), at(y), results=0)
    with pytest.raises(KeyboardInterrupt):
        bench.flush()
    assert bench.failure(x).error == "KeyboardInterrupt"
    assert torch.equal(bench.get(y), X)
