from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fedzmq.errors import LimitExceeded, OperationRefused, PlanError, ProtocolError
from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.guards import differentiated
from fedzmq.plans.check import check
from fedzmq.plans.compiled import compile_plan, constants
from fedzmq.plans.plan import Constant, Plan, from_bytes
from fedzmq.recording.training_plan import training_plan
from tests.plans.listing import op, plan
from tests.recording.recorded import MODULES, Recorded

W = torch.tensor([1.0, 2.0])
X = torch.tensor([3.0, 5.0])


def run(*records: list[Any], most_bytes: int = 1 << 20, rows: int = 1) -> Tensor:
    written = plan(*records)
    check(written)
    (loss,) = compile_plan(written, most_bytes)(rows, W.clone(), X.clone())
    return loss


@pytest.mark.parametrize("name", MODULES)
def test_a_compiled_plan_gives_what_its_module_gives(name: str) -> None:
    made = MODULES[name]()
    recorded = Recorded(made)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = made.loss(made.module(made.features), made.targets)
        torch.manual_seed(3)
        loss, *_ = recorded.outputs()

    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("name", MODULES)
def test_the_gradients_of_a_compiled_plan_are_those_of_its_module(name: str) -> None:
    made = MODULES[name]()
    recorded = Recorded(made)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made.loss(made.module(made.features), made.targets).backward()
        torch.manual_seed(3)
        gradients = torch.autograd.grad(recorded.outputs()[0], recorded.trained, allow_unused=True)

    expected = [each.grad for each in made.module.parameters() if each.requires_grad]
    torch.testing.assert_close(list(gradients), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("rows", [1, 3])
def test_a_compiled_plan_takes_batches_of_any_size(name: str, rows: int) -> None:
    made = MODULES[name]()
    if rows == 1 and any(isinstance(each, nn.BatchNorm1d) for each in made.module.modules()):
        rows = 2  # one row has no variance
    recorded = Recorded(made)
    made.features, made.targets = made.features[:rows], made.targets[:rows]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = made.loss(made.module(made.features), made.targets)
        torch.manual_seed(3)
        loss, *_ = recorded.outputs()

    torch.testing.assert_close(loss, expected)


def test_a_multiple_of_the_rows_is_known_when_the_plan_runs() -> None:
    assert run(op("torch.full", 3, 0, [{"b": 4}], 1.0), rows=3).shape == (12,)


def test_the_getter_of_a_property_is_an_operation() -> None:
    assert torch.equal(run(op("Tensor.real.get", 3, 0b1, 2)), X)


def test_an_operation_of_several_outputs_fills_those_that_are_kept() -> None:
    assert run(op("torch.max", [0, 3], 0b1, 2, 0)) == 1


def test_an_operation_that_gives_another_number_of_outputs_is_refused() -> None:
    with pytest.raises(PlanError, match="gave 2 tensors, and 1 were recorded"):
        run(op("torch.max", [3], 0b1, 2, 0))


def test_one_tensor_is_not_taken_apart_into_several_outputs() -> None:
    with pytest.raises(PlanError, match="gave 1 tensors, and 2 were recorded"):
        run(op("torch.neg", [3, 4], 0b1, 2))


@pytest.mark.parametrize(
    "argument",
    [
        float("nan"),
        float("inf"),
        {"c": [1.0, float("inf")]},
        {"c": [float("nan"), -0.0]},
        -(1 << 63),
        True,
    ],
)
def test_every_kind_of_number_gets_into_the_code(argument: Any) -> None:
    loss = run(op("torch.full_like", 3, 0b1, 2, argument, dtype={"d": "complex128"}))

    expected = complex(*argument["c"]) if isinstance(argument, dict) else argument
    torch.testing.assert_close(loss, torch.full((2,), expected, dtype=torch.complex128), equal_nan=True)


def test_slices_ellipsis_and_nested_tensors_get_into_the_code() -> None:
    index = {"t": [{"e": 0}, {"s": [None, None, -1 + 2]}]}

    assert run(op("Tensor.__getitem__", 3, 0b1, 2, index), op("torch.cat", 4, 0, [{"p": 3}, {"p": 1}])).tolist() == [
        3.0,
        5.0,
        1.0,
        2.0,
    ]


@pytest.mark.parametrize(
    "keyword", ["other=r1) or print", "other = __import__('os').abort(), x", "lambda", "", "a b", "r1", "#"]
)
def test_the_name_of_a_keyword_never_becomes_code(keyword: str) -> None:
    with pytest.raises(TypeError):
        run(op("torch.add", 3, 0b11, 1, 2, **{keyword: 1}))


def test_a_text_never_becomes_code() -> None:
    with pytest.raises(Exception, match="is not a valid value for reduction"):
        run(op("nn.functional.mse_loss", 3, 0b11, 1, 2, reduction="'+__import__('os').abort()+'"))


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (op("torch.add", 3, 0b11, 1, 2, out={"p": 1}), OperationRefused),
        (op("torch.zeros", 3, 0, 2, device="cuda"), OperationRefused),
        (op("torch.zeros", 3, 0, 2, device={"v": "cuda"}), OperationRefused),
        (op("torch.add", 3, 0b1, 1, {"unknown": 1}), ProtocolError),
        (op("torch.full", 3, 0, [{"b": 0}], 1.0), ProtocolError),
        (op("torch.full", 3, 0, [{"b": "2; rows"}], 1.0), ProtocolError),
    ],
)
def test_an_argument_that_a_worker_would_refuse_does_not_compile(record: list[Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        compile_plan(plan(record))


@pytest.mark.parametrize(
    "record",
    [
        op("torch.zeros", 3, 0, [1 << 20]),
        op("torch.full", 3, 0, [{"b": 1 << 20}], 1.0),
        op("Tensor.repeat", 3, 0b1, 2, 1 << 20),
        op("Tensor.expand", 3, 0b1, 2, (1 << 62) + 1, -1),
        op("torch.broadcast_to", 3, 0b1, 2, [1 << 20, 1]),
        op("torch.outer", 3, 0b11, 2, 1),
    ],
)
def test_a_result_that_is_too_large_is_refused_before_it_is_made(record: list[Any]) -> None:
    with pytest.raises(LimitExceeded, match="the bytes of the result of"):
        run(record, most_bytes=8)


def test_a_kernel_that_would_read_foreign_memory_is_guarded() -> None:
    with pytest.raises(OperationRefused):
        run(
            op(
                "torch._fused_sgd_",
                0,
                0,
                [{"p": 1}],
                [{"p": 2}, {"p": 2}],
                [],
                weight_decay=0.0,
                momentum=0.0,
                lr=1.0,
                dampening=0.0,
                nesterov=False,
                maximize=False,
                is_first_step=True,
            ),
            op("torch.neg", 3, 0b1, 1),
        )


def test_a_register_is_dropped_after_its_last_use(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[weakref.ref[Tensor]] = []

    class Watched(Tensor):
        """Says when it goes."""

    def count(value: Tensor, other: Tensor) -> Tensor:
        gc.collect()
        return torch.tensor(float(sum(each() is not None for each in alive)))

    def watched(value: Tensor) -> Tensor:
        made = value.clone().as_subclass(Watched)
        alive.append(weakref.ref(made))
        return made

    functions = list(CATALOG.functions)
    functions[CATALOG.number_of("torch.neg")] = watched
    functions[CATALOG.number_of("torch.mul")] = count
    monkeypatch.setattr(CATALOG, "functions", tuple(functions))

    chain = [op("torch.neg", 3, 0b1, 2), op("torch.neg", 4, 0b1, 3), op("torch.neg", 5, 0b1, 4)]

    assert run(*chain, op("torch.mul", 6, 0b11, 5, 1)) == 1


def test_constants_are_made_anew_for_every_task() -> None:
    one = Constant("float32", (2,), W.numpy().tobytes())
    written = plan(op("Tensor.add_", 0, 0b11, 3, 2), op("torch.mul", 4, 0b11, 3, 1), constants=(one,))
    step = compile_plan(written)

    losses = [step(1, W, X, *constants(written))[0] for _ in range(2)]

    assert torch.equal(losses[0], losses[1])


def test_a_plan_read_back_from_its_bytes_compiles_alike() -> None:
    made = MODULES["mlp"]()
    body = training_plan(made.module, made.loss, made.features, made.targets)
    read: Plan = from_bytes(body)

    assert read.to_bytes() == body


def test_a_long_step_is_ended_where_whoever_looks_raises() -> None:
    ran: list[int] = []

    def look() -> None:
        ran.append(1)
        if len(ran) == 2:
            raise InterruptedError

    chain = [op("torch.neg", 3 + number, 0b1, 2 + number) for number in range(100)]
    step = compile_plan(plan(*chain, op("torch.mul", 104, 0b11, 102, 1)))
    with pytest.raises(InterruptedError):
        step(1, W, X, look=look)
    assert step(1, W, X)


def test_what_all_gradients_of_a_step_go_through_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(differentiated, "MOST_NODES", 20)
    gradients = [
        op("torch.autograd.grad", [5 + number], 0, [{"p": 4}], [{"p": 1}], None, retain_graph=True)
        for number in range(12)
    ]
    records = [op("torch.mul", 3, 0b11, 1, 2), op("torch.sum", 4, 0b1, 3)]
    few = compile_plan(plan(*records, *gradients[:4], op("torch.sum", 20, 0b1, 5)))
    for _ in range(8):
        few(1, W.clone(), X)
    with pytest.raises(LimitExceeded, match="the operations that gradients go through"):
        compile_plan(plan(*records, *gradients, op("torch.sum", 20, 0b1, 5)))(1, W.clone(), X)
