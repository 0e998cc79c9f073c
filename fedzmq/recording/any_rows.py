"""A function recorded for batches of any size: for several sizes, and these made one.

What a recording of one size cannot show is learned from the others: which numbers, and which tensors that the function
makes itself, depend on how many examples there are. A batch of a single example is taken as any other, even where the
function tells it apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fedzmq.errors import FedzmqError, PlanError, PlanNeedsValue, TensorsNotCollocatedException
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import Meta
from fedzmq.recording.batch_rows import Sized, check_alike, does_the_same, generalise
from fedzmq.recording.chance import no_chance
from fedzmq.recording.compared import Compared
from fedzmq.recording.counters import check_repeats
from fedzmq.recording.exporting import exported
from fedzmq.recording.fitting import SIZES
from fedzmq.recording.makers import Makers, varying
from fedzmq.recording.registers import NotConstant, Record, Registers
from fedzmq.recording.suppositions import Mood, Suppositions
from fedzmq.recording.tape import AutocastMet
from fedzmq.recording.tracing import Recording, record

ROWS = (7, 11)  # two primes: a number that is a multiple of both by chance is not to be expected
LARGE = (1030,)  # what a program does from some size on, and for even ones, shows there


@dataclass(frozen=True, slots=True, eq=False)
class AnyRows:
    """The records, in the numbers of `registers`, the two recordings that they come from, and what records the first of
    them once more.
    """

    first: Recording
    second: Recording
    registers: Registers
    records: tuple[Record, ...]
    again: Callable[[], Recording]


def record_any_rows(function: Callable[..., Any], inputs: Callable[[int], Sequence[Meta]], effects: Effects) -> AnyRows:
    """Record `function` on `inputs(rows)`. Raises PlanError, which names the user's line, and what the function raises.

    It is called several times, and is to do the same every time.
    """
    with suppress(PlanNeedsValue):
        return _for_any_rows(function, inputs, effects)
    return _for_any_rows(exported(function), inputs, effects)


def record_once(function: Callable[..., Any], inputs: Callable[[int], Sequence[Meta]], effects: Effects) -> Recording:
    """As it is recorded at first, to compare it with what is recorded under other circumstances."""
    with suppress(PlanNeedsValue):
        return _once(function, inputs, effects)
    return _once(exported(function), inputs, effects)


def _for_any_rows(function: Callable[..., Any], inputs: Callable[[int], Sequence[Meta]], effects: Effects) -> AnyRows:
    chosen: set[int] = set()
    while True:
        watched = [Makers(chosen) for _ in ROWS]
        try:
            return _recorded(function, inputs, effects, watched)
        except AutocastMet:
            effects, chosen = Effects("cpu"), set()
        except Exception as error:
            if not watched[1].calls:
                with suppress(Exception):
                    record(function, inputs(ROWS[1]), effects, watched[1])
            more = varying(*watched) - chosen
            if more:
                chosen |= more
            elif isinstance(error.__cause__, TensorsNotCollocatedException | NotConstant):
                return _with_all_on_the_tape(function, inputs, effects, error)
            else:
                raise


def _once(function: Callable[..., Any], inputs: Callable[[int], Sequence[Meta]], effects: Effects) -> Recording:
    try:
        return record(function, inputs(ROWS[0]), effects, Makers(), Suppositions("all"))
    except AutocastMet:
        return record(function, inputs(ROWS[0]), Effects("cpu"), Makers(), Suppositions("all"))


def _with_all_on_the_tape(
    function: Callable[..., Any], inputs: Callable[[int], Sequence[Meta]], effects: Effects, reason: Exception
) -> AnyRows:
    """The function writes to a tensor that it made, or makes another as large as the batch of it: then that one is to
    be on the tape, too.
    """
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
    def at(rows: int, makers: Makers, mood: Mood) -> Sized:
        return record(function, inputs(rows), effects, makers, Suppositions(mood)), rows

    def possible(sizes: Sequence[int], mood: Mood) -> list[Sized]:
        """Those that the function takes: one of a single example it may refuse, and rightly."""
        found: list[Sized] = []
        for rows in sizes:
            with suppress(Exception), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # nobody asked for so many
                found.append(at(rows, watched[0].again(), mood))
        return found

    def further() -> list[Sized]:
        return possible(SIZES, "fewest")

    def other_numbers(mood: Mood) -> list[Sized]:
        """As recorded where masks choose unlike numbers; empty where these do not fit together in the function."""
        for rows in (*LARGE, ROWS[0]):
            try:
                found = at(rows, watched[0].again(), mood)
            except PlanError as error:
                if rows == ROWS[0] and not _is_of_shapes(error):
                    raise PlanError(f"{error} (where masks choose unlike numbers)") from error.__cause__
            except AutocastMet:
                raise
            except Exception:
                continue
            else:
                check_alike(first, found, "masks that choose all and ones that choose unlike numbers")
                return [found]
        return []

    def merge() -> tuple[list[Sized], list[Record]]:
        check_alike(first, second)
        sized = [first, second]
        for size in compared.sizes if first[0].unknown else ():
            for named in possible(LARGE, size):
                check_alike(first, named, f"masks that choose all and ones that choose {size}")
                sized.append(named)
        for named in possible([each for each in compared.sizes if each > 1], "all"):
            check_alike(first, named)
            sized.append(named)
        for large in possible(LARGE, "fewest"):
            check_alike(first, large)
            sized.append(large)
        sized += [each for each in possible((1,), "all") if does_the_same(first[0], each[0])]
        if first[0].unknown:
            sized += _of_nothing(first, lambda: at(ROWS[0], watched[0].again(), "none"))
            sized += other_numbers("rising")
        if len(first[0].unknown) > 1:
            sized += other_numbers("falling")
        return sized, generalise(sized, further)

    def again() -> Recording:
        return at(ROWS[0], watched[0].again(), "all")[0]

    compared = Compared()
    with no_chance(lambda: at(ROWS[0], watched[0].again(), "all")):
        with compared.watching():
            first = at(ROWS[0], watched[0], "all")
        second = at(ROWS[1], watched[1], "fewer")
    try:
        sized, merged = merge()
        registers = Registers(sized)
        records = tuple(registers.records(merged, first[0].origins))
    except PlanError:
        check_repeats(first[0], again, 1)  # what seems to come of how many there are may come of how often it is called
        raise
    return AnyRows(first[0], second[0], registers, records, again)


def _is_of_shapes(error: PlanError) -> bool:
    """What was chosen did not fit together, as no plan's user would have it either."""
    return isinstance(error.__cause__, RuntimeError) and not isinstance(error.__cause__, FedzmqError)


def _of_nothing(first: Sized, at: Callable[[], Sized]) -> list[Sized]:
    """As recorded where masks choose nothing; empty where the function fails of it, as it then would in a plan."""
    try:
        none = at()
    except PlanError as error:
        raise PlanError(f"{error} (where a mask chooses nothing)") from error.__cause__
    except Exception:
        return []
    check_alike(first, none, "a mask that chooses all and one that chooses none")
    return [none]
