"""Batch normalization that averages over all batches so far, in a form that needs no value.

Torch's own reads the counter of batches to compute the momentum, which a recording has no value of.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm


def make_recordable(parts: Iterable[object]) -> None:
    """Let such layers among the `parts` run without values. Their attribute `forward` is to be taken off."""
    for each in parts:
        if isinstance(each, _BatchNorm) and each.momentum is None and each.track_running_stats and each.training:
            vars(each)["forward"] = partial(_forward, each)


def _forward(layer: _BatchNorm, x: Tensor) -> Tensor:
    layer._check_input_dim(x)  # type: ignore[no-untyped-call]
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.num_batches_tracked is not None
    layer.num_batches_tracked.add_(1)
    mean, var = torch.zeros_like(layer.running_mean), torch.ones_like(layer.running_var)
    normal = batch_norm(x, mean, var, layer.weight, layer.bias, True, 1.0, layer.eps)  # leaves the batch's own in them
    with torch.no_grad():
        share = 1 / layer.num_batches_tracked.to(mean.dtype)
        for running, own in ((layer.running_mean, mean), (layer.running_var, var)):
            running.mul_(1 - share).add_(own * share)
    return normal
