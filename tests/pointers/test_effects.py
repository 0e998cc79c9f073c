from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import INNER, meta
from tests.pointers.loopback import Place

LEARNED_ONCE: dict[str, Callable[[Tensor, int], object]] = {
    "floats": lambda p, n: p * (n + 0.5),
    "ints that are added": lambda p, n: p + n,
    "an index": lambda p, n: p[n],
    "a batch": lambda p, n: p[2 * n : 2 * n + 2],
    "a column": lambda p, n: p[:, n],
    "a stored number": lambda p, n: p.__setitem__(n, n),
    "a learning rate": lambda p, n: p.add_(p, alpha=-0.1 * n),
}


@pytest.mark.parametrize("name", LEARNED_ONCE)
def test_an_effect_is_learned_once_whatever_the_numbers(name: str) -> None:
    bob = Place("bob", Effects())
    p = torch.ones(8, 8).send(bob)
    for n in range(1, 4):
        LEARNED_ONCE[name](p, n)
    assert bob.stream.effects.misses == 1
    bob.stream.sync()


def test_what_shapes_the_result_is_told_apart() -> None:
    bob = Place("bob", Effects())
    p = torch.ones(8, 8).send(bob)
    assert [tuple(p[:n].shape) for n in range(3)] == [(0, 8), (1, 8), (2, 8)]
    assert [tuple(p.sum(dim).shape) for dim in (0, 1)] == [(8,), (8,)]
    assert p.sum(0, True).shape == (1, 8)
    assert p.sum(0, False).shape == (8,)
    image = p[None, None]
    sizes = [nn.functional.interpolate(image, scale_factor=scale).shape[-1] for scale in (1.5, 2.0, 3.0)]
    assert sizes == [12, 16, 24]


def test_true_and_one_are_told_apart() -> None:
    bob = Place("bob", Effects())
    p = torch.ones(2).send(bob)
    assert (torch.full_like(p, 1).dtype, torch.full_like(p, True).dtype) == (torch.float32, torch.float32)
    i = torch.ones(2, dtype=torch.bool).send(bob)
    assert (i + 1).dtype is torch.int64
    assert (i + True).dtype is torch.bool


def test_what_is_not_used_is_forgotten() -> None:
    effects = Effects(limit=8)
    bob = Place("bob", effects)
    p = torch.ones(64).send(bob)
    for n in range(1, 40):
        p.narrow(0, 0, n)
        p + 1.5
    assert len(effects._young) + len(effects._old) <= 16
    misses = effects.misses
    p + 2.5
    assert effects.misses == misses


def test_equal_metadata_is_one_object() -> None:
    shape = torch.Size([2, 3])
    assert meta(shape, torch.float32, (3, 1)) is meta(torch.Size([2, 3]), torch.float32, (3, 1))
    assert meta(shape, torch.float32, (3, 1)) is not meta(shape, torch.float32, (3, 1), INNER)


@pytest.mark.parametrize("stride", [(3, 1), (1, 2), (0, 1), (6, 2), (0, 0)])
def test_a_blank_has_the_metadata_that_it_was_made_from(stride: tuple[int, int]) -> None:
    for kind in (0, 1, 2):
        wanted = meta(torch.Size([2, 3]), torch.float32, stride, kind)
        blank = wanted.blank(torch.device("meta"))
        assert (blank.shape, blank.stride(), blank.requires_grad, blank.is_leaf) == (
            (2, 3),
            stride,
            kind > 0,
            kind < 2,
        )
