from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fedzmq.operations.catalog import CATALOG
from fedzmq.wire.messages import (
    Backward,
    Described,
    Description,
    Failed,
    Probe,
)
from fedzmq.worker.executor import Executor
from fedzmq.worker.store import Store
from tests.worker.bench import Bench, at


@pytest.fixture
def bench() -> Bench:
    return Bench()


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def probe(bench: Bench, first: int, room: int, number: int, mask: int, *packed: Any) -> Any:
    return bench.ask(Probe(bench.request(), first, room, [number, 0, mask, list(packed)]))[0]


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


def test_a_record_that_nests_as_deep_as_bytes_can_fails_alone(bench: Bench) -> None:
    deep: list[Any] = []
    for _ in range(1015):
        deep = [deep]
    records = [[0, 1, 0, [deep]], [0, 2, 0, [], {"other": deep}], [0, 0, 0, [deep]]]
    assert bench.executor.run(records) == []
    assert len(bench.sync()) == 3


@pytest.mark.parametrize("call", [torch.add, torch.matmul, torch.nn.functional.linear])
def test_operands_that_are_little_make_nothing_that_is_too_large(call: Any) -> None:
    bench = Bench(Executor(Store(1 << 20)))
    column, row = bench.put(torch.ones(1000, 1)), bench.put(torch.ones(1, 1000))
    bench.apply(call, at(column), at(column if call is torch.nn.functional.linear else row))
    (failure,) = bench.sync()
    assert failure.error == "LimitExceeded"
    assert bench.executor.store.bytes == 8000


def test_operands_without_elements_make_nothing_that_is_too_large() -> None:
    bench = Bench(Executor(Store(1 << 20)))
    x, y = bench.put(torch.ones(1000, 0)), bench.put(torch.ones(0, 1000))
    bench.apply(torch.matmul, at(x), at(y))
    assert [failure.error for failure in bench.sync()] == ["LimitExceeded"]


def test_what_was_dropped_is_notable_no_longer(bench: Bench) -> None:
    x = bench.put(torch.ones(1 << 14))
    bench.flush()
    assert bench.executor.store.notable == {x}
    y = bench.apply(torch.add, at(x), at(x))
    bench.flush()
    assert bench.executor.store.notable == {x, y}
    for id in (x, y):
        bench.executor.store.drop(id)
    assert bench.executor.store.notable == set()


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


def test_a_probe_names_and_describes_what_only_values_tell(bench: Bench) -> None:
    x = bench.put(X)
    described = probe(bench, 5, 4, CATALOG.number(torch.nonzero), 1, x)
    assert described == Described(1, (Description("int64", (4, 2), (1, 4), False, 0),), True)
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
        (Tensor.expand, ((1 << 60) + 1, 2, 2), {}),
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


@pytest.mark.parametrize("halfway", [False, True], ids=["by statistics", "by a write that fails"])
def test_a_backward_never_follows_indices_that_changed_after_they_were_saved(bench: Bench, halfway: bool) -> None:
    x, y, indices, grad = bench.put(torch.rand(1, 4, 4, 4), True), bench.new_id(), bench.new_id(), bench.new_id()
    bench.apply(torch.nn.functional.max_pool2d_with_indices, at(x), 2, results=[y, indices])
    far = torch.full((16,), 1 << 40)
    if halfway:
        where = bench.put(torch.tensor([*range(15), 99]))
        bench.apply(Tensor.put_, at(indices), at(where), at(bench.put(far)), results=0)
    else:
        mean = bench.apply(Tensor.view, at(bench.apply(Tensor.view, at(indices), 16)), torch.float64)
        sample, variance = bench.put(far.view(torch.float64).repeat(2, 1)), bench.put(torch.ones(16).double())
        bench.apply(torch.nn.functional.batch_norm, at(sample), at(mean), at(variance), training=True, momentum=1.0)
    loss = bench.apply(torch.sum, at(y))
    bench.batch.append(Backward((loss,), (), False, False, [x], [grad]))
    assert "modified by an inplace operation" in bench.failure(grad).message
