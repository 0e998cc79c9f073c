"""A plan without what only its later outputs need: metrics of steps that nobody asks about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.plan import Plan
from fedzmq.wire.apply import results_of


def for_first_output(plan: Plan) -> Plan:
    """The plan that computes its first output alone, and leaves everything else as the whole would.

    What follows the operation that makes the output is left out, up to the last that draws random numbers, writes or
    belongs to a backward.
    """
    wanted = plan.outputs[0].register
    records = list(plan.records)
    least = max([each.place + 1 + each.count for each in plan.backwards], default=0)
    while len(records) > least and wanted not in results_of(records[-1]) and not _leaves_a_trace(records[-1]):
        records.pop()
    lowered = [
        replace(each, count=min(each.count, len(records) - each.first))
        for each in plan.lowered
        if each.first < len(records)
    ]
    return replace(plan, records=tuple(records), outputs=plan.outputs[:1], lowered=tuple(lowered))


def _leaves_a_trace(record: Sequence[Any]) -> bool:
    number, result, _, arguments = record[:4]
    keywords = record[4] if len(record) == 5 else {}
    return (
        result == 0
        or CATALOG.is_random(number)
        or CATALOG.in_place(number)
        or bool(CATALOG.writes_now(number, arguments, keywords))
    )
