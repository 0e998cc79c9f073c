"""torch's own samples of its operations, in every dtype and form, with the gradient of each result."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import torch

from tests.pointers.databases.comparison import Comparison
from tests.pointers.databases.outcome import Outcome, compared
from tests.pointers.databases.outside import OUTSIDE, REGROUPED, UNWRITTEN

FORMS = {
    "function": "op",
    "method": "method_variant",
    "operator": "operator_variant",
    "in place": "inplace_variant",
    "operator in place": "inplace_operator_variant",
}
OPERANDS = ("all", "first", "strided")  # which are sent: all, or the first alone, or all and then turned


def name_of(op: Any) -> str:
    return ".".join(filter(None, (op.name, op.variant_test_name)))


def samples(op: Any, dtype: torch.dtype, form: str, most: int | None) -> list[Any]:
    """All samples of the operation, or at most so many, not all of them the first and simplest."""
    in_place = "in place" in form
    wants_grad = op.supports_autograd and (dtype.is_floating_point or dtype.is_complex)
    made = iter(op.sample_inputs("cpu", dtype, requires_grad=wants_grad and not in_place))
    found = list(made if most is None else islice(made, 4 * most))
    if in_place:
        found = [each for each in found if not each.broadcasts_input and isinstance(each.input, torch.Tensor)]
    return found if most is None or len(found) <= most else found[:: -(-len(found) // most)]


def outcomes(
    ops: Sequence[Any], dtype: torch.dtype, form: str, operands: str, gradients: bool, most: int | None
) -> Iterator[Outcome]:
    """Of each operation that has this dtype and form."""
    comparison = Comparison()
    for op in ops:
        function = getattr(op, FORMS[form])
        name = name_of(op)
        if function is None or dtype not in op.supported_dtypes("cpu"):
            continue
        reason = reason_of(name, dtype)
        if reason is not None:
            yield Outcome(name, "outside", reason)
            continue
        yield compared(
            name, comparisons(comparison, function, name, samples(op, dtype, form, most), gradients, operands)
        )


def reason_of(name: str, dtype: torch.dtype) -> str | None:
    """Why the operation is outside in this dtype, where it is."""
    return OUTSIDE.get(name) or (REGROUPED.get(name) if dtype.itemsize < 4 else None)


def comparisons(
    comparison: Comparison, function: Any, name: str, inputs: Sequence[Any], gradients: bool, operands: str
) -> Iterator[tuple[str, Callable[[], None]]]:
    for sample in inputs:
        yield (
            sample.summary(),
            partial(comparison.check, function, sample, name not in UNWRITTEN, gradients, operands),
        )
