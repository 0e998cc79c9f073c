"""Whether a recorded function draws random numbers outside of torch's operations.

A plan is recorded once, so a number drawn by Python or numpy would be the same in every step. That is an error, since
the program itself meant another number each time.
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

NOT_THE_USERS = (*LIBRARY, os.path.dirname(os.__file__), "<string>", "<frozen")
_Source = tuple[Callable[[], object], Callable[[], object]]
_SOURCES: dict[str, _Source] = {  # what tells its state, and what draws from it
    "Python's random": (random.getstate, random.random),
    "numpy's random": (
        lambda: [each if isinstance(each, str | int | float) else each.tobytes() for each in _numpys()],
        np.random.random,
    ),
    "torch's own random numbers, outside of the plan's operations": (
        lambda: torch.default_generator.get_state().numpy().tobytes(),
        lambda: torch.rand(()),
    ),
}


@contextmanager
def no_chance(again: Callable[[], object]) -> Iterator[None]:
    """Raises PlanError where something within draws random numbers here; `again` does it once more, to see where."""
    before = _drawn()
    yield
    for name, state in _drawn().items():
        # Where no line of the program's draws, another thread of this process did.
        if state != before[name] and (line := _line_of(_SOURCES[name], again)):
            raise PlanError(
                f"the model draws from {name} at {line}, and a plan would hold that one number for ever: draw with "
                "torch.rand, torch.randn or torch.randint, choose by torch.where, and seed outside"
            )


def _numpys() -> tuple[Any, ...]:
    return tuple(np.random.get_state())


def _drawn() -> dict[str, object]:
    return {name: state() for name, (state, _) in _SOURCES.items()}


def _line_of(source: _Source, again: Callable[[], object]) -> str:
    """The first line of the user's after which the state is another one."""
    state, draw = source
    draw()  # a seed leads to the state that it led to before
    found: list[str] = []
    last = [state(), ""]

    def look(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename.startswith(NOT_THE_USERS):
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
