from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from fedzmq.data.data import Data
from fedzmq.errors import RemoteError, UpdateRefused, UsageError
from fedzmq.federated.async_trainer import AsyncTrainer
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.report import Answer, RoundReport
from fedzmq.federated.strategies.asynchronous import Asynchronous, FedAsync, FedBuff
from fedzmq.federated.trainer import Trainer
from fedzmq.recording.training_plan import training_plan
from fedzmq.wire.messages import Pull, Train
from tests.federated.fake_worker import FakeWorker, answer_pull
from tests.federated.strategies.federation import JOB, one_weight, parabola
from tests.federated.test_trainer import answers_nan, fake, keeps_quiet
from tests.worker.hub import Meeting


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


class Run:
    """Of a model with one weight, which is 0 in the beginning."""

    def __init__(
        self, meeting: Meeting, strategy: Asynchronous, is_evaluated: bool = False, spread: float = 0.0, **job: Any
    ) -> None:
        data = parabola(1.0, 0.0)
        self.said: list[str] = []
        self.client = meeting.client("coordinator")
        self.model = copy.deepcopy(one_weight())
        if spread:
            self.model.register_buffer("spread", torch.tensor([spread]))
        plan = training_plan(self.model, mse_loss, data.features, data.targets)
        self.trainer = AsyncTrainer(
            self.client,
            self.model,
            plan,
            replace(JOB, **job),
            strategy=strategy,
            say=self.said.append,
            at_workers=Scoring(self.model, mse_loss, data.features, data.targets) if is_evaluated else None,
        )

    def all(self) -> list[RoundReport]:
        return list(self.trainer.rounds())

    @property
    def weight(self) -> float:
        return float(next(self.model.parameters()).detach())


def answers(value: float) -> Callable[[FakeWorker, Train, list[Tensor]], None]:
    return lambda worker, task, state: worker.answer_state(task, [torch.full_like(each, value) for each in state])


def slow_and_fast(meeting: Meeting, when: int) -> None:
    """alice answers 1.0 each time but the last; bob answers 8.0 to his first task when alice gets her task `when`."""
    owed: list[tuple[FakeWorker, Train, list[Tensor]]] = []
    fake(meeting, "bob", lambda *task: owed.append(task))

    def alice(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        if len(worker.trainings) == when:
            while owed:
                answers(8.0)(*owed.pop())
        else:
            answers(1.0)(worker, task, state)

    fake(meeting, "alice", alice)


def staleness(report: RoundReport) -> list[tuple[str, float]]:
    return [(each.worker, each.metrics["staleness"]) for each in report.answered]


def test_fedasync_mixes_each_answer_in_less_the_staler_it_is(meeting: Meeting) -> None:
    slow_and_fast(meeting, when=3)
    run = Run(meeting, FedAsync(mixing=0.5, decay=1.0), workers=2, rounds=3)
    reports = run.all()

    x = 0.0
    x += 0.5 * (1.0 - x)
    x += 0.5 * (1.0 - x)
    x += 0.5 / 3 * (8.0 - x)
    assert run.weight == pytest.approx(x)
    assert [staleness(each) for each in reports] == [[("alice", 0)], [("alice", 0)], [("bob", 2)]]


def test_fedbuff_adds_the_discounted_ways_of_a_buffer(meeting: Meeting) -> None:
    slow_and_fast(meeting, when=4)
    run = Run(meeting, FedBuff(buffer=2, lr=0.5, decay=0.5), workers=2, rounds=2)
    reports = run.all()

    one = 0.0 + 0.5 * ((1.0 - 0.0) + (1.0 - 0.0)) / 2
    two = one + 0.5 * ((1.0 - one) + (8.0 - 0.0) / 2**0.5) / 2
    assert run.weight == pytest.approx(two)
    assert [staleness(each) for each in reports] == [[("alice", 0), ("alice", 0)], [("alice", 0), ("bob", 1)]]


def test_a_running_variance_is_mixed_and_not_moved_by_the_difference_of_two(meeting: Meeting) -> None:
    """Both were sent 10: bob's own change of -2, on top of alice's, would lead below zero."""
    slow_and_fast(meeting, when=2)
    run = Run(meeting, FedBuff(buffer=1, lr=0.1), spread=10.0, workers=2, rounds=2)
    run.all()

    assert float(run.model.spread) == pytest.approx(1.0 + (8.0 - 1.0) / 2**0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("strategy", [FedAsync(), FedBuff(buffer=3)])
def test_workers_that_agree_reach_their_best_weight(meeting: Meeting, strategy: Asynchronous) -> None:
    for name, curvature in (("alice", 2.0), ("bob", 0.5), ("carol", 1.0)):
        meeting.worker(name, [parabola(curvature, 4.0)])
    run = Run(meeting, strategy, workers=3, rounds=80)
    run.all()

    assert run.weight == pytest.approx(4.0, abs=0.05)


def test_nobody_waits_for_who_does_not_answer(meeting: Meeting) -> None:
    fake(meeting, "alice", keeps_quiet)
    fake(meeting, "bob", answers(1.0))
    reports = Run(meeting, FedAsync(), workers=2, rounds=5).all()

    assert [each.worker for report in reports for each in report.answered] == ["bob"] * 5


def test_it_is_said_for_whom_a_step_waits(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedzmq.client.waiting.FIRST", 0.0)
    owed: list[tuple[FakeWorker, Train, list[Tensor]]] = []
    fake(meeting, "alice", lambda *task: owed.append(task))
    run = Run(meeting, FedAsync(), workers=1, rounds=1)

    def say(line: str) -> None:
        run.said.append(line)
        while owed:
            answers(1.0)(*owed.pop())

    run.trainer._say = say
    run.all()

    assert re.fullmatch(r"step 1 has waited \d+ s for alice", run.said[0])


def test_at_the_end_everybody_is_told_to_stop(meeting: Meeting) -> None:
    alice = fake(meeting, "alice", keeps_quiet)
    fake(meeting, "bob", answers(1.0))
    run = Run(meeting, FedAsync(), workers=2, rounds=1)
    run.all()
    assert run.client.wait_until(lambda: bool(alice.cancelled), 30)

    assert alice.cancelled == [task.request for task in alice.trainings]


def test_an_answer_that_cannot_be_used_is_reported_and_never_mixed_in(meeting: Meeting) -> None:
    fake(meeting, "alice", answers_nan)
    fake(meeting, "bob", answers(1.0))
    run = Run(meeting, FedBuff(buffer=1), workers=2, rounds=3)
    reports = run.all()

    assert run.weight == pytest.approx(1.0)
    assert {each.worker for report in reports for each in report.failed} == {"alice"}
    assert "the training goes on without alice: 'weight' holds NaN or infinity" in run.said[0]


def test_where_all_fail_the_reason_is_raised(meeting: Meeting) -> None:
    meeting.worker("bob", [Data("data", torch.ones(2, 3), torch.ones(2, 1), None)])

    with pytest.raises(RemoteError, match="the features of an example are"):
        Run(meeting, FedAsync()).all()


def test_a_worker_that_comes_later_takes_part(meeting: Meeting) -> None:
    fake(meeting, "bob", answers(1.0))
    run = Run(meeting, FedAsync(), rounds=30)
    rounds = run.trainer.rounds()
    next(rounds)
    fake(meeting, "alice", answers(1.0))
    run.client.wait_for_workers(2)

    assert {each.worker for report in rounds for each in report.answered} == {"alice", "bob"}


def test_a_lost_worker_is_left_out(meeting: Meeting) -> None:
    fake(meeting, "alice", lambda worker, task, state: worker.leave())
    fake(meeting, "bob", answers(1.0))
    reports = Run(meeting, FedAsync(), workers=2, rounds=5).all()

    assert {each.worker for report in reports for each in report.failed} <= {"alice"}
    assert len(reports) == 5


@pytest.mark.parametrize("job", [{"cohort": 2}, {"fraction": 0.5}, {"deadline": 1.0}])
def test_a_job_with_rounds_is_refused(meeting: Meeting, job: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="asynchronous training has no rounds: leave"):
        Run(meeting, FedAsync(), **job)


def test_a_trainer_with_rounds_refuses_a_strategy_without(meeting: Meeting) -> None:
    with pytest.raises(UsageError, match="FedBuff knows no rounds: it needs an AsyncTrainer"):
        Trainer(meeting.client(), one_weight(), b"", JOB, strategy=FedBuff())


@pytest.mark.parametrize(
    ("discount", "counts"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        ("polynomial", [1.0, 2**-0.5, 3**-0.5, 11**-0.5]),
        ("hinge", [1.0, 1.0, 1.0, 1 / (0.5 * 8 + 1)]),
    ],
)
def test_a_stale_answer_counts_by_the_discount_that_was_chosen(discount: str, counts: list[float]) -> None:
    strategy = FedAsync(mixing=0.5, decay=0.5, discount=discount, grace=2)
    now, sent, new = torch.zeros(1), torch.ones(1), torch.tensor([2.0])

    moved = [float(strategy.moved(now, sent, new, staleness)) for staleness in (0, 1, 2, 10)]
    assert moved == pytest.approx([0.5 * 2.0 * each for each in counts])


def test_an_unknown_discount_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no discount 'hing' \(known: constant, hinge, polynomial\); did you mean"):
        FedAsync(discount="hing")


def test_those_who_answer_at_once_come_in_turn(meeting: Meeting) -> None:
    for name in ("alice", "bob", "carol"):
        fake(meeting, name, answers(1.0))
    reports = Run(meeting, FedAsync(), workers=3, rounds=9).all()

    came = [each.worker for report in reports for each in report.answered]
    assert sorted(came) == ["alice"] * 3 + ["bob"] * 3 + ["carol"] * 3


def test_what_several_have_trained_is_pulled_side_by_side(meeting: Meeting) -> None:
    """Both are done at once, and no piece comes before both were asked for one."""
    tasks: dict[str, tuple[FakeWorker, Train, list[Tensor]]] = {}
    pieces: dict[str, tuple[FakeWorker, Pull, list[Tensor]]] = {}
    values = {"alice": 1.0, "bob": 3.0}

    def trains(name: str, *task: Any) -> None:
        tasks[name] = task
        if len(tasks) == 2:
            for each in values:
                answers(values[each])(*tasks[each])

    def pulls(name: str, *pull: Any) -> None:
        pieces[name] = pull
        if len(pieces) == 2:
            for each in pieces.values():
                answer_pull(*each)

    for name in values:
        fake = FakeWorker(meeting.address, name, partial(trains, name), partial(pulls, name))
        meeting.opened(fake.endpoint)
    run = Run(meeting, FedBuff(buffer=2), workers=2, rounds=1)
    (report,) = run.all()

    assert run.weight == pytest.approx(2.0)
    assert [each.worker for each in report.answered] == ["alice", "bob"]


def test_of_several_that_are_pulled_one_that_is_of_no_use_spoils_no_other(meeting: Meeting) -> None:
    fake(meeting, "alice", answers(1.0))
    fake(meeting, "bob", answers_nan)
    fake(meeting, "carol", answers(4.0))
    run = Run(meeting, FedBuff(buffer=3), workers=3, rounds=1)
    (report,) = run.all()

    assert [each.worker for each in report.failed] == ["bob"]
    assert run.weight == pytest.approx(sum({"alice": 1.0, "carol": 4.0}[each.worker] for each in report.answered) / 3)


def test_an_answer_that_the_strategy_refuses_is_left_out(meeting: Meeting) -> None:
    class Choosy(FedBuff):
        def accept(self, answer: Answer) -> None:
            if answer.worker == "alice":
                raise UpdateRefused("it is not liked")

    for name, value in (("alice", 8.0), ("bob", 1.0)):
        fake(meeting, name, answers(value))
    run = Run(meeting, Choosy(buffer=1), workers=2, rounds=3)
    run.all()

    assert run.weight == pytest.approx(1.0)
    assert "the training goes on without alice: it is not liked" in run.said


PARABOLAS = {"alice": (2.0, 4.0), "bob": (0.5, 1.0), "carol": (1.0, 2.0)}


def evaluating(meeting: Meeting, **job: Any) -> tuple[list[RoundReport], list[float]]:
    """The reports of a training whose workers evaluate, and the weight after each step, from none on."""
    for name, (curvature, bottom) in PARABOLAS.items():
        meeting.worker(name, [parabola(curvature, bottom)])
    run = Run(meeting, FedAsync(), is_evaluated=True, workers=3, **job)
    reports, weights = [], [run.weight]
    for report in run.trainer.rounds():
        reports.append(report)
        weights.append(run.weight)
    return reports, weights


def test_workers_evaluate_the_model_that_they_are_sent_and_tell_how_stale_it_is(meeting: Meeting) -> None:
    reports, weights = evaluating(meeting, rounds=12)

    assert {each.worker for report in reports[:-1] for each in report.evaluated} == set(PARABOLAS)
    for report in reports:
        for each in report.evaluated:
            curvature, bottom = PARABOLAS[each.worker]
            weight = weights[report.round - int(each.metrics.get("staleness", 0))]
            assert each.loss == pytest.approx(curvature * (weight - bottom) ** 2, rel=1e-4)


def test_after_the_last_step_all_evaluate_the_model_that_is_left(meeting: Meeting) -> None:
    reports, weights = evaluating(meeting, rounds=4)
    last = reports[-1]

    assert [(each.worker, each.metrics) for each in last.evaluated] == [(name, {}) for name in PARABOLAS]
    losses = [curvature * (weights[-1] - bottom) ** 2 for curvature, bottom in PARABOLAS.values()]
    assert last.loss == pytest.approx(sum(losses) / 3, rel=1e-4)


def test_of_some_steps_one_tells_what_the_workers_found(meeting: Meeting) -> None:
    reports, _ = evaluating(meeting, rounds=11, evaluate_every=4)

    assert [report.round for report in reports if report.together is not None] in ([8, 11], [4, 8, 11])


def test_to_evaluate_changes_nothing_of_what_is_trained(meeting: Meeting) -> None:
    _, weights = evaluating(meeting, rounds=6)
    with Meeting() as other:
        for name, (curvature, bottom) in PARABOLAS.items():
            other.worker(name, [parabola(curvature, bottom)])
        run = Run(other, FedAsync(), workers=3, rounds=6)
        run.all()

    assert run.weight == weights[-1]
