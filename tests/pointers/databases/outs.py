"""`out=` of torch's operations: of the right shape, of no elements, of another dtype, and of the wrong shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_map

from tests.pointers.databases.comparison import Comparison, copied, outcome_of, replaced
from tests.pointers.databases.operations import name_of, samples
from tests.pointers.databases.outcome import REFUSALS, Different, Outcome, compared
from tests.pointers.databases.outside import OUTSIDE, OUTSIDE_OUT

KINDS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "the same": torch.zeros_like,
    "no elements": lambda result: result.new_empty(0),
    "a wider dtype": lambda result: torch.zeros_like(result, dtype=torch.promote_types(result.dtype, torch.float64)),
    "a narrower dtype": lambda result: torch.zeros_like(result, dtype=torch.int32),
    "another shape": lambda result: result.new_zeros((*result.shape, 2)),
}


def outcomes(ops: Sequence[Any], dtype: torch.dtype, most: int | None) -> Iterator[Outcome]:
    """Of each operation that takes `out=`."""
    comparison = Comparison()
    for op in ops:
        if not op.supports_out or dtype not in op.supported_dtypes("cpu"):
            continue
        name = name_of(op)
        reason = OUTSIDE.get(name) or OUTSIDE_OUT.get(name)
        if reason is not None:
            yield Outcome(name, "outside", reason)
            continue
        pairs = [
            (f"out={kind}, {sample.summary()}", partial(_compare, comparison, op, sample, kind))
            for sample in samples(op, dtype, "in place", most)
            for kind in KINDS
        ]
        yield compared(name, pairs)


def _compare(comparison: Comparison, op: Any, sample: Any, kind: str) -> None:
    given = (sample.input, sample.args, {**sample.kwargs})
    with comparison.settled():
        comparison.seed()
        result = outcome_of(op, replaced(given, {}, lambda tensor: copied(tensor, False)))
        if isinstance(result, Exception):
            return
        make: Any = KINDS[kind]
        out = tree_map(lambda value: make(value) if isinstance(value, torch.Tensor) else value, result)
        if kind == "another shape" and not any(each.numel() for each in _tensors(out)):
            return
        comparison.seed()
        local = replaced((*given[:2], {**given[2], "out": out}), {}, lambda tensor: copied(tensor, False))
        remote = replaced(
            (*given[:2], {**given[2], "out": out}), {}, lambda tensor: comparison.send(copied(tensor, False))
        )
        wanted, found = outcome_of(op, local), outcome_of(op, remote)
        if kind == "another shape":
            # Here it resizes, with a warning: memory that others may share is not resized over there.
            if not isinstance(found, Exception):
                raise Different("it is not refused")
        elif isinstance(wanted, Exception):
            comparison.also_fails(wanted, found)
        elif isinstance(found, REFUSALS):
            raise found
        elif isinstance(found, Exception):
            raise Different(f"through a pointer it raises {type(found).__name__}: {found}")
        else:
            comparison.compare(wanted, found)
            comparison.compare(local[2]["out"], remote[2]["out"])


def _tensors(value: Any) -> list[torch.Tensor]:
    return [value] if isinstance(value, torch.Tensor) else [each for each in value if isinstance(each, torch.Tensor)]
