from __future__ import annotations

import torch

from fedzmq.worker.memory import Kept, Memory, RunName

NAME = RunName("run", "plan", "data")


def kept(value: float) -> Kept:
    return Kept(control={"weight": torch.tensor(value)})


def value(found: Kept) -> float | None:
    return float(found.control["weight"]) if found else None


def test_a_round_goes_on_from_the_one_that_counted_last() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0))
    memory.keep(NAME, 2, kept(2.0))

    assert value(memory.recall(NAME, 1)) == 1.0


def test_a_round_that_is_trained_twice_begins_from_the_same() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0))
    first = value(memory.recall(NAME, 1))
    memory.keep(NAME, 2, kept(2.0))

    assert value(memory.recall(NAME, 1)) == first


def test_what_did_not_count_is_forgotten() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0))
    memory.keep(NAME, 2, kept(2.0))
    memory.recall(NAME, 2)

    assert value(memory.recall(NAME, 1)) is None


def test_nothing_is_recalled_of_a_round_that_this_worker_did_not_take_part_in() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0))

    assert value(memory.recall(NAME, 0)) is None


def test_runs_do_not_meet() -> None:
    memory = Memory()
    memory.keep(NAME, 1, kept(1.0))

    for other in (RunName("other", "plan", "data"), RunName("run", "other", "data"), RunName("run", "plan", "other")):
        assert value(memory.recall(other, 1)) is None


def test_the_run_that_was_not_used_for_longest_makes_room() -> None:
    memory = Memory(most=2)
    for number in range(3):
        memory.keep(RunName(str(number), "plan", "data"), 1, kept(number))

    assert [value(memory.recall(RunName(str(number), "plan", "data"), 1)) for number in range(3)] == [None, 1.0, 2.0]
