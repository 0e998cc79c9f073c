"""Plans written by hand, of the operations named."""

from __future__ import annotations

from typing import Any

from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.plan import Constant, Output, Plan, Slot

W = Slot("w", "float32", (2,), True)
X = Slot("x", "float32", (2,), False)


def op(name: str, result: Any, mask: int, *arguments: Any, **keywords: Any) -> list[Any]:
    record = [CATALOG.number_of(name), result, mask, list(arguments)]
    return [*record, keywords] if keywords else record


def plan(
    *records: list[Any],
    parameters: tuple[Slot, ...] = (W,),
    columns: tuple[Slot, ...] = (X,),
    constants: tuple[Constant, ...] = (),
    outputs: tuple[Output, ...] | None = None,
    catalog: str | None = None,
) -> Plan:
    """Its parameter is register 1, its column 2, constants follow; the loss is what the last record fills."""
    if outputs is None:
        last = records[-1][1]
        outputs = (Output("loss", last if isinstance(last, int) else max(last)),)
    return Plan(catalog or CATALOG.digest(), parameters, (), columns, constants, records, outputs)
