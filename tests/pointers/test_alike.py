from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from fedzmq.pointers.alike import grown, two_of
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import CONSTANT, INNER, LEAF, Kind, Meta, contiguous_stride, meta
from tests.pointers.loopback import Place


def of(*shape: int, kind: Kind = CONSTANT, stride: tuple[int, ...] | None = None) -> Meta:
    size = torch.Size(shape)
    return meta(size, torch.float32, stride or contiguous_stride(size), kind)


CALLS: dict[str, tuple[Callable[..., Any], list[Meta], Callable[[Any], Any], tuple[int, ...]]] = {
    "a convolution": (
        F.conv2d,
        [of(5, 6, 6, 3), of(4, 6, 3, 3, kind=LEAF), of(4, kind=LEAF)],
        lambda t: F.conv2d(*t),
        (),
    ),
    "one of the last": (
        F.conv2d,
        [of(5, 6, 6, 3, kind=INNER, stride=(108, 1, 18, 6)), of(4, 6, 3, 3)],
        lambda t: F.conv2d(*t, padding="same"),
        (),
    ),
    "one that grows": (
        F.conv_transpose1d,
        [of(5, 6, 8, kind=INNER), of(6, 4, 3)],
        lambda t: F.conv_transpose1d(*t, stride=2, output_padding=1),
        (),
    ),
    "running statistics": (
        F.batch_norm,
        [of(5, 6, kind=INNER), of(6), of(6), of(6, kind=LEAF), of(6, kind=LEAF)],
        lambda t: F.batch_norm(*t, training=True),
        (1, 2),
    ),
    "statistics of groups": (F.group_norm, [of(5, 6, 2)], lambda t: F.group_norm(t[0], 3), ()),
    "two results": (F.max_pool2d, [of(5, 6, 6, 4)], lambda t: F.max_pool2d(t[0], 2, return_indices=True), ()),
    "a single example": (F.avg_pool1d, [of(1, 6, 6)], lambda t: F.avg_pool1d(t[0], 2), ()),
    "no example": (F.avg_pool1d, [of(0, 6, 6)], lambda t: F.avg_pool1d(t[0], 2), ()),
    "an activation in place": (F.relu, [of(5, 6)], lambda t: F.relu(t[0], inplace=True), (0,)),
}


@pytest.mark.parametrize("name", CALLS)
def test_two_examples_teach_what_all_do(name: str) -> None:
    func, metas, call, written = CALLS[name]
    few = two_of(func, metas)
    assert few is not None
    told = grown(Effects().learn(0, few, call, written, from_kernel=True), metas[0].shape[0])
    wanted = Effects().learn(0, metas, call, written, from_kernel=True)
    assert [(e.meta, e.alias, e.view, e.sources) for e in told.outputs] == [
        (e.meta, e.alias, e.view, e.sources) for e in wanted.outputs
    ]
    assert [(e.position, e.meta, e.sources) for e in told.written] == [
        (e.position, e.meta, e.sources) for e in wanted.written
    ]
    assert (told.single, told.updates) == (wanted.single, wanted.updates)


def test_examples_that_do_not_lie_side_by_side_and_large_ones_are_left_to_fakes() -> None:
    small = of(6, 6, 3, 3)
    assert two_of(F.conv2d, [of(5, 6, 9, 9), small]) is not None
    assert two_of(F.conv2d, [of(6, 9, 9), small]) is None  # one image, without a batch
    assert two_of(F.conv2d, [of(5, 6, 9, 9, stride=(1, 5, 30, 270)), small]) is None
    assert two_of(F.conv2d, [of(5, 6, 999, 999), small]) is None
    assert two_of(F.relu, [of(5, 6), of(5)]) is None
    assert two_of(F.linear, [of(5, 6), of(3, 6)]) is None


def test_what_is_wrong_with_a_large_batch_is_said_of_all_of_it(bob: Place) -> None:
    batch = torch.zeros(64, 3, 32, 32).send(bob)
    with pytest.raises(RuntimeError, match=r"input of shape \[64, 3, 32, 32\]"):
        F.group_norm(batch, 2)
