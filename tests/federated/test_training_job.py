from __future__ import annotations

import math
from typing import Any

import pytest

from fedzmq.errors import UsageError
from fedzmq.federated.training_job import TrainingJob


@pytest.mark.parametrize("name", ["rounds", "epochs", "batch_size", "workers", "least", "cohort", "quorum"])
def test_a_number_below_one_is_refused(name: str) -> None:
    number: dict[str, Any] = {name: 0}
    with pytest.raises(UsageError, match=f"{name} is 0, and at least 1 is needed"):
        TrainingJob("data", **number)


def test_patience_cannot_be_negative() -> None:
    with pytest.raises(UsageError, match="patience is -1 s, and it cannot be negative"):
        TrainingJob("data", patience=-1.0)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"cohort": 2, "fraction": 0.5}, "cohort and fraction both say how many"),
        ({"fraction": 0.0}, "fraction is 0, and a number above 0 and up to 1 is needed"),
        ({"fraction": 1.5}, "fraction is 1.5, and"),
        ({"fraction": math.nan}, "fraction is nan, and"),
        ({"over_selection": 0.9}, "over_selection is 0.9, and it is a factor of at least 1"),
        ({"over_selection": math.inf}, "over_selection is inf"),
        ({"deadline": -1.0}, "deadline is -1 s, and it cannot be negative"),
        ({"quorum": 2}, "quorum needs a deadline in seconds"),
        ({"quorum": 3, "cohort": 2, "deadline": 1.0}, "quorum is 3, and a round asks a cohort of 2"),
        ({"max_steps": 0}, "max_steps is 0, and at least 1 is needed"),
        ({"rounds": None}, "rounds is None, and a whole number from 1 is expected"),
        ({"epochs": True}, "epochs is True, and a whole number from 1 is expected"),
        ({"batch_size": 10**20}, "batch_size is 1[0]{20}, and at most 1000000000 is needed"),
        ({"patience": math.nan}, "patience is nan, and a number is expected"),
        ({"holdout": None}, "holdout is None, and a number is expected"),
        ({"dataset": " "}, "dataset is ' ', and a name is expected"),
        ({"options": {"lr": math.nan}}, "'lr' of an optimizer is nan, and a number is expected, as in lr=0.1"),
        ({"optimizer": "adam", "options": {"beta1": math.nan}}, "'beta1' of an optimizer is nan, and a number"),
        ({"schedule": "step", "schedule_options": {"step_size": math.inf}}, "of a schedule is inf, and a number"),
        ({"schedule": "cosine", "schedule_options": {"floor": "x"}}, "of a schedule is 'x', and a number"),
        ({"max_seconds": 0.0}, "max_seconds is 0, and a number above 0 is needed"),
        ({"clip_norm": -1.0}, "clip_norm is -1, and a number above 0 is needed"),
        ({"clip_value": math.inf}, "clip_value is inf, and a number above 0"),
        ({"optimizer": "adm"}, "no optimizer 'adm' .* did you mean 'adam'"),
        ({"options": {"momentun": 0.9}}, "has no option 'momentun' .* did you mean 'momentum'"),
        ({"schedule": "cosin"}, "no schedule 'cosin' .* did you mean 'cosine'"),
        ({"round_schedule": "step", "round_schedule_options": {"gama": 1}}, "no option 'gama' .* did you mean 'gamma'"),
    ],
)
def test_numbers_that_make_no_sense_together_are_refused(numbers: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        TrainingJob(**{"dataset": "data", **numbers})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"dataset": 3}, "dataset is 3, and a name is expected"),
        ({"optimizer": None}, "optimizer is None, and a name is expected"),
        ({"schedule": 3}, "schedule is 3, and a name is expected"),
        ({"options": "lr"}, "options is 'lr', and a map of names to numbers is expected"),
        ({"schedule_options": None}, "schedule_options is None, and a map"),
        ({"seed": 1.5}, "seed is 1.5, and a whole number is expected"),
        ({"seed": None}, "seed is None, and a whole number is expected"),
    ],
)
def test_what_is_of_another_kind_is_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        TrainingJob(**{"dataset": "data", **given})


@pytest.mark.parametrize(
    ("numbers", "present", "wanted", "asked"),
    [
        ({}, 30, 30, 30),
        ({"fraction": 0.1}, 30, 3, 3),
        ({"fraction": 0.1}, 31, 4, 4),
        ({"cohort": 10, "over_selection": 1.3}, 30, 10, 13),
        ({"cohort": 10, "over_selection": 1.3}, 12, 10, 12),
        ({"cohort": 10}, 4, 4, 4),
    ],
)
def test_how_many_are_wanted_and_asked(numbers: dict[str, Any], present: int, wanted: int, asked: int) -> None:
    job = TrainingJob("data", **numbers)

    assert (job.wanted(present), job.asked(present)) == (wanted, asked)


def test_no_fewer_are_wanted_than_make_a_round() -> None:
    assert TrainingJob("data", cohort=2).wanted(30, needed=7) == 7


def test_a_schedule_over_rounds_is_a_part_of_the_learning_rate_in_each() -> None:
    job = TrainingJob("data", rounds=4, round_schedule="step", round_schedule_options={"step_size": 2, "gamma": 0.5})

    assert [job.course(number).rate for number in range(1, 5)] == [1.0, 1.0, 0.5, 0.5]


def test_a_schedule_over_rounds_ends_with_the_last() -> None:
    job = TrainingJob("data", rounds=3, round_schedule="linear")

    assert [job.course(number).rate for number in range(1, 4)] == pytest.approx([1.0, 2 / 3, 1 / 3])
