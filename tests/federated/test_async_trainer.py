from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from fedzmq.data.data import Data
from fedzmq.errors import RemoteError, UsageError
from fedzmq.federated.async_trainer import AsyncTrainer
from fedzmq.federated.report import RoundReport
from fedzmq.federated.strategies.asynchronous import Asynchronous, FedAsync, FedBuff
from fedzmq.federated.trainer import Trainer
from fedzmq.recording.training_plan import training_plan
from fedzmq.wire.messages import Train
from tests.federated.fake_worker import FakeWorker
from tests.federated.strategies.federation import JOB, one_weight, parabola
from tests.federated.test_trainer import answers_nan, fake, keeps_quiet
from tests.worker.hub import Meeting


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


class Run:
    """Of a model with one weight, which is 0 in the beginning."""

    def __init__(self, meeting: Meeting, strategy: Asynchronous, **job: Any) -> None:
        data = parabola(1.0, 0.0)
        self.said: list[str] = []
        self.client = meeting.client("coordinator")
        self.model = copy.deepcopy(one_weight())
        plan = training_plan(self.model, mse_loss, data.features, data.targets)
        self.trainer = AsyncTrainer(
            self.client, self.model, plan, replace(JOB, **job), strategy=strategy, say=self.said.append
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


@pytest.mark.parametrize("strategy", [FedAsync(), FedBuff(buffer=3)])
def test_workers_that_agree_reach_their_best_weight(meeting: Meeting, strategy: Asynchronous) -> None:
    for name, curvature in (("alice", 2.0), ("bob", 0.5), ("carol", 1.0)):
        meeting.worker(name, [parabola(curvature, 4.0)])
    run = Run(meeting, strategy, workers=3, rounds=40)
    run.all()

    assert run.weight == pytest.approx(4.0, abs=0.05)


def test_nobody_waits_for_who_does_not_answer(meeting: Meeting) -> None:
    fake(meeting, "alice", keeps_quiet)
    fake(meeting, "bob", answers(1.0))
    reports = Run(meeting, FedAsync(), workers=2, rounds=5).all()

    assert [each.worker for report in reports for each in report.answered] == ["bob"] * 5


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
