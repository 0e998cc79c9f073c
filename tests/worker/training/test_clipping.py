from __future__ import annotations

import pytest
import torch
from torch import Tensor

from fedzmq.worker.training.clipping import Clipping


def gradients() -> list[Tensor | None]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(3, 4, generator=generator), None, torch.randn(5, generator=generator)]


def clipped_by_torch(value: float | None, norm: float | None) -> list[Tensor]:
    parameters = []
    for each in gradients():
        if each is not None:
            parameters.append(torch.nn.Parameter(torch.zeros_like(each)))
            parameters[-1].grad = each
    if value is not None:
        torch.nn.utils.clip_grad_value_(parameters, value)
    if norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, norm)
    return [each.grad for each in parameters if each.grad is not None]


@pytest.mark.parametrize(("value", "norm"), [(0.5, None), (None, 1.5), (None, 1e3), (0.5, 1.0)])
def test_gradients_are_clipped_as_torch_clips_them(value: float | None, norm: float | None) -> None:
    clipped = Clipping(value, norm)(gradients())

    assert clipped[1] is None
    torch.testing.assert_close([each for each in clipped if each is not None], clipped_by_torch(value, norm))


def test_what_is_given_is_not_changed() -> None:
    expanded = torch.ones(1).expand(4)

    Clipping(0.5, 0.1)([expanded])

    assert torch.equal(expanded, torch.ones(4))


def test_where_nothing_has_a_gradient_there_is_nothing_to_clip() -> None:
    assert list(Clipping(norm=1.0)([None])) == [None]
