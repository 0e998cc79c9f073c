from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from fedzmq.errors import UsageError
from fedzmq.wire.messages import Local, Train, Trained
from fedzmq.worker.training import results
from fedzmq.worker.training.memory import RunName
from fedzmq.worker.training.results import Identity, Result, Results
from tests.worker.training.trained import TASK

RUN = RunName("run", "plan", "data")
NO_RUN = RunName("", "plan", "data")
TASK_OF_RUN = replace(TASK, local=Local(run="run", round=3), model="hash")


def result(value: float = 0.0, identity: Identity | None = None, size: int = 4) -> Result:
    return Result(Trained(1, 10, value, 0.1, {}), [torch.full((size,), float(value))], identity)


def value(kept: Results, task: tuple[str, int]) -> float | None:
    try:
        return float(kept.pull(task, 0, 4)[0])
    except UsageError:
        return None


def identity(task: Train = TASK_OF_RUN, control: float | None = None) -> Identity:
    found = Identity.of(task, [] if control is None else [torch.tensor(control)])
    assert found is not None
    return found


def test_the_same_task_is_found_by_another_client_under_its_own_number() -> None:
    kept = Results()
    kept.keep(("one", 5), RUN, result(2.0, identity()))
    kept.leave("one")

    answered = kept.begin(("two", 1), RUN, identity(replace(TASK_OF_RUN, request=1, report_every=3.0)))
    assert answered is not None
    assert answered.loss == 2.0
    assert value(kept, ("two", 1)) == 2.0
    assert value(kept, ("one", 5)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"epochs": 9},
        {"batch_size": 1},
        {"optimizer": "adam"},
        {"options": {"lr": 0.2}},
        {"seed": 6},
        {"local": replace(TASK_OF_RUN.local, round=4)},
        {"local": replace(TASK_OF_RUN.local, basis=2)},
        {"local": replace(TASK_OF_RUN.local, proximal=0.5)},
        {"local": replace(TASK_OF_RUN.local, personal=("weight",))},
    ],
)
def test_a_task_that_differs_in_anything_is_another_and_ends_the_last(change: dict[str, Any]) -> None:
    kept = Results()
    kept.keep(("one", 5), RUN, result(2.0, identity()))

    assert kept.begin(("one", 6), RUN, identity(replace(TASK_OF_RUN, **change))) is None
    assert value(kept, ("one", 5)) is None
    assert len(kept) == 0


def test_other_control_variates_make_another_task() -> None:
    assert identity(control=1.0) == identity(control=1.0)
    assert len({identity().control, identity(control=1.0).control, identity(control=2.0).control}) == 3


def test_a_task_without_a_run_or_a_named_state_is_like_no_other() -> None:
    assert Identity.of(TASK, []) is None
    assert Identity.of(replace(TASK_OF_RUN, model=""), []) is None
    kept = Results()
    kept.keep(("one", 5), RUN, result(2.0, None))

    assert kept.begin(("one", 6), RUN, None) is None


def test_a_task_without_a_run_is_kept_until_its_client_goes() -> None:
    kept = Results()
    for number in (1, 2):
        assert kept.begin(("one", number), NO_RUN, None) is None
        kept.keep(("one", number), NO_RUN, result(number))
    found = [value(kept, ("one", 1)), value(kept, ("one", 2)), value(kept, ("two", 1))]
    kept.leave("one")

    assert found == [1.0, 2.0, None]
    assert len(kept) == 0


def test_what_a_run_led_to_outlives_its_client_and_ends_with_the_run() -> None:
    kept = Results()
    kept.keep(("one", 1), RUN, result())
    kept.leave("one")
    left = len(kept)
    kept.release("run")

    assert (left, len(kept)) == (1, 0)


def test_the_oldest_make_room_by_number() -> None:
    kept = Results(most=2)
    for number in (1, 2, 3):
        kept.keep(("one", number), NO_RUN, result(number))

    assert [value(kept, ("one", number)) for number in (1, 2, 3)] == [None, 2.0, 3.0]


def test_the_oldest_make_room_by_bytes_and_the_last_stays_however_large() -> None:
    kept = Results(most_bytes=40)
    for number, size in ((1, 4), (2, 4), (3, 4)):
        kept.keep(("one", number), NO_RUN, result(number, size=size))
    by_bytes = [value(kept, ("one", number)) for number in (1, 2, 3)]
    kept.keep(("one", 4), NO_RUN, result(4.0, size=100))

    assert by_bytes == [None, 2.0, 3.0]
    assert [value(kept, ("one", number)) for number in (3, 4)] == [None, 4.0]


def test_a_piece_beyond_the_largest_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MOST_PIECE", 8)
    kept = Results()
    kept.keep(("one", 1), RUN, result())

    with pytest.raises(UsageError, match="a piece has at most 8 bytes, and 16 are asked for"):
        kept.pull(("one", 1), 0, 16)


@pytest.mark.parametrize(("start", "stop"), [(2, 4), (0, 20), (1 << 62, (1 << 62) + 8), (8, 4)])
def test_no_range_but_a_piece_is_answered(start: int, stop: int) -> None:
    kept = Results()
    kept.keep(("one", 1), RUN, result())

    with pytest.raises(UsageError):
        kept.pull(("one", 1), start, stop)


def test_who_keeps_much_makes_room_and_not_those_beside_it() -> None:
    kept = Results(most=3, most_bytes=100)
    kept.keep(("alice", 1), NO_RUN, result(1.0), "alice")
    for number in range(5):
        kept.keep(("mallory", number), NO_RUN, result(2.0), "mallory")
    kept.keep(("mallory", 9), NO_RUN, result(2.0, size=100), "mallory")

    assert value(kept, ("alice", 1)) == 1.0


def test_what_is_kept_is_counted_to_who_asked_for_it_and_goes_with_the_rest_of_that() -> None:
    kept = Results()
    kept.keep(("alice", 1), NO_RUN, result(1.0), "alice")
    kept.keep(("mallory", 1), RUN, result(2.0, size=100), "mallory")
    (greediest, most), *_ = kept.held().most_common()
    kept.forget(greediest)

    assert (greediest, most) == ("mallory", 400)
    assert list(kept.held()) == ["alice"]
