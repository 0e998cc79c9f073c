"""What torch holds its Python references to: their samples, larger and stranger than its own, in the public functions.

The references themselves (`torch._refs`) are private to torch, and made of kernels that no worker lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from torch.utils._pytree import tree_flatten

from tests.pointers.databases.comparison import Comparison
from tests.pointers.databases.operations import comparisons, name_of, reason_of
from tests.pointers.databases.outcome import Outcome, compared


def outcomes(references: Sequence[Any], dtype: torch.dtype, most: int | None) -> Iterator[Outcome]:
    """Of each reference whose function has this dtype."""
    comparison = Comparison()
    for reference in references:
        op = reference.torch_opinfo
        if dtype not in op.supported_dtypes("cpu"):
            continue
        name = name_of(op)
        reason = reason_of(name, dtype)
        if reason is not None:
            yield Outcome(name, "outside", reason)
            continue
        wants_grad = op.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
        try:
            samples = _samples(reference, dtype, wants_grad, most)
        except ValueError:  # some makers of samples know no gradients
            samples = _samples(reference, dtype, False, most)
        yield compared(name, comparisons(comparison, op.op, name, samples, True, "all"))


def _samples(reference: Any, dtype: torch.dtype, wants_grad: bool, most: int | None) -> list[Any]:
    return list(islice(filter(_has_tensors, reference.reference_inputs("cpu", dtype, requires_grad=wants_grad)), most))


def _has_tensors(sample: Any) -> bool:
    return any(isinstance(each, torch.Tensor) for each in tree_flatten((sample.input, sample.args, sample.kwargs))[0])
