"""What a recording says of that which no list of operations on tensors can do: the line, why, and the way out."""

from __future__ import annotations

from fedzmq.errors import PlanError, PlanNeedsValue
from fedzmq.pointers.origins import Origin, origin, shown

WAY_OUT = "use torch.where and masks instead of branches, and take values outside"


def refused(what: str, where: Origin | None = None, way_out: str = WAY_OUT) -> PlanError:
    return PlanError(_reason(what, where, way_out))


def needs_value(what: str) -> PlanNeedsValue:
    return PlanNeedsValue(_reason(what, None, WAY_OUT))


def _reason(what: str, where: Origin | None, way_out: str) -> str:
    line = shown(where or origin())
    at = f" at {line}" if line else ""
    return f"{what}{at} cannot be part of a plan: a plan is a fixed list of operations on tensors; {way_out}"
