from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from fedzmq.wire.messages import (
    Mode,
    Seed,
)
from tests.worker.bench import Bench, at


@pytest.fixture
def bench() -> Bench:
    return Bench()


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


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
