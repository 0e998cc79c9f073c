"""Whether a recorded function does the same every time: what it draws or counts outside of torch's operations.

A plan is recorded once, so a number drawn by Python or numpy, or counted in an attribute, would be the same in every
step. That is an error, since the program itself meant another number each time.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import numpy as np
import torch

from fedzmq.errors import PlanError
from fedzmq.pointers.origins import LIBRARY
from fedzmq.recording.tracing import Recording

_NOT_THE_USERS = (*LIBRARY, os.path.dirname(os.__file__), "<string>", "<frozen")
_STEPS = (1, 2, 3, 10, 100, 1000, 1_000_000)  # by which a number that counts is set forth, to see whether it matters
_SOURCES: dict[str, Callable[[], object]] = {
    "Python's random": random.getstate,
    "numpy's random": lambda: [each if isinstance(each, str | int | float) else each.tobytes() for each in _numpys()],
    "torch's own random numbers, outside of the plan's operations": lambda: torch.get_rng_state().numpy().tobytes(),
}

Attributes = list[tuple[str, dict[str, Any]]]
"""Of each part of a module, by the part's name."""


@contextmanager
def no_chance(again: Callable[[], object]) -> Iterator[None]:
    """Raises PlanError where something within draws random numbers here; `again` does it once more, to see where."""
    before = _drawn()
    yield
    for name, state in _drawn().items():
        if state != before[name]:
            line = _line_of(_SOURCES[name], again)
            raise PlanError(
                f"the model draws from {name}{f' at {line}' if line else ''}, and a plan would hold that one number "
                "for ever: draw with torch.rand, torch.randn or torch.randint, and choose by torch.where"
            )


def check_counters(module: torch.nn.Module, before: Attributes, recorded: Callable[[], Recording]) -> None:
    """Raises PlanError where an attribute that counts decides what is recorded.

    `before` are the attributes as they were. `recorded` records anew.
    """
    parts = dict(module.named_modules())
    for part, attributes in before:
        now = vars(parts[part])
        for name, value in attributes.items():
            if type(value) not in (bool, int, float) or now.get(name) == value:
                continue
            changed = now.get(name)
            others = [not value] if isinstance(value, bool) else [value + step for step in _STEPS]
            found = [_with(parts, before, part, name, other, recorded) for other in (value, *others)]
            lines = [line for other in found[1:] if (line := _difference(found[0], other)) is not None]
            if lines:
                attribute = ".".join(filter(None, (part, name)))
                raise PlanError(
                    f"what the model does{f' at {lines[0]}' if lines[0] else ''} depends on its attribute "
                    f"{attribute!r}, which was {value!r} and is {changed!r} some batches on, and a plan does the same "
                    f"in every step: make it a buffer, as by register_buffer({name!r}, torch.tensor({value!r})), and "
                    "choose by torch.where"
                )


def _with(
    parts: dict[str, torch.nn.Module],
    before: Attributes,
    part: str,
    name: str,
    value: object,
    recorded: Callable[[], Recording],
) -> Recording | type:
    for each, attributes in before:
        parts[each].__dict__.clear()
        parts[each].__dict__.update(attributes)
    vars(parts[part])[name] = value
    try:
        return recorded()
    except Exception as error:
        return type(error)


def _difference(one: Recording | type, other: Recording | type) -> str | None:
    """The line of the first difference, empty where there is no telling; None where there is none."""
    if not isinstance(one, Recording) or not isinstance(other, Recording):
        return None if one is other else ""
    longer = max(one, other, key=lambda each: len(each.records))
    pairs = zip(one.records, other.records, longer.origins, strict=False)
    line = next((line for a, b, line in pairs if a != b), None)
    if line is None and len(one.records) != len(other.records):
        line = longer.origins[min(len(one.records), len(other.records))]
    return line


def _numpys() -> tuple[Any, ...]:
    return tuple(np.random.get_state())


def _drawn() -> dict[str, object]:
    return {name: state() for name, state in _SOURCES.items()}


def _line_of(state: Callable[[], object], again: Callable[[], object]) -> str:
    """The first line of the user's after which the state is another one."""
    found: list[str] = []
    last = [state(), ""]

    def look(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename.startswith(_NOT_THE_USERS):
            return None
        now = state()
        if now != last[0] and last[1]:
            found.append(str(last[1]))
        if event != "return":
            last[:] = [now, f"{frame.f_code.co_filename}:{frame.f_lineno}"]
        return look

    tracing = sys.gettrace()
    sys.settrace(look)
    try:
        with suppress(Exception):
            again()
    finally:
        sys.settrace(tracing)
    return found[0] if found else ""
