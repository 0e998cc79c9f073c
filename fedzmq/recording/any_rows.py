"""A function recorded for batches of any size: for two sizes, and the two made one.

What a recording of one size cannot show is learned from the other: which numbers, and which tensors that the function
makes itself, depend on how many examples there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fedzmq.errors import TensorsNotCollocatedException
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import Meta
from fedzmq.recording.batch_rows import generalise
from fedzmq.recording.makers import Makers, varying
from fedzmq.recording.registers import Record, Registers
from fedzmq.recording.tracing import Recording, record

ROWS = (7, 11)  # two primes: a number that is a multiple of both by chance is not to be expected
THIRD = 13  # where a number is no multiple of the rows, two sizes do not tell by what rule it grows


@dataclass(frozen=True, slots=True, eq=False)
class AnyRows:
    """The records, in the numbers of `registers`, and the two recordings that they come from."""

    first: Recording
    second: Recording
    registers: Registers
    records: tuple[Record, ...]


def record_any_rows(function: Callable[..., Any], inputs: Callable[[int], Sequence[Meta]], effects: Effects) -> AnyRows:
    """Record `function` on `inputs(rows)`. Raises PlanError, which names the user's line, and what the function raises.

    It is called several times, and is to do the same every time.
    """
    chosen: set[int] = set()
    while True:
        watched = [Makers(chosen) for _ in ROWS]
        try:
            return _recorded(function, inputs, effects, watched)
        except Exception as error:
            if not watched[1].calls:
                with suppress(Exception):
                    record(function, inputs(ROWS[1]), effects, watched[1])
            more = varying(*watched) - chosen
            if more:
                chosen |= more
            elif isinstance(error.__cause__, TensorsNotCollocatedException):
                return _with_all_on_the_tape(function, inputs, effects, error)
            else:
                raise


def _with_all_on_the_tape(
    function: Callable[..., Any], inputs: Callable[[int], Sequence[Meta]], effects: Effects, reason: Exception
) -> AnyRows:
    """The function writes to a tensor that it made: then that one is to be on the tape, too."""
    try:
        return _recorded(function, inputs, effects, [Makers(everything=True) for _ in ROWS])
    except Exception:
        raise reason from reason.__cause__


def _recorded(
    function: Callable[..., Any],
    inputs: Callable[[int], Sequence[Meta]],
    effects: Effects,
    watched: Sequence[Makers],
) -> AnyRows:
    first, second = (
        record(function, inputs(rows), effects, makers) for rows, makers in zip(ROWS, watched, strict=True)
    )

    def third() -> tuple[Recording, int]:
        return record(function, inputs(THIRD), effects, watched[0].again()), THIRD

    merged = generalise(first, ROWS[0], second, ROWS[1], third)
    registers = Registers(first, second)
    return AnyRows(first, second, registers, tuple(registers.records(merged, first.origins)))
