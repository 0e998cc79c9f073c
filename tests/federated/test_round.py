"""Who is asked in a round, and when it is over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from fedzmq.client.waiting import Waiting
from fedzmq.errors import NotEnoughWorkers, UsageError
from fedzmq.federated.report import RoundReport
from fedzmq.federated.round import Ending, Round
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federated.updates.due import Due
from fedzmq.wire.messages import Failed, Failure, Train
from tests.federated.fake_worker import FakeWorker
from tests.federated.test_trainer import JOB, Run, answers, answers_nan, fake, keeps_quiet
from tests.recording.recorded import MODULES
from tests.worker.hub import Meeting
from tests.worker.training.trained import data_of, state_of

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


def asked(report: RoundReport) -> list[str]:
    return [each.worker for each in (*report.answered, *report.failed)]


def reports(meeting: Meeting, job: TrainingJob, names: tuple[str, ...] = NAMES) -> list[RoundReport]:
    for name in names:
        fake(meeting, name, answers)
    return Run(meeting, MODULES["linear"](), replace(job, workers=len(names))).all()


def fails(task: Train) -> Failed:
    return Failed(task.request, Failure(1, "training", "Cancelled", "taken back", "", ()))


class Slow:
    """Answers nothing until it is released; then what it owes."""

    def __init__(self, meeting: Meeting, name: str) -> None:
        self.owed: list[tuple[Train, list[Tensor]]] = []
        self.worker = fake(meeting, name, lambda worker, task, state: self.owed.append((task, state)))

    def release(self, value: float) -> None:
        for task, state in self.owed:
            self.worker.answer_state(task, [torch.full_like(each, value) for each in state])
        self.owed = []


@pytest.mark.parametrize(
    ("job", "count"), [({}, 6), ({"cohort": 2}, 2), ({"fraction": 0.5}, 3), ({"fraction": 0.01}, 1), ({"cohort": 9}, 6)]
)
def test_a_round_asks_a_number_a_fraction_or_all(meeting: Meeting, job: dict[str, Any], count: int) -> None:
    assert [len(asked(report)) for report in reports(meeting, replace(JOB, rounds=3, **job))] == [count] * 3


def test_everybody_has_a_turn(meeting: Meeting) -> None:
    job = replace(JOB, rounds=20, cohort=2)

    assert {name for report in reports(meeting, job) for name in asked(report)} == set(NAMES)


def test_the_same_seed_asks_the_same_workers() -> None:
    chosen = []
    for order in (NAMES, NAMES[::-1]):
        with Meeting() as meeting:
            chosen.append([asked(each) for each in reports(meeting, replace(JOB, rounds=6, cohort=2), order)])

    assert chosen[0] == chosen[1]
    assert len({tuple(each) for each in chosen[0]}) > 1


def test_another_seed_asks_others() -> None:
    chosen = []
    for seed in (1, 2):
        with Meeting() as meeting:
            chosen.append([asked(each) for each in reports(meeting, replace(JOB, rounds=6, cohort=2, seed=seed))])

    assert chosen[0] != chosen[1]


def test_a_strategy_may_choose_for_itself(meeting: Meeting) -> None:
    class FirstOnes(Strategy):
        def choose(self, present: Any, count: int, seed: int) -> Any:
            return present[:count]

    for name in NAMES:
        fake(meeting, name, answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, rounds=2, workers=6, cohort=2), strategy=FirstOnes())

    assert [asked(report) for report in run.all()] == [["alice", "bob"]] * 2


def test_a_strategy_that_chooses_somebody_who_is_not_here_is_told_who_is(meeting: Meeting) -> None:
    class Wishful(Strategy):
        def choose(self, present: Any, count: int, seed: int) -> Any:
            return ["nobody"]

    fake(meeting, "bob", answers)
    with pytest.raises(UsageError, match="the strategy Wishful chooses 'nobody' for round 1, and "):
        Run(meeting, MODULES["linear"](), replace(JOB, workers=1), strategy=Wishful()).all()


def test_over_selection_goes_on_with_as_many_as_were_wanted(meeting: Meeting) -> None:
    slow = Slow(meeting, "alice")
    for name in NAMES[1:]:
        fake(meeting, name, answers)
    job = replace(JOB, workers=6, cohort=5, over_selection=1.2)
    (report,) = Run(meeting, MODULES["linear"](), job).all()

    assert len(report.answered) == 5
    assert [(each.worker, each.is_late) for each in report.failed] == [("alice", True)]
    assert len(slow.owed) == 1


def test_a_straggler_is_cancelled_and_reported(meeting: Meeting) -> None:
    slow = Slow(meeting, "alice")
    fake(meeting, "bob", answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, deadline=0.0))
    (report,) = run.all()
    assert run.client.wait_until(lambda: bool(slow.worker.cancelled), 30)

    assert slow.worker.cancelled == [task.request for task, _ in slow.owed]
    assert report.failed[0].is_late
    assert "it was late: 1 others had answered after" in report.failed[0].reason
    assert run.said[0].startswith("round 1 goes on without alice: it was late")


def test_a_late_answer_is_dropped(meeting: Meeting) -> None:
    slow = Slow(meeting, "alice")

    fake(meeting, "bob", answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, rounds=2, deadline=0.0))
    before = state_of(run.model)[0].clone()
    rounds = run.trainer.rounds()
    next(rounds)
    slow.release(1000.0)
    report = next(rounds)

    assert [each.worker for each in report.answered] == ["bob"]
    assert torch.equal(state_of(run.model)[0], before)


def test_who_still_stops_what_it_was_late_with_is_not_asked_for_more(meeting: Meeting) -> None:
    slow = Slow(meeting, "alice")
    fake(meeting, "bob", answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, rounds=2, deadline=0.0))
    first, second = run.all()

    assert asked(first) == ["bob", "alice"]
    assert asked(second) == ["bob"]
    assert len(slow.owed) == 1


def test_who_has_stopped_is_asked_again(meeting: Meeting) -> None:
    slow = Slow(meeting, "alice")

    def bob(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        worker.answer_state(task, state)

    fake(meeting, "bob", bob)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, rounds=2, deadline=0.0))
    rounds = run.trainer.rounds()
    next(rounds)
    for task, _ in slow.owed:
        slow.worker.answer(fails(task))

    assert asked(next(rounds)) == ["bob", "alice"]


def test_a_deadline_without_the_quorum_is_waited_beyond(meeting: Meeting) -> None:
    slow = Slow(meeting, "alice")
    fake(meeting, "bob", answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, quorum=2, deadline=0.0))
    looks: list[None] = []
    wait_until = run.client.wait_until

    def waits(condition: Any, timeout: float) -> bool:
        looks.append(None)
        if len(looks) > 5:
            slow.release(0.0)
        return wait_until(condition, min(timeout, 0.01))

    run.client.wait_until = waits  # type: ignore[method-assign,assignment]
    (report,) = run.all()

    assert asked(report) == ["alice", "bob"]
    assert report.failed == ()


def test_a_refused_update_counts_towards_the_quorum_of_a_deadline(meeting: Meeting) -> None:
    class Wary(Strategy):
        least = 3
        attackers = 1

    slow = Slow(meeting, "alice")
    for name, trains in (("bob", answers), ("carol", answers), ("dave", answers_nan)):
        fake(meeting, name, trains)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=4, deadline=0.0), strategy=Wary())
    looks: list[None] = []
    wait_for_news = run.client.wait_for_news

    def waits(news: int, timeout: float) -> Any:
        looks.append(None)
        if len(looks) > 20:
            slow.release(1.0)
        return wait_for_news(news, min(timeout, 0.01))

    run.client.wait_for_news = waits  # type: ignore[method-assign]
    (report,) = run.all()

    assert [(each.worker, each.is_late) for each in report.failed] == [("alice", True), ("dave", False)]


@pytest.mark.parametrize(
    ("job", "until"),
    [
        ({}, "it waits for as long as they are here, as there is no deadline"),
        ({"deadline": 1e6}, r"\d+ s left"),
        ({"deadline": 0.0, "quorum": 2}, "until 2 have answered, and 1 have"),
    ],
)
def test_a_round_says_for_whom_it_waits_and_until_when(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch, job: dict[str, Any], until: str
) -> None:
    monkeypatch.setattr("fedzmq.client.waiting.FIRST", 0.0)
    monkeypatch.setattr("fedzmq.federated.round.LOOK", 0.0)
    slow = Slow(meeting, "alice")
    fake(meeting, "bob", answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, **job))
    say = run.trainer._say
    busy: list[str] = []

    def says(line: str) -> None:
        say(line)
        if run.client.endpoint.presence.busy.endswith(" alice"):
            busy.append(run.client.endpoint.presence.busy)
            slow.release(1.0)

    run.trainer._say = says
    run.all()

    assert any(re.fullmatch(rf"round 1 has waited \d+ s for alice; {until}", line) for line in run.said), run.said
    assert re.fullmatch(r"round 1: has waited \d+ s for alice", busy[0])
    assert run.client.endpoint.presence.busy == ""


@pytest.mark.parametrize(("is_away", "whom"), [(False, "they are here"), (True, "it takes")])
def test_who_is_not_reached_at_all_is_not_said_to_be_here(is_away: bool, whom: str) -> None:
    ignore: Any = print
    waits = Round(1, {}, Due({}, 0), Ending(1), ignore, ignore, ignore, Waiting())
    client: Any = SimpleNamespace(endpoint=SimpleNamespace(presence=SimpleNamespace(away=is_away)))

    assert waits._until(client, float("inf")) == f"it waits for as long as {whom}, as there is no deadline"


def test_a_round_whose_quorum_cannot_be_reached_says_why(meeting: Meeting) -> None:
    fake(meeting, "alice", answers_nan)
    fake(meeting, "bob", answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, quorum=2, deadline=5.0))

    with pytest.raises(NotEnoughWorkers, match=r"2 workers are needed, and 1 can take part \(bob\); .* alice: .* NaN"):
        run.all()


def test_a_quorum_that_lost_a_worker_waits_for_another(meeting: Meeting) -> None:
    made = MODULES["linear"]()

    def leaves_for_another(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        worker.leave()
        meeting.worker("carol", [data_of(made)])

    fake(meeting, "alice", leaves_for_another)
    fake(meeting, "bob", answers)
    run = Run(meeting, made, replace(JOB, workers=2, quorum=2, deadline=5.0))
    (report,) = run.all()

    assert [each.worker for each in report.answered] == ["bob", "carol"]
    assert "round 1 has 1 of 2 answers; waiting for others" in run.said


def test_where_all_are_busy_with_what_they_were_late_with_they_are_named(meeting: Meeting) -> None:
    Slow(meeting, "alice")
    fake(meeting, "bob", answers)
    job = replace(JOB, workers=2, rounds=2, deadline=0.0, least=2, patience=0.1)

    with pytest.raises(NotEnoughWorkers, match=r"1 can take part \(bob\); waited 0.1 s; busy .* round: alice"):
        Run(meeting, MODULES["linear"](), job).all()


def test_a_quiet_worker_with_no_deadline_is_waited_for(meeting: Meeting) -> None:
    fake(meeting, "alice", keeps_quiet)
    fake(meeting, "bob", answers)
    run = Run(meeting, MODULES["linear"](), replace(JOB, workers=2))
    looks: list[None] = []

    class Enough(Exception):
        pass

    def waits(condition: Any, timeout: float) -> bool:
        looks.append(None)
        if len(looks) > 20:
            raise Enough
        run.client.endpoint.pump(0.01)
        run.client._collect()
        return bool(condition())

    rounds = run.trainer.rounds()
    run.client.wait_until = waits  # type: ignore[method-assign,assignment]
    with pytest.raises(Enough):
        next(rounds)
