"""Workers say how good the model is, each on its own examples."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fedzmq.data.data import Data
from fedzmq.data.partition import hold_out
from fedzmq.errors import DataError
from fedzmq.federated.evaluation.metrics import metric_for
from fedzmq.federated.evaluation.score import evaluate
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.report import RoundReport
from fedzmq.federated.strategies.ditto import Ditto
from fedzmq.federated.strategies.fedbn import FedBN
from fedzmq.federated.strategies.fedper import FedPer
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from fedzmq.tensors.buffers import export_all
from fedzmq.wire.messages import Evaluate, Evaluated, HeldOut, ModelMissing
from fedzmq.worker.training.memory import Kept
from fedzmq.worker.training.shares import Shares
from tests.federated.fake_worker import FakeWorker
from tests.federated.strategies.federation import kept_by
from tests.recording.recorded import MODULES, Made
from tests.worker.hub import Meeting

JOB = TrainingJob("data", rounds=2, epochs=1, batch_size=4, options={"lr": 0.1}, seed=3, workers=2)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


def clouds(seed: int, rows: int, scale: float = 1.0) -> Data:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, 3, (rows,), generator=generator)
    features = torch.eye(3).repeat(1, 2)[targets] + torch.randn(rows, 6, generator=generator)
    return Data("data", features * scale, targets, 3)


PARTS = {"alice": clouds(1, 30), "bob": clouds(2, 20)}


class Run:
    """A training whose workers evaluate, with the model, its reports, and all that was said."""

    def __init__(
        self,
        meeting: Meeting,
        made: Made,
        parts: dict[str, Data],
        job: TrainingJob = JOB,
        metrics: tuple[str, ...] = ("accuracy",),
        **more: Any,
    ) -> None:
        self.workers = {name: meeting.worker(name, [data]) for name, data in parts.items()}
        self.said: list[str] = []
        self.model = copy.deepcopy(made.module)
        plan = training_plan(made.module, made.loss, made.inputs, made.targets)
        scoring = Scoring(made.module, made.loss, made.inputs, made.targets, [metric_for(each) for each in metrics])
        self.trainer = Trainer(
            meeting.client("coordinator"), self.model, plan, job, at_workers=scoring, say=self.said.append, **more
        )

    def last(self) -> RoundReport:
        return list(self.trainer.rounds())[-1]

    def kept(self, name: str) -> Kept:
        return kept_by(self.workers[name])


def scored(model: nn.Module, data: Data) -> tuple[float, float]:
    score = evaluate(model, cross_entropy, data)
    assert score.accuracy is not None
    return score.loss, score.accuracy


def with_own(model: nn.Module, own: dict[str, Tensor]) -> nn.Module:
    model = copy.deepcopy(model)
    model.load_state_dict({**model.state_dict(), **own})
    return model


def test_each_workers_figures_are_those_of_the_new_model_on_its_data(meeting: Meeting) -> None:
    run = Run(meeting, MODULES["mlp"](), PARTS)
    report = run.last()

    assert [each.worker for each in report.evaluated] == ["alice", "bob"]
    for each in report.evaluated:
        assert (each.loss, each.accuracy) == pytest.approx(scored(run.model, PARTS[each.worker]), rel=1e-5)


def test_together_they_are_those_of_all_data_in_one_place(meeting: Meeting) -> None:
    run = Run(meeting, MODULES["mlp"](), PARTS, metrics=("f1",))
    together = run.last().together
    data = Data("data", *(torch.cat(each) for each in zip(*(part.tensors for part in PARTS.values()), strict=True)), 3)
    whole = Scoring(run.model, cross_entropy, data.features, data.targets, [metric_for("f1")]).here(run.model, data)

    assert together is not None
    assert (together.examples, together.loss) == (50, pytest.approx(whole.loss, rel=1e-5))
    assert together.metrics == pytest.approx(dict(whole.metrics))


def test_where_the_coordinator_has_no_data_the_workers_figures_are_the_reports(meeting: Meeting) -> None:
    report = Run(meeting, MODULES["mlp"](), PARTS, metrics=("accuracy", "f1")).last()

    assert report.together is not None
    assert (report.loss, report.accuracy) == (report.together.loss, report.together.accuracy)
    assert report.metrics == report.together.metrics


def test_where_it_has_data_too_its_own_figures_are_the_reports(meeting: Meeting) -> None:
    data = clouds(9, 15)
    run = Run(meeting, MODULES["mlp"](), PARTS, evaluate=lambda model: evaluate(model, cross_entropy, data))
    report = run.last()

    assert (report.loss, report.accuracy) == scored(run.model, data)
    assert report.together is not None


def test_what_is_held_out_is_evaluated_and_not_trained_on(meeting: Meeting) -> None:
    job = replace(JOB, holdout=0.2)
    run = Run(meeting, MODULES["mlp"](), PARTS, job)
    report = run.last()

    assert [(each.worker, each.examples) for each in report.answered] == [("alice", 24), ("bob", 16)]
    assert [(each.worker, each.examples) for each in report.evaluated] == [("alice", 6), ("bob", 4)]
    seed = job.held_out("alice").seed
    assert report.evaluated[0].loss == pytest.approx(
        scored(run.model, hold_out(PARTS["alice"], 0.2, seed)[1])[0],  # type: ignore[arg-type]
        rel=1e-5,
    )


def test_of_some_rounds_one_is_evaluated_and_the_last(meeting: Meeting) -> None:
    run = Run(meeting, MODULES["mlp"](), PARTS, replace(JOB, rounds=5, evaluate_every=2))

    assert [bool(report.evaluated) for report in run.trainer.rounds()] == [False, True, False, True, True]


@pytest.mark.parametrize("strategy", [FedBN(), FedPer(keep="2.*")])
def test_a_worker_evaluates_the_model_with_what_stays_on_it(meeting: Meeting, strategy: Any) -> None:
    made = MODULES["mlp"]()
    made.module[1] = nn.BatchNorm1d(7)
    run = Run(meeting, made, {"alice": clouds(1, 30), "bob": clouds(2, 20, scale=50.0)}, strategy=strategy)
    report = run.last()

    for each, data in zip(report.evaluated, (clouds(1, 30), clouds(2, 20, scale=50.0)), strict=True):
        own = with_own(run.model, run.kept(each.worker).personal)
        assert (each.loss, each.accuracy) == pytest.approx(scored(own, data), rel=1e-4)


def test_a_workers_own_model_is_evaluated_beside_the_common_one(meeting: Meeting) -> None:
    run = Run(meeting, MODULES["mlp"](), PARTS, strategy=Ditto(pull=0.01))
    report = run.last()

    for each in report.evaluated:
        loss, accuracy = scored(with_own(run.model, run.kept(each.worker).model), PARTS[each.worker])
        assert each.metrics == pytest.approx({"personal_loss": loss, "personal_accuracy": accuracy}, rel=1e-5)
    assert report.together is not None
    assert set(report.together.metrics) == {"personal_loss", "personal_accuracy"}


def test_evaluating_does_not_change_what_is_trained(meeting: Meeting) -> None:
    often = Run(meeting, MODULES["dropout"](), PARTS, strategy=Ditto())
    often.last()
    with Meeting() as other:
        seldom = Run(other, MODULES["dropout"](), PARTS, replace(JOB, evaluate_every=2), strategy=Ditto())
        seldom.last()

    assert all(map(torch.equal, often.model.state_dict().values(), seldom.model.state_dict().values()))


class Other(FakeWorker):
    """Trains, and answers an evaluation with these sums, or not at all."""

    def __init__(self, meeting: Meeting, sums: list[Tensor] | None = None) -> None:
        self._sums = sums
        super().__init__(meeting.address, "mallory", lambda worker, task, state: worker.answer_state(task, state))
        meeting.opened(self.endpoint)

    def _other(self, message: object) -> None:
        if isinstance(message, Evaluate) and self._sums is not None:
            specs, buffers = export_all(self._sums)
            self.answer(Evaluated(message.request, 5, specs, 0.1), buffers)


def test_a_worker_that_cannot_evaluate_is_left_out_and_said_to_be(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unless_few(self: Shares, name: str, held_out: HeldOut) -> Any:
        data = self.to_train(name, held_out)
        if len(data) == 20:
            raise DataError(name, "it cannot be read any more")
        return data

    monkeypatch.setattr(Shares, "to_evaluate", unless_few)
    run = Run(meeting, MODULES["mlp"](), PARTS, replace(JOB, rounds=1))
    report = run.last()

    assert [each.worker for each in report.evaluated] == ["alice"]
    assert "round 1 is not evaluated by bob: evaluation failed on worker 'bob': DataError" in run.said[0]


def test_it_is_said_whose_evaluation_is_waited_for(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fedzmq.client.waiting.FIRST", 0.0)
    Other(meeting)
    run = Run(meeting, MODULES["linear"](), {"bob": PARTS["bob"]}, replace(JOB, rounds=1, deadline=0.5))
    run.last()

    assert run.said[0].startswith("the evaluation of round 1 has waited ")


def test_one_that_is_late_is_cancelled_and_the_round_goes_on(meeting: Meeting) -> None:
    mallory = Other(meeting)
    run = Run(meeting, MODULES["linear"](), {"bob": PARTS["bob"]}, replace(JOB, rounds=1, deadline=0.3))
    report = run.last()

    assert [each.worker for each in report.evaluated] == ["bob"]
    assert run.said == ["round 1 is not evaluated by mallory: it was late: 1 others had answered"]
    assert run.trainer._client.wait_until(lambda: len(mallory.cancelled) == 1, 5.0)


@pytest.mark.parametrize(
    ("sums", "reason"),
    [
        (
            [torch.zeros(3, dtype=torch.float64)] * 2,
            r"it gave sums of the shapes [(3,), (3,)], and float64 of [(), ()]",
        ),
        ([torch.zeros(())] * 2, "and float64 of [(), ()] is due"),
        ([torch.zeros((), dtype=torch.float64)] * 3, "it gave sums of the shapes [()], and"),
    ],
)
def test_sums_that_the_plan_does_not_give_are_left_out(meeting: Meeting, sums: list[Tensor], reason: str) -> None:
    Other(meeting, sums)
    run = Run(meeting, MODULES["linear"](), {"bob": PARTS["bob"]}, replace(JOB, rounds=1))
    report = run.last()

    assert [each.worker for each in report.evaluated] == ["bob"]
    assert run.said[0].startswith("round 1 is not evaluated by mallory: it gave sums")
    assert reason in run.said[0]


def test_sums_that_are_no_numbers_are_shown_and_spoil_no_others(meeting: Meeting) -> None:
    Other(meeting, [torch.tensor(float("nan"), dtype=torch.float64)] * 2)
    report = Run(meeting, MODULES["linear"](), {"bob": PARTS["bob"]}, replace(JOB, rounds=1)).last()

    assert [each.worker for each in report.evaluated] == ["bob", "mallory"]
    assert report.together is not None
    assert report.together.loss == report.evaluated[0].loss


def test_a_model_that_a_worker_did_not_hear_whole_to_evaluate_is_counted_as_missed(meeting: Meeting) -> None:
    class Deaf(Other):
        def _other(self, message: object) -> None:
            if isinstance(message, Evaluate) and not asked:
                asked.append(message)
                self.answer(ModelMissing(message.request, message.model))
            else:
                super()._other(message)

    asked: list[Evaluate] = []
    Deaf(meeting, [torch.zeros((), dtype=torch.float64)] * 2)
    run = Run(meeting, MODULES["linear"](), {"bob": PARTS["bob"]}, replace(JOB, rounds=1))
    missed: list[str] = []
    run.trainer._client.publisher.missed = lambda peer: missed.append(peer.name)  # type: ignore[method-assign]
    report = run.last()

    assert missed == ["mallory"]
    assert [each.worker for each in report.evaluated] == ["bob", "mallory"]
