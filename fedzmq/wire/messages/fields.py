"""Types of the fields of messages, each with the bounds that the codec checks.

Ids of tensors and numbers of requests are the client's own: they start at 1 and are never reused. A `Ref` of 0 is
"none".
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fedzmq.wire.apply import check_apply
from fedzmq.wire.bounds import AtMost, Between, Checked, Finite
from fedzmq.wire.limits import MAX_INT, MAX_PLAN, MAX_RANK

Positive: TypeAlias = Annotated[int, Between(1, MAX_INT)]
Id: TypeAlias = Positive
Ref: TypeAlias = Annotated[int, Between(0, MAX_INT)]
Count: TypeAlias = Annotated[int, Between(0, MAX_INT)]
Real: TypeAlias = Annotated[float, Finite()]
Seconds: TypeAlias = Real
Shape: TypeAlias = Annotated[tuple[Count, ...], AtMost(MAX_RANK)]
Stride: TypeAlias = Annotated[tuple[int, ...], AtMost(MAX_RANK)]
Apply: TypeAlias = Annotated[list[Any], Checked(check_apply)]
"""`[operation, result, mask, arguments]` or the same with keyword arguments: see `fedzmq.wire.apply`."""
PlanBytes: TypeAlias = Annotated[bytes, AtMost(MAX_PLAN)]
Boot: TypeAlias = Annotated[bytes, AtMost(64)]
"""Which incarnation of a party: another one for every process."""
Names: TypeAlias = Annotated[tuple[str, ...], AtMost(64)]
"""Of clients, or tags."""
