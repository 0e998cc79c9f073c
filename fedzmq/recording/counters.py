"""Whether a recorded function does the same every time, or counts how often it was called.

A plan is recorded once and does the same in every step, so a model that changes its ways after some batches would train
to something else than it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from fedzmq.errors import PlanError
from fedzmq.recording.tracing import Recording

_STEPS = (1, 2, 3, 10, 100, 1000, 1_000_000)  # by which a number that counts is set forth, to see whether it matters
_REPEATS = 12  # of a small model
_SMALL = 64  # elements of a tensor that may count
_RECORDS = 500  # that are recorded again at most, if each is recorded once

_SAME = (
    "and a plan does the same in every step: keep what counts in a buffer, as by register_buffer(name, "
    "torch.zeros(())), or in the plan's state, and choose by torch.where"
)

Parts = Mapping[str, object]
"""What has attributes, by name: a module and its parts, or an object that a function is a method of."""

Attributes = list[tuple[str, dict[str, Any]]]
"""Of each part, by its name."""


def check_repeats(first: Recording, again: Callable[[], Recording], most: int = _REPEATS) -> None:
    """Raises PlanError, with the line, where what was recorded first is something else when it is recorded again."""
    for _ in range(max(1, min(most, _RECORDS // (1 + len(first.records))))):
        line = _difference(first, again())
        if line is not None:
            raise PlanError(
                f"what the model does{f' at {line}' if line else ''} is something else when it is called again, {_SAME}"
            )


def snapshot(parts: Parts) -> Attributes:
    """The attributes of the parts as they are now, whatever is written to them later."""
    return [(name, {key: _copy(value) for key, value in vars(part).items()}) for name, part in parts.items()]


def check_counters(parts: Parts, before: Attributes, recorded: Callable[[], Recording]) -> None:
    """Raises PlanError where an attribute that counts decides what is recorded.

    `before` are the attributes as they were. `recorded` records anew.
    """
    for part, attributes in before:
        now = vars(parts[part])
        for name, value in attributes.items():
            changed = _copy(now.get(name))
            others = list(_further(value, changed))
            if not others:
                continue
            first, *found = [_with(parts, before, part, name, other, recorded) for other in (value, *others)]
            if not isinstance(first, Recording):
                return  # it cannot be recorded at all, for a reason of its own
            lines = [line for other in found if (line := _difference(first, other)) is not None]
            if lines:
                attribute = ".".join(filter(None, (part, name)))
                raise PlanError(
                    f"what the model does{f' at {lines[0]}' if lines[0] else ''} depends on its attribute "
                    f"{attribute!r}, which was {value!r} and is {changed!r} some batches on, {_SAME}"
                )


def _with(
    parts: Parts,
    before: Attributes,
    part: str,
    name: str,
    value: object,
    recorded: Callable[[], Recording],
) -> Recording | type:
    for each, attributes in before:
        parts[each].__dict__.clear()
        parts[each].__dict__.update({key: _copy(kept) for key, kept in attributes.items()})
    vars(parts[part])[name] = _copy(value)
    try:
        return recorded()
    except Exception as error:
        return type(error)


def _further(value: Any, changed: Any) -> Iterator[Any]:
    """What an attribute may be after more batches, where it changed and is something that can count."""
    if type(changed) in (int, float) and (value is None or type(value) in (int, float)):
        if value != changed:
            yield from (changed + step for step in _STEPS)
    elif isinstance(value, bool) and isinstance(changed, bool):
        if value != changed:
            yield changed
    elif _is_plain(value) and _is_plain(changed) and value.dtype is not torch.bool:
        if value.shape == changed.shape and not torch.equal(value, changed):
            yield from (changed + step for step in _STEPS)
    elif type(value) is dict and type(changed) is dict:
        for key in [key for key in value if type(value[key]) in (int, float) and changed.get(key) != value[key]]:
            yield from ({**value, key: value[key] + step} for step in _STEPS)


def _is_plain(value: Any) -> bool:
    return type(value) is torch.Tensor and value.numel() <= _SMALL


def _copy(value: Any) -> Any:
    if _is_plain(value):
        return value.detach().clone()
    return value.copy() if type(value) in (dict, list, set) else value


def _difference(one: Recording | type, other: Recording | type) -> str | None:
    """The line of the first difference, empty where there is no telling; None where there is none."""
    if not isinstance(one, Recording) or not isinstance(other, Recording):
        return None if one is other else ""
    longer = max(one, other, key=lambda each: len(each.records))
    pairs = zip(one.records, other.records, longer.origins, strict=False)
    line = next((line for a, b, line in pairs if a != b), None)
    if line is None and len(one.records) != len(other.records):
        line = longer.origins[min(len(one.records), len(other.records))]
    if line is None and one.constants != other.constants:
        return next((line for a, line in zip(one.records, one.origins, strict=True) if _holds(a, one, other)), "")
    return line


def _holds(value: Any, one: Recording, other: Recording) -> bool:
    """It names a constant that is another one in the other recording."""
    if isinstance(value, dict):
        number = value["x"][2] if "x" in value else None
        return (
            any(_holds(each, one, other) for each in value.values())
            if number is None
            else one.constants[number : number + 1] != other.constants[number : number + 1]
        )
    return isinstance(value, list | tuple) and any(_holds(each, one, other) for each in value)
