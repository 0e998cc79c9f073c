from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from fedzmq.data.data import Data
from fedzmq.errors import NotEnoughWorkers, RemoteError, UpdateRefused
from fedzmq.federated.evaluation.score import Score, evaluate
from fedzmq.federated.ledger.run_ledger import RunLedger
from fedzmq.federated.report import RoundReport
from fedzmq.federated.seeds import derive
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from fedzmq.wire.messages import PlanMissing, Progress, Synced, Train
from tests.federated.fake_worker import FakeWorker
from tests.recording.recorded import MODULES, Made, Recorded
from tests.worker.hub import Meeting
from tests.worker.training.trained import data_of, plainly_trained, run, state_of

JOB = TrainingJob("data", rounds=1, epochs=2, batch_size=4, options={"lr": 0.1}, seed=3)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


class Run:
    """A training whose model is a copy of `made`'s, with everything it said."""

    def __init__(self, meeting: Meeting, made: Made, job: TrainingJob = JOB, **more: Any) -> None:
        self.said: list[str] = []
        self.client = meeting.client("coordinator")
        self.model = copy.deepcopy(made.module)
        plan = training_plan(made.module, made.loss, made.features, made.targets)
        self.trainer = Trainer(self.client, self.model, plan, job, say=self.said.append, **more)

    def all(self) -> list[RoundReport]:
        return list(self.trainer.rounds())


class GivenUp(Exception):
    """What a coordinator's own code may raise in the middle of a round."""


def fake(meeting: Meeting, name: str, trains: Any) -> FakeWorker:
    worker = FakeWorker(meeting.address, name, trains)
    meeting.opened(worker.endpoint)
    return worker


def leaves(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.leave()


def keeps_quiet(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    pass


def answers(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.answer_state(task, state)


def answers_nan(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.answer_state(task, [each * math.nan if each.is_floating_point() else each for each in state])


def answers_another_shape(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.answer_state(task, [state[0][1:], *state[1:]])


def answers_another_dtype(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.answer_state(task, [state[0].int(), *state[1:]])


def counts_nothing(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.answer_state(task, state, examples=0)


def answers_something_else(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.answer(Synced(task.request, ()))


def never_has_the_plan(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    worker.answer(PlanMissing(task.request, task.plan))


def close(actual: list[Tensor], expected: list[Tensor]) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["linear", "cnn", "dropout", "lstm", "regression"])
def test_with_one_worker_every_round_is_plain_local_training(meeting: Meeting, name: str) -> None:
    made = MODULES[name]()
    data = data_of(made)
    meeting.worker("bob", [data])
    federated = Run(meeting, made, replace(JOB, rounds=3))
    local = copy.deepcopy(made)

    for report in federated.trainer.rounds():
        seed = derive(JOB.seed, "train", report.round, "bob")
        local.module = plainly_trained(local, lambda p: optim.SGD(p, 0.1), data, seed=seed)
        close(state_of(federated.model), state_of(local.module))


def test_with_one_worker_the_model_is_its_answer_to_the_bit(meeting: Meeting) -> None:
    made = MODULES["cnn"]()
    meeting.worker("bob", [data_of(made)])
    federated = Run(meeting, made)
    federated.all()

    answer = run(Recorded(made), data_of(made), seed=derive(JOB.seed, "train", 1, "bob"))
    assert all(map(torch.equal, state_of(federated.model), answer.state))


def test_the_model_is_the_weighted_mean_of_the_workers_answers(meeting: Meeting) -> None:
    made = MODULES["cnn"]()
    parts = {"alice": data_of(made).rows(torch.arange(12)), "bob": data_of(made).rows(torch.arange(12, 18))}
    for name, part in parts.items():
        meeting.worker(name, [part])
    federated = Run(meeting, made, replace(JOB, workers=2))
    federated.all()

    one, other = (
        run(Recorded(made), part, seed=derive(JOB.seed, "train", 1, name)).state for name, part in parts.items()
    )
    for actual, a, b in zip(state_of(federated.model), one, other, strict=True):
        expected = (a.double() * 12 + b.double() * 6) / 18
        if not actual.is_floating_point():
            expected = expected.round()
        torch.testing.assert_close(actual, expected.to(actual.dtype), rtol=1e-6, atol=1e-7)


def test_the_same_seed_gives_the_same_bits() -> None:
    states = []
    for order in (("alice", "bob", "carol"), ("carol", "bob", "alice")):
        with Meeting() as meeting:
            made = MODULES["dropout"]()
            for name in order:
                meeting.worker(name, [data_of(made).rows(torch.arange(6 + ord(name[0]) % 7))])
            federated = Run(meeting, made, replace(JOB, rounds=2, workers=3))
            federated.all()
            states.append(state_of(federated.model))

    assert all(map(torch.equal, *states))


def test_the_parameters_of_the_model_stay_the_same_objects(meeting: Meeting) -> None:
    made = MODULES["mlp"]()
    meeting.worker("bob", [data_of(made)])
    federated = Run(meeting, made)
    before = [id(each) for each in federated.model.parameters()]
    federated.all()

    assert [id(each) for each in federated.model.parameters()] == before


def test_a_report_tells_who_answered_with_how_many_examples(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    meeting.worker("bob", [data_of(made)])
    meeting.worker("alice", [data_of(made).rows(torch.arange(7))])
    first, second = Run(meeting, made, replace(JOB, rounds=2, workers=2)).all()

    assert (first.round, second.round) == (1, 2)
    assert [(each.worker, each.examples) for each in second.answered] == [("alice", 7), ("bob", 18)]
    assert second.failed == ()


def test_the_training_loss_is_the_answers_own_weighted_by_examples(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    meeting.worker("bob", [data_of(made)])
    meeting.worker("alice", [data_of(made).rows(torch.arange(7))])
    (report,) = Run(meeting, made, replace(JOB, workers=2)).all()

    alice, bob = report.answered
    assert report.train_loss == pytest.approx((alice.loss * 7 + bob.loss * 18) / 25)


def test_a_report_holds_the_score_of_the_new_model(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    data = data_of(made)
    meeting.worker("bob", [data])

    def score(model: nn.Module) -> Score:
        return evaluate(model, made.loss, data)

    federated = Run(meeting, made, evaluate=score)
    (report,) = federated.all()

    assert Score(report.loss, report.accuracy) == score(federated.model)


def test_a_report_counts_the_state_both_ways(meeting: Meeting) -> None:
    made = MODULES["mlp"]()
    meeting.worker("bob", [data_of(made)])
    (report,) = Run(meeting, made).all()
    size = sum(each.nbytes for each in state_of(made.module))

    assert report.bytes_sent > size
    assert report.bytes_received > size


@pytest.mark.parametrize(
    ("trains", "reason"),
    [
        (answers_nan, "'weight' holds NaN or infinity"),
        (answers_another_shape, r"a piece of 'weight' is float32\[12\], and float32\[18\] was due"),
        (answers_another_dtype, r"a piece of 'weight' is int32\[18\], and float32\[18\] was due"),
        (counts_nothing, "it counts 0 examples"),
        (answers_something_else, "it answered a training with Synced"),
        (never_has_the_plan, "it says that it has no plan, and was given it twice"),
        (leaves, "worker 'alice' is lost: it left"),
    ],
)
def test_a_worker_that_does_not_train_is_left_out_and_reported(meeting: Meeting, trains: Any, reason: str) -> None:
    made = MODULES["linear"]()
    fake(meeting, "alice", trains)
    meeting.worker("bob", [data_of(made)])
    federated = Run(meeting, made, replace(JOB, workers=2))
    (report,) = federated.all()

    assert [each.worker for each in report.answered] == ["bob"]
    assert [each.worker for each in report.failed] == ["alice"]
    assert re.search(reason, report.failed[0].reason)
    expected = run(Recorded(made), data_of(made), seed=derive(JOB.seed, "train", 1, "bob")).state
    assert all(map(torch.equal, state_of(federated.model), expected))


def test_what_happened_to_a_worker_is_said_at_once(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    fake(meeting, "alice", leaves)
    meeting.worker("bob", [data_of(made)])
    federated = Run(meeting, made, replace(JOB, workers=2))
    federated.all()

    assert federated.said == ["round 1 goes on without alice: worker 'alice' is lost: it left"]


def test_the_rounds_after_a_loss_go_on_with_the_others(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    fake(meeting, "alice", leaves)
    meeting.worker("bob", [data_of(made)])
    reports = Run(meeting, made, replace(JOB, rounds=3, workers=2)).all()

    assert [len(report.failed) for report in reports] == [1, 0, 0]


def test_a_worker_that_answers_nonsense_is_asked_again_in_the_next_round(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    alice = fake(meeting, "alice", answers_nan)
    meeting.worker("bob", [data_of(made)])
    Run(meeting, made, replace(JOB, rounds=3, workers=2)).all()

    assert len(alice.trainings) == 3


def test_where_all_fail_the_reason_is_raised(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    meeting.worker("bob", [data_of(MODULES["regression"]())])

    federated = Run(meeting, made)
    with pytest.raises(RemoteError, match=r"'bob': DataError: .* and the model takes int64\[\]"):
        federated.all()

    assert federated.said == []  # else the same sentence would be there twice


def test_where_all_diverge_the_reason_is_raised(meeting: Meeting) -> None:
    made = MODULES["regression"]()
    meeting.worker("bob", [data_of(made)])

    reason = (
        r"every worker's update was left out of round 1 \(bob\): .* of bob holds NaN .*; try a smaller learning rate"
    )
    with pytest.raises(UpdateRefused, match=reason):
        Run(meeting, made, replace(JOB, epochs=200, options={"lr": 1e3})).all()


def test_a_model_that_no_round_changed_is_as_it_was(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    fake(meeting, "alice", answers_nan)
    federated = Run(meeting, made)

    with pytest.raises(UpdateRefused):
        federated.all()

    assert all(map(torch.equal, state_of(federated.model), state_of(made.module)))


def test_a_round_that_lost_all_its_workers_is_done_by_those_who_come(meeting: Meeting) -> None:
    made = MODULES["linear"]()

    def leaves_for_another(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        worker.leave()
        meeting.worker("bob", [data_of(made)])

    fake(meeting, "alice", leaves_for_another)
    federated = Run(meeting, made)
    (report,) = federated.all()

    assert [each.worker for each in report.answered] == ["bob"]
    assert [each.worker for each in report.failed] == ["alice"]
    assert "round 1 lost all its workers; waiting for others" in federated.said


def test_a_round_that_lost_all_its_workers_is_done_by_all_of_them_that_come_back(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    lost: list[str] = []

    def gives_up(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        if worker.endpoint.connection.name in lost:
            worker.answer_state(task, state)
            return
        lost.append(worker.endpoint.connection.name)
        if len(lost) == 2:  # as after a sleep of the coordinator
            for each in (alice, bob):
                each.give_up()

    alice, bob = fake(meeting, "alice", gives_up), fake(meeting, "bob", gives_up)
    (report,) = Run(meeting, made, replace(JOB, workers=2)).all()

    assert [each.worker for each in report.answered] == ["alice", "bob"]


def test_a_worker_that_gave_the_coordinator_up_is_asked_again_in_its_round(meeting: Meeting) -> None:
    lost: list[FakeWorker] = []

    def gives_up_once(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        if lost:
            worker.answer_state(task, state)
        else:
            lost.append(worker)
            worker.give_up()

    fake(meeting, "alice", answers)
    fake(meeting, "bob", gives_up_once)
    federated = Run(meeting, MODULES["linear"](), replace(JOB, workers=2))
    (report,) = federated.all()

    assert [each.worker for each in report.answered] == ["alice", "bob"]
    assert (report.failed, federated.said) == ((), [])


def test_a_worker_that_gives_the_coordinator_up_again_and_again_is_left_out(meeting: Meeting) -> None:
    fake(meeting, "alice", answers)
    fake(meeting, "bob", lambda worker, task, state: worker.give_up())
    (report,) = Run(meeting, MODULES["linear"](), replace(JOB, workers=2)).all()

    assert [each.worker for each in report.failed] == ["bob"]


def test_a_worker_that_gave_the_coordinator_up_between_two_rounds_is_in_the_next(meeting: Meeting) -> None:
    fake(meeting, "alice", answers)
    bob = fake(meeting, "bob", answers)
    rounds = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, rounds=2)).trainer.rounds()
    next(rounds)
    bob.give_up()

    assert [each.worker for each in next(rounds).answered] == ["alice", "bob"]


def test_a_worker_that_went_between_two_rounds_is_told_of(meeting: Meeting) -> None:
    fake(meeting, "alice", answers)
    bob = fake(meeting, "bob", answers)
    federated = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, rounds=3))
    rounds = federated.trainer.rounds()
    next(rounds)
    bob.leave()
    list(rounds)

    assert federated.said == ["round 2 begins without bob, who took part before and is here no longer"]


def test_a_worker_that_trains_on_other_data_than_before_is_told_of(meeting: Meeting) -> None:
    def started_again(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        worker.answer_state(task, state, examples=18 if len(worker.trainings) < 3 else 7)

    fake(meeting, "alice", answers)
    fake(meeting, "bob", started_again)
    federated = Run(meeting, MODULES["linear"](), replace(JOB, workers=2, rounds=4))
    federated.all()

    trained = "bob trained on 7 examples in round 3, and on 18 before"
    assert federated.said == [f"{trained}: it holds other data, and the model becomes another one"]


def test_a_worker_that_trained_on_other_data_for_an_earlier_coordinator_is_told_of(
    meeting: Meeting, tmp_path: Path
) -> None:
    fake(meeting, "bob", lambda worker, task, state: worker.answer_state(task, state, len(worker.trainings)))
    with RunLedger(tmp_path) as ledger:
        first = Run(meeting, MODULES["linear"](), replace(JOB, rounds=2), ledger=ledger)
        next(first.trainer.rounds())
        first.client.close()
    with RunLedger(tmp_path) as ledger:
        federated = Run(meeting, MODULES["linear"](), replace(JOB, rounds=2), ledger=ledger)
        federated.all()

    assert any(line.startswith("bob trained on 2 examples in round 2, and on 1 before") for line in federated.said)


@pytest.mark.parametrize("is_other", [False, True])
def test_a_worker_that_comes_back_with_other_data_of_the_same_size_is_told_of(
    meeting: Meeting, tmp_path: Path, is_other: bool
) -> None:
    made = MODULES["linear"]()
    data = data_of(made)
    said: list[str] = []
    for number, rows in ((1, data), (2, data.rows(torch.arange(len(data)).flip(0)) if is_other else data)):
        worker = meeting.worker("bob", [rows], secret=bytes(32))
        with RunLedger(tmp_path) as ledger:
            federated = Run(meeting, made, replace(JOB, rounds=number), ledger=ledger)
            federated.all()
            federated.client.close()
        said += federated.said
        worker.close()

    told = "bob trained on other data in round 2 than before, and the model becomes another one"
    assert said == ([told] if is_other else [])


def test_too_few_workers_are_named_with_how_long_they_were_waited_for(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    meeting.worker("bob", [data_of(made)])

    with pytest.raises(NotEnoughWorkers) as caught:
        Run(meeting, made, replace(JOB, workers=3, patience=0.3)).all()

    assert str(caught.value) == "3 workers are needed, and 1 can take part (bob); waited 0.3 s"


def test_a_worker_without_the_data_is_named_and_not_asked(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    meeting.worker("alice", [replace(data_of(made), name="wine")])
    meeting.worker("bob", [data_of(made)])
    federated = Run(meeting, made, replace(JOB, workers=2, patience=0.3))

    with pytest.raises(
        NotEnoughWorkers,
        match=r"1 can take part \(bob\); .* without the data 'data': alice; for 'wine', .*--dataset wine",
    ):
        federated.all()
    lacks = "it has no data 'data' (it has: wine); for 'wine', ask by dataset (--dataset wine)"
    assert federated.said == [f"alice does not take part: {lacks}"]


def test_a_worker_that_comes_later_takes_part_from_then_on(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    meeting.worker("bob", [data_of(made)])
    federated = Run(meeting, made, replace(JOB, rounds=4))
    rounds = federated.trainer.rounds()
    first = next(rounds)
    meeting.worker("alice", [data_of(made)])
    federated.client.wait_for_workers(2)
    *_, last = rounds

    assert [each.worker for each in first.answered] == ["bob"]
    assert [each.worker for each in last.answered] == ["alice", "bob"]


def test_a_coordinator_that_gives_up_in_the_middle_takes_its_tasks_back(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    alice = fake(meeting, "alice", keeps_quiet)

    def interrupt(worker: str, progress: Progress) -> None:
        raise GivenUp

    def says_how_far(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        worker.answer(Progress(task.request, 0, 1, 5, 0.5))

    fake(meeting, "carol", says_how_far)
    federated = Run(meeting, made, replace(JOB, workers=2), hear=interrupt)
    with pytest.raises(GivenUp):
        federated.all()
    assert federated.client.wait_until(lambda: bool(alice.cancelled), 30)

    assert alice.cancelled == [task.request for task in alice.trainings]


def test_a_coordinator_that_gives_up_while_one_trains_again_takes_that_back(meeting: Meeting) -> None:
    def interrupt(worker: str, progress: Progress) -> None:
        raise GivenUp

    def trains(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        if len(worker.trainings) == 1:
            worker.answer_state(task, state)
        else:
            worker.answer(Progress(task.request, 0, 1, 5, 0.5))

    bob = FakeWorker(meeting.address, "bob", trains, lambda worker, pull, state: worker.give_up())
    meeting.opened(bob.endpoint)
    federated = Run(meeting, MODULES["linear"](), JOB, hear=interrupt)
    with pytest.raises(GivenUp):
        federated.all()
    assert federated.client.wait_until(lambda: bool(bob.cancelled), 30)

    assert bob.cancelled == [bob.trainings[1].request]


def test_waiting_for_workers_does_not_flood_those_who_are_here(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    calls: list[None] = []
    meeting.worker("alice", [Data("wine", made.features, made.targets, 3)])
    federated = Run(meeting, made, replace(JOB, patience=0.5))
    ask = federated.client.endpoint.presence.ask
    federated.client.endpoint.presence.ask = lambda: (calls.append(None), ask())[1]  # type: ignore[method-assign]

    with pytest.raises(NotEnoughWorkers):
        federated.all()

    assert len(calls) < 20
