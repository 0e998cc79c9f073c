"""torch's own samples of its functions of lists of tensors, which optimizers call: whole lists of pointers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from tests.pointers.databases.comparison import Comparison
from tests.pointers.databases.operations import comparisons
from tests.pointers.databases.outcome import Outcome, compared

FORMS = {"function": "method_variant", "in place": "inplace_variant"}
_OF_THE_DATABASE = ("is_fastpath", "disable_fastpath", "zero_size")  # what else the samples say of themselves


def outcomes(ops: Sequence[Any], dtype: torch.dtype, form: str, most: int | None) -> Iterator[Outcome]:
    """Of each function that has this dtype and form."""
    comparison = Comparison()
    for op in ops:
        function = getattr(op, FORMS[form])
        if function is None or dtype not in op.supported_dtypes("cpu"):
            continue
        yield compared(op.name, comparisons(comparison, function, op.name, _samples(op, dtype, most), False, "all"))


def _samples(op: Any, dtype: torch.dtype, most: int | None) -> list[Any]:
    found = list(op.sample_inputs("cpu", dtype, requires_grad=False))
    for each in found:
        each.kwargs = {name: value for name, value in each.kwargs.items() if name not in _OF_THE_DATABASE}
    return found if most is None or len(found) <= most else found[:: -(-len(found) // most)]
