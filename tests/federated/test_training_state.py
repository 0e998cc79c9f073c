"""A training that ends between or within its rounds, and is taken up by another coordinator with the same workers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fedzmq.errors import RunChanged
from fedzmq.federated import cohort
from fedzmq.federated.async_trainer import AsyncTrainer
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.ledger.checkpoint import Opened
from fedzmq.federated.ledger.run_ledger import RunLedger
from fedzmq.federated.report import RoundReport
from fedzmq.federated.strategies.asynchronous import FedAsync
from fedzmq.federated.strategies.ditto import Ditto
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.strategies.fedavgm import FedAvgM
from fedzmq.federated.strategies.fedbn import FedBN
from fedzmq.federated.strategies.fedopt import FedAdam, FedYogi
from fedzmq.federated.strategies.fedper import FedPer
from fedzmq.federated.strategies.scaffold import Scaffold
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.wire.messages import Train
from fedzmq.worker.training import tasks
from fedzmq.worker.training.train import Outcome
from fedzmq.worker.training.train import train as really_train
from tests.recording.recorded import MODULES, Made
from tests.worker.hub import Meeting
from tests.worker.training.trained import data_of, state_of

JOB = TrainingJob("data", rounds=4, epochs=1, batch_size=4, options={"lr": 0.1}, seed=3, workers=3)
NAMES = ("alice", "bob", "carol")

Ended = tuple[list[torch.Tensor], list[RoundReport]]


class Draws(FedAvg):
    """A user's strategy, which draws from torch's own random numbers."""

    def step(self, name: str, old: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        return mean + 0.01 * torch.randn_like(mean)


STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "fedavg": FedAvg,
    "fedavgm": FedAvgM,
    "fedadam": FedAdam,
    "fedyogi": FedYogi,
    "scaffold": Scaffold,
    "scaffold, option 1": lambda: Scaffold(option=1),
    "fedbn": FedBN,
    "fedper": lambda: FedPer("0.*"),
    "ditto": Ditto,
    "draws": Draws,
}


class Killed(Exception):
    """A coordinator ends here and has no time for anything."""


class Mortal(RunLedger):
    """Ends its coordinator at a moment of a round."""

    moment: tuple[str, int] = ("", 0)

    def open(self, opened: Opened) -> None:
        self._end("before", opened.round)
        super().open(opened)

    def commit(self, checkpoint: object, report: RoundReport) -> None:
        self._end("trained", report.round)
        super().commit(checkpoint, report)  # type: ignore[arg-type]
        self._end("committed", report.round)

    def _end(self, what: str, number: int) -> None:
        if self.moment == (what, number):
            raise Killed


def coordinator(
    meeting: Meeting,
    made: Made,
    folder: Path,
    strategy: Strategy,
    moment: tuple[str, int] = ("", 0),
    job: TrainingJob = JOB,
    said: list[str] | None = None,
) -> Ended:
    """Train until the end, or until that moment; gives the model, which did not begin as in any other coordinator."""
    model = copy.deepcopy(made.module)
    if folder.exists():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(9.0)  # all that counts is in the ledger
    client = meeting.client(f"coordinator{len(list(folder.parent.iterdir()))}-{folder.name}-{moment[1]}")
    with Mortal(folder) as ledger:
        ledger.moment = moment
        trainer = Trainer(
            client,
            model,
            made.plan,
            job,
            strategy=strategy,
            ledger=ledger,
            say=(said or []).append,
            evaluate=lambda model: Score(0.0, None),
        )
        try:
            list(trainer.rounds())
        except Killed:
            client.close()
        return state_of(model), ledger.reports


def site(meeting: Meeting, made: Made, names: tuple[str, ...] = NAMES) -> None:
    for name in names:
        meeting.worker(name, [data_of(made).rows(torch.arange(8 + 3 * NAMES.index(name)))])


@pytest.fixture(scope="module")
def made() -> Made:
    return MODULES["cnn"]()


@pytest.fixture(autouse=True)
def chance() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="module")
def undisturbed(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ended]:
    """How a training with this strategy ends that nobody interrupts."""

    @cache
    def trained(name: str) -> Ended:
        return interrupted(made, tmp_path_factory.mktemp("undisturbed") / "run", name)

    return trained


def interrupted(made: Made, folder: Path, name: str, *moments: tuple[str, int]) -> Ended:
    """How it ends after a coordinator was killed at each of these moments."""
    job = replace(JOB, fraction=0.6) if name in ("fedavg", "scaffold") else JOB
    with torch.random.fork_rng(devices=[]), Meeting() as meeting:
        torch.manual_seed(1)
        site(meeting, made)
        for each in (*moments, ("", 0)):
            ended = coordinator(meeting, made, folder, STRATEGIES[name](), each, job)
            torch.manual_seed(2)  # another process is elsewhere with its random numbers
    return ended


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        *((name, ("trained", 3)) for name in STRATEGIES),
        *(("scaffold", moment) for moment in (("before", 1), ("before", 4), ("committed", 2), ("committed", 4))),
    ],
)
def test_a_killed_coordinators_successor_ends_with_the_same_bits(
    made: Made, undisturbed: Callable[[str], Ended], tmp_path: Path, name: str, moment: tuple[str, int]
) -> None:
    wanted, its_reports = undisturbed(name)
    resumed, reports = interrupted(made, tmp_path / "run", name, moment)

    assert all(map(torch.equal, resumed, wanted))
    assert [*map(timeless, reports)] == [*map(timeless, its_reports)]


def timeless(report: RoundReport) -> RoundReport:
    """Without what a clock, a meter and a secret say."""
    answered = tuple(replace(answer, seconds=0.0, fingerprint="") for answer in report.answered)
    return replace(report, seconds=0.0, bytes_sent=0, bytes_received=0, answered=answered)


def test_workers_that_had_trained_the_interrupted_round_do_not_train_again(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []

    def train(task: Train, *given: Any, **named: Any) -> Outcome:
        trained.append(task.local.round)
        return really_train(task, *given, **named)

    monkeypatch.setattr(tasks, "train", train)
    with Meeting() as meeting:
        site(meeting, made)
        coordinator(meeting, made, tmp_path / "run", Scaffold(), ("trained", 3))
        coordinator(meeting, made, tmp_path / "run", Scaffold())

    assert sorted(trained) == [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]


def test_a_run_that_is_done_gives_its_model_and_no_round(made: Made, tmp_path: Path) -> None:
    with Meeting() as meeting:
        site(meeting, made)
        first, _ = coordinator(meeting, made, tmp_path / "run", FedAvg())
        again, reports = coordinator(meeting, made, tmp_path / "run", FedAvg())

    assert all(map(torch.equal, first, again))
    assert len(reports) == 4


def test_a_finished_run_can_be_made_longer(made: Made, tmp_path: Path) -> None:
    with Meeting() as meeting:
        site(meeting, made)
        coordinator(meeting, made, tmp_path / "run", Scaffold(), job=replace(JOB, rounds=2))
        longer, _ = coordinator(meeting, made, tmp_path / "run", Scaffold())
    with Meeting() as meeting:
        site(meeting, made)
        undisturbed, _ = coordinator(meeting, made, tmp_path / "other", Scaffold())

    assert all(map(torch.equal, longer, undisturbed))


def test_another_plan_is_refused(made: Made, tmp_path: Path) -> None:
    with Meeting() as meeting:
        site(meeting, made)
        coordinator(meeting, made, tmp_path / "run", FedAvg(), ("before", 2))
        other = replace(made, loss=lambda output, target: nn.functional.cross_entropy(output, target) * 2)
        with pytest.raises(RunChanged, match=r"as it began: the model or its loss is not what it was; with --f"):
            coordinator(meeting, other, tmp_path / "run", FedAvg())


def test_a_round_that_was_interrupted_asks_whom_it_asked_before(made: Made, tmp_path: Path) -> None:
    said: list[str] = []
    job = replace(JOB, rounds=2, fraction=0.6)
    with Meeting() as meeting:
        site(meeting, made)
        coordinator(meeting, made, tmp_path / "run", FedAvg(), ("trained", 2), job)
        for name in ("dave", "erin", "frank"):  # who would be in the lot now
            meeting.worker(name, [data_of(made)])
        with RunLedger(tmp_path / "run") as ledger:
            before = ledger.opened()
        _, reports = coordinator(meeting, made, tmp_path / "run", FedAvg(), job=replace(job, workers=6), said=said)

    assert before is not None
    assert tuple(answer.worker for answer in reports[1].answered) == before.workers
    assert said == []


def test_whoever_is_missing_since_then_is_waited_for_and_told_of(made: Made, tmp_path: Path) -> None:
    said = ["they began:"]
    with Meeting() as meeting:
        site(meeting, made)
        coordinator(meeting, made, tmp_path / "run", FedAvg(), ("trained", 2))
    with Meeting() as meeting:
        site(meeting, made, ("bob",))
        job = replace(JOB, workers=1, patience=0.3)
        _, reports = coordinator(meeting, made, tmp_path / "run", FedAvg(), job=job, said=said)

    assert said[1:] == ["going on without alice, carol, who took part before"]
    assert [answer.worker for answer in reports[1].answered] == ["bob"]


def test_rounds_with_a_deadline_wait_no_longer_than_that_for_who_is_missing(made: Made, tmp_path: Path) -> None:
    said = ["they began:"]
    job = replace(JOB, deadline=0.2)
    with Meeting() as meeting:
        site(meeting, made)
        coordinator(meeting, made, tmp_path / "run", FedAvg(), ("trained", 2), job)
    with Meeting() as meeting:
        site(meeting, made, ("bob",))
        coordinator(meeting, made, tmp_path / "run", FedAvg(), job=replace(job, workers=1, patience=1e6), said=said)

    assert said[1:] == ["going on without alice, carol, who took part before"]


def test_who_is_waited_for_is_said_before_it_becomes_long(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cohort, "TELL_AFTER", 0.0)
    said = ["they began:"]
    with Meeting() as meeting:
        site(meeting, made)
        coordinator(meeting, made, tmp_path / "run", FedAvg(), ("trained", 2))
    with Meeting() as meeting:
        meeting.worker("bob", [data_of(made)])
        coordinator(meeting, made, tmp_path / "run", FedAvg(), job=replace(JOB, workers=1, patience=1.0), said=said)

    assert "waiting for alice, carol, who took part before: the model would be another one; 1 s left" in said


def test_a_training_without_rounds_goes_on_from_its_last_step(made: Made, tmp_path: Path) -> None:
    states = []
    for stops in ((4,), (2, 4)):
        with Meeting() as meeting:
            meeting.worker("bob", [data_of(made)])
            for stop in stops:
                model = copy.deepcopy(made.module)
                with RunLedger(tmp_path / f"run{len(stops)}") as ledger:
                    client = meeting.client(f"coordinator{stop}")
                    job = replace(JOB, workers=1)
                    trainer = AsyncTrainer(client, model, made.plan, job, strategy=FedAsync(), ledger=ledger)
                    for report in trainer.rounds():
                        if report.round == stop:
                            break
        states.append(state_of(model))

    assert all(map(torch.equal, *states))
