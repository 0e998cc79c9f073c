"""Rounds whose model is published once for all, and what becomes of those who do not hear it whole."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from fedzmq.data.data import Data
from fedzmq.federated.report import RoundReport
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from fedzmq.session.chunk import topic_of
from fedzmq.session.session import Peer
from fedzmq.transports.connection import Delivery
from fedzmq.transports.memory import MemoryConnection
from fedzmq.wire.messages import ModelMissing, Train
from fedzmq.worker.worker import Worker
from tests.federated.fake_worker import FakeWorker
from tests.recording.recorded import Made
from tests.worker.hub import Meeting
from tests.worker.training.trained import state_of

NAMES = ("alice", "bob", "carol")
JOB = TrainingJob("data", rounds=1, epochs=1, batch_size=4, options={"lr": 0.1}, seed=3, workers=3)
WIDTH = 60_000

Fault = Callable[[Delivery], bool]


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


def made(width: int = WIDTH) -> Made:
    """A model of 48 * width bytes and a few, with buffers of several kinds."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, width), nn.Tanh(), nn.Linear(width, 3), nn.BatchNorm1d(3))
    return Made(module, torch.randn(6, 6), torch.tensor([0, 1, 2, 0, 1, 2]))


def bytes_of(made: Made) -> int:
    return sum(tensor.nbytes for tensor in (*made.module.parameters(), *made.module.buffers()))


def data_of(made: Made) -> Data:
    return Data("data", made.features, made.targets, 3)


class Run:
    """A coordinator of its own, with a copy of the model."""

    def __init__(self, meeting: Meeting, made: Made, job: TrainingJob = JOB, name: str = "coordinator") -> None:
        self.said: list[str] = []
        self.client = meeting.client(name)
        self.model = copy.deepcopy(made.module)
        plan = training_plan(made.module, made.loss, made.features, made.targets)
        self.trainer = Trainer(self.client, self.model, plan, job, say=self.said.append)

    def all(self) -> list[RoundReport]:
        return list(self.trainer.rounds())


def hard_of_hearing(meeting: Meeting, name: str, data: Data, misses: Fault) -> Worker:
    """A worker that never gets what was published and `misses` chooses."""
    connection = MemoryConnection(meeting.address, name)
    recv = connection.recv

    def hears(timeout: float | None) -> Delivery | None:
        while (delivery := recv(timeout)) is not None:
            is_published = delivery.topic is not None and delivery.topic.startswith("chunks/")
            if not (is_published and misses(delivery)):
                break
        return delivery

    connection.recv = hears  # type: ignore[method-assign]
    worker = Worker(connection, data=[data], silence=float("inf"))
    connection.serve(lambda: worker.step(0.0))
    meeting.opened(worker)
    worker.step(0.0)
    return worker


def first_of_each_model(delivery: Delivery) -> bool:
    return bytes(delivery.frames[0][41:49]) == bytes(8)  # its offset is 0


def trained_directly(model: Made, job: TrainingJob = JOB) -> list[Tensor]:
    """The same training with the state sent to each alone."""
    with Meeting() as meeting:
        for name in NAMES:
            meeting.worker(name, [data_of(model)])
        run = Run(meeting, model, job)
        run.client.publisher.publish = lambda *given: frozenset()  # type: ignore[method-assign]
        (report, *_) = run.all()
        assert report.bytes_sent > 3 * bytes_of(model)
        return state_of(run.model)


@pytest.mark.parametrize("count", [3, 6])
def test_the_model_leaves_once_however_many_train_it(meeting: Meeting, count: int) -> None:
    model = made()
    for number in range(count):
        meeting.worker(f"worker{number}", [data_of(model)])
    reports = Run(meeting, model, replace(JOB, rounds=3, workers=count)).all()

    for report in reports:
        assert len(report.answered) == count
        assert bytes_of(model) < report.bytes_sent < 1.02 * bytes_of(model)


def test_a_published_model_is_trained_to_the_same_bits_as_one_that_was_sent(meeting: Meeting) -> None:
    model, job = made(), replace(JOB, rounds=2)
    for name in NAMES:
        meeting.worker(name, [data_of(model)])
    run = Run(meeting, model, job)
    run.all()

    assert all(map(torch.equal, state_of(run.model), trained_directly(model, job)))


@pytest.mark.parametrize(("width", "count"), [(WIDTH, 1), (10_000, 6)], ids=["one worker", "a small model"])
def test_what_is_no_less_work_to_publish_is_sent(meeting: Meeting, width: int, count: int) -> None:
    model = made(width)
    for number in range(count):
        meeting.worker(f"worker{number}", [data_of(model)])
    run = Run(meeting, model, replace(JOB, workers=count))
    (report,) = run.all()

    assert report.bytes_sent > count * bytes_of(model)


def test_who_did_not_hear_all_is_sent_the_model_and_its_answer_counts(meeting: Meeting) -> None:
    model = made()
    for name in NAMES[1:]:
        meeting.worker(name, [data_of(model)])
    hard_of_hearing(meeting, "alice", data_of(model), first_of_each_model)
    run = Run(meeting, model)
    (report,) = run.all()

    assert [answer.worker for answer in report.answered] == list(NAMES)
    assert 2 * bytes_of(model) < report.bytes_sent < 2.02 * bytes_of(model)
    assert all(map(torch.equal, state_of(run.model), trained_directly(model)))


def test_who_hears_nothing_at_all_is_sent_the_model(meeting: Meeting) -> None:
    model = made()
    for name in NAMES[1:]:
        meeting.worker(name, [data_of(model)])
    hard_of_hearing(meeting, "alice", data_of(model), lambda delivery: True)
    run = Run(meeting, model)
    (report,) = run.all()

    assert [answer.worker for answer in report.answered] == list(NAMES)
    assert all(map(torch.equal, state_of(run.model), trained_directly(model)))


def test_what_a_stranger_publishes_for_the_coordinator_changes_nothing(meeting: Meeting) -> None:
    model = made()
    for name in NAMES:
        meeting.worker(name, [data_of(model)])
    run = Run(meeting, model)
    stranger = MemoryConnection(meeting.address, "stranger")
    meeting.opened(stranger)
    publish = run.client.endpoint.publish

    def disturbed(topic: str, frames: list[bytes]) -> None:
        forged = [frames[0], bytes(len(frames[1]))]
        stranger.publish(topic, forged)
        publish(topic, frames)
        stranger.publish(topic, forged)

    run.client.endpoint.publish = disturbed  # type: ignore[assignment, method-assign]
    (report,) = run.all()

    assert report.bytes_sent < 1.02 * bytes_of(model)
    assert all(map(torch.equal, state_of(run.model), trained_directly(model)))


def test_bytes_that_are_not_the_models_cost_one_sending_and_no_more(meeting: Meeting) -> None:
    model = made()
    for name in NAMES:
        meeting.worker(name, [data_of(model)])
    run = Run(meeting, model)
    publish = run.client.endpoint.publish

    def garbled(topic: str, frames: list[bytes]) -> None:
        publish(topic, [frames[0], bytes(len(frames[1]))])

    run.client.endpoint.publish = garbled  # type: ignore[assignment, method-assign]
    run.all()

    assert all(map(torch.equal, state_of(run.model), trained_directly(model)))


def test_a_worker_that_comes_between_rounds_hears_the_next_model(meeting: Meeting) -> None:
    model = made()
    for name in NAMES[1:]:
        meeting.worker(name, [data_of(model)])
    reports = Run(meeting, model, replace(JOB, rounds=3, workers=2)).trainer.rounds()
    next(reports)
    meeting.worker("alice", [data_of(model)])
    next(reports)  # in which it is first asked what data it has
    third = next(reports)

    assert [answer.worker for answer in third.answered] == list(NAMES)
    assert third.bytes_sent < 1.05 * bytes_of(model)


def test_two_coordinators_at_once_train_each_its_own_model(meeting: Meeting) -> None:
    model, job = made(), replace(JOB, rounds=2)
    for name in NAMES:
        meeting.worker(name, [data_of(model)])
    one, other = Run(meeting, model, job, "one"), Run(meeting, model, replace(job, seed=4), "other")
    for first, second in zip(one.trainer.rounds(), other.trainer.rounds(), strict=True):
        assert first.bytes_sent < 1.02 * bytes_of(model)
        assert second.bytes_sent < 1.02 * bytes_of(model)

    assert all(map(torch.equal, state_of(one.model), trained_directly(model, job)))
    assert all(map(torch.equal, state_of(other.model), trained_directly(model, replace(job, seed=4))))


def test_nobody_listens_once_the_coordinator_left(meeting: Meeting) -> None:
    model = made()
    for name in NAMES:
        meeting.worker(name, [data_of(model)])
    run = Run(meeting, model)
    run.all()
    topic = topic_of("coordinator", run.client.endpoint.boot, 1)
    with MemoryConnection(meeting.address, "witness") as witness:
        assert len(witness._hub.topics[topic]) == 3
        run.client.close()
        witness.recv(0.1)
        assert topic not in witness._hub.topics


def test_who_lacks_what_it_was_given_twice_is_left_out(meeting: Meeting) -> None:
    def never_has_the_model(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
        worker.answer(ModelMissing(task.request, task.model))

    model = made(100)
    for name in NAMES[1:]:
        meeting.worker(name, [data_of(model)])
    meeting.opened(FakeWorker(meeting.address, "alice", never_has_the_model).endpoint)
    run = Run(meeting, model)
    (report,) = run.all()

    assert [answer.worker for answer in report.answered] == ["bob", "carol"]
    assert "no model" in report.failed[0].reason


def test_who_never_hears_anything_is_not_waited_for_in_every_round(meeting: Meeting) -> None:
    model = made()
    for name in NAMES[1:]:
        meeting.worker(name, [data_of(model)])
    hard_of_hearing(meeting, "alice", data_of(model), first_of_each_model)
    run = Run(meeting, model, replace(JOB, rounds=6))
    missed, misses = run.client.publisher.missed, []

    def counted(peer: Peer) -> None:
        misses.append(peer.name)
        missed(peer)

    run.client.publisher.missed = counted  # type: ignore[method-assign]
    reports = run.all()

    assert misses == ["alice"] * 3  # in rounds 1, 3 and 6
    assert all(len(report.answered) == 3 for report in reports)
    assert [round(report.bytes_sent / bytes_of(model)) for report in reports] == [2] * 6  # to the others, and to alice
