from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fedzmq.operations.catalog import CATALOG
from fedzmq.wire.messages import (
    Drop,
    Fetch,
    Sync,
)
from tests.worker.bench import Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def test_a_tensor_comes_back_as_it_was_put(bench: Bench) -> None:
    assert torch.equal(bench.get(bench.put(X)), X)


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


def test_a_buffer_gives_one_tensor_only(bench: Bench) -> None:
    x = bench.put(X)
    bench.batch.append([CATALOG.number(torch.neg), 50, 0, [{"x": ["float32", [2, 2], 0]}]])
    assert "was taken before" in bench.failure(50).message
    assert torch.equal(bench.get(x), X)


def test_an_inline_tensor_must_fit_its_buffer(bench: Bench) -> None:
    bench.buffers.append(bytes(4))
    bench.batch.append([CATALOG.number(torch.neg), 50, 0, [{"x": ["float32", [1 << 40, 1 << 40], 0]}]])
    assert bench.failure(50).error == "LimitExceeded"
