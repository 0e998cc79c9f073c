from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fedzmq.wire.messages import (
    Backward,
    Gradients,
    Put,
    RequireGrad,
    SetData,
    SetGrad,
    TensorSpec,
)
from tests.worker.bench import Bench, at


@pytest.fixture
def bench() -> Bench:
    return Bench()


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def test_backward_binds_the_gradients_of_leaves(bench: Bench) -> None:
    x = bench.put(X, requires_grad=True)
    loss = bench.apply(Tensor.sum, at(bench.apply(torch.mul, at(x), at(x))))
    grad = bench.new_id()
    bench.batch.append(Backward((loss,), (), False, False, (x,), (grad,)))
    assert torch.equal(bench.get(grad), 2 * X)


def test_a_sparse_gradient_fails_alone(bench: Bench) -> None:
    x, grad, inner, index = (
        bench.put(X, requires_grad=True),
        bench.new_id(),
        bench.new_id(),
        bench.put(torch.tensor([1])),
    )
    for leaf, name in ((x, grad), (bench.apply(torch.mul, at(x), 2.0), inner)):
        rows = bench.apply(torch.nn.functional.embedding, at(index), at(leaf), sparse=True)
        bench.batch.append(Backward((bench.apply(Tensor.sum, at(rows)),), (), False, False, (leaf,), (name,)))
    assert "sparse" in bench.failure(grad).message
    assert "sparse" in bench.failure(inner).message
    assert torch.equal(bench.get(x), X)


def test_gradients_add_up_under_the_same_id(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    for _ in range(2):
        bench.batch.append(Backward((bench.apply(Tensor.sum, at(x)),), (), False, False, (x,), (grad,)))
    assert bench.get(grad).tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_backward_takes_the_gradient_of_its_root(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    weights = bench.put(torch.full((2, 2), 3.0))
    bench.batch.append(Backward((bench.apply(torch.neg, at(x)),), (weights,), False, False, (x,), (grad,)))
    assert bench.get(grad).tolist() == [[-3.0, -3.0], [-3.0, -3.0]]


def test_a_failed_backward_poisons_the_gradients(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    bench.batch.append(Backward((x,), (), False, False, (x,), (grad,)))
    failure = bench.failure(grad)
    assert (failure.operation, failure.error) == ("Backward", "RuntimeError")
    assert "scalar outputs" in failure.message


def test_a_backward_of_something_failed_poisons_the_gradients_with_its_cause(bench: Bench) -> None:
    x, grad = bench.put(X, requires_grad=True), bench.new_id()
    loss = bench.apply(torch.mm, at(x), 3)
    bench.batch.append(Backward((loss,), (), False, False, (x,), (grad,)))
    bench.apply(Tensor.sub_, at(x), at(grad), results=0)
    assert bench.failure(x).operation == "torch.mm"
    assert bench.sync() == ()


def test_a_leaf_that_no_gradient_reaches_is_no_error_until_it_is_used(bench: Bench) -> None:
    x, y, grad = bench.put(X, True), bench.put(X, True), bench.new_id()
    bench.batch.append(Backward((bench.apply(Tensor.sum, at(x)),), (), False, False, (y,), (grad,)))
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
