from __future__ import annotations

import torch

from fedzmq.worker.footprint import OBJECT_BYTES, footprint

MIB = 1 << 20


def ones(**options: bool) -> torch.Tensor:
    return torch.ones(MIB // 4, **options)


def mib(*tensors: torch.Tensor) -> int:
    return footprint(tensors) // MIB


def test_what_views_share_is_counted_once() -> None:
    x = ones()
    assert mib(x, x[1:], x.view(2, -1)) == 1


def test_what_only_a_graph_holds_is_counted() -> None:
    x = ones(requires_grad=True)
    assert mib(((x * 2).exp().exp()).sum()) == 2 + 1


def test_what_a_graph_holds_is_counted_though_it_was_written_to() -> None:
    x = ones(requires_grad=True)
    y = (x * 2).exp()
    total = y.exp().sum()
    with torch.no_grad():
        y.add_(1)
    del y
    assert mib(total) == 2 + 1


def test_what_backward_let_go_of_is_not_counted() -> None:
    x = ones(requires_grad=True)
    total = (x * 2).exp().sum()
    total.backward()
    x.grad = None
    assert mib(total) == 1


def test_a_gradient_is_counted_with_its_leaf() -> None:
    x = ones(requires_grad=True)
    x.sum().backward()
    assert mib(x) == 2


def test_tensors_of_no_elements_are_counted_too() -> None:
    assert footprint([torch.ones(0) for _ in range(10)]) == 10 * OBJECT_BYTES
