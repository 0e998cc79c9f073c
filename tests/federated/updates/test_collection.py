"""Updates that are pulled piece by piece: into what, and what becomes of a round in which that does not work."""

from __future__ import annotations

import gc
import math
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fedzmq.errors import UpdateRefused
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.strategies.robust.geometric_median import GeometricMedian
from fedzmq.federated.strategies.robust.median import Median
from fedzmq.federated.updates import collection, due
from fedzmq.federated.updates.due import Due
from fedzmq.tensors.buffers import export_all
from fedzmq.wire.messages import Failed, Failure, Pull, Synced, Train, Trained
from tests.federated.fake_worker import FakeWorker, answer_pull
from tests.federated.test_trainer import JOB, Run
from tests.recording.recorded import MODULES
from tests.worker.hub import Meeting
from tests.worker.training.trained import state_of

NAMES = ("alice", "bob", "carol")
MADE = MODULES["cnn"]()
SIZE = sum(each.nbytes for each in state_of(MADE.module))
EXAMPLES = {"alice": 3, "bob": 11, "carol": 7}

Pulls = Callable[[FakeWorker, Pull, list[Tensor]], None]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the small model of these tests takes some thirty of them."""
    monkeypatch.setattr(due, "LEAST_PIECE", SIZE // 30)
    monkeypatch.setattr(due, "MOST_PIECE", SIZE // 30)
    monkeypatch.setattr(due, "IN_FLIGHT", SIZE // 4)


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


def trained(name: str) -> list[Tensor]:
    """What a worker of this name makes of the model.

    In the first tensor alice and carol cancel each other out, and what bob has there is lost where it comes between.
    """
    generator = torch.Generator().manual_seed(ord(name[0]))
    first, *others = [
        torch.randn(each.shape, generator=generator) if each.is_floating_point() else torch.tensor(ord(name[0]))
        for each in state_of(MADE.module)
    ]
    if name != "bob":
        first.fill_(2.0**70 * (EXAMPLES["carol"] if name == "alice" else -EXAMPLES["alice"]))
    return [first, *others]


class Gathered(Run):
    """One round of workers that train by looking their state up."""

    def __init__(self, meeting: Meeting, names: tuple[str, ...] = NAMES, *, pulls: Any = None, **more: Any) -> None:
        self.workers = {name: self._fake(meeting, name, (pulls or {}).get(name, answer_pull)) for name in names}
        super().__init__(meeting, MADE, replace(JOB, workers=len(names), **more.pop("job", {})), **more)

    def _fake(self, meeting: Meeting, name: str, pulls: Pulls) -> FakeWorker:
        def trains(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
            worker.answer_state(task, trained(name), EXAMPLES[name])

        worker = FakeWorker(meeting.address, name, trains, pulls)
        meeting.opened(worker.endpoint)
        return worker


def means(names: tuple[str, ...]) -> list[Tensor]:
    """As they run in one process."""
    found = []
    for place, like in enumerate(state_of(MADE.module)):
        mean, total = torch.zeros_like(like, dtype=torch.float32 if like.is_floating_point() else torch.float64), 0
        for name in sorted(names):
            total += EXAMPLES[name]
            mean = mean.lerp(trained(name)[place].to(mean.dtype), EXAMPLES[name] / total)
        found.append((mean if like.is_floating_point() else mean.round()).to(like.dtype))
    return found


def late(after: int, what: Pulls) -> Pulls:
    """Answers so many pulls as a worker does, and then in another way."""

    def pulls(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
        (answer_pull if len(worker.pulled) <= after else what)(worker, pull, state)

    return pulls


def dies(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
    worker.leave()


def has_a_nan(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
    poisoned = [each.clone() for each in state]
    for each in poisoned:
        if each.is_floating_point():
            each.view(-1)[-1] = math.nan
    answer_pull(worker, pull, poisoned)


def has_another_form(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
    worker.answer_parts(pull, [torch.zeros((pull.stop - pull.start) // 4 + 1)])


def has_more_parts(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
    worker.answer_parts(pull, [torch.zeros(1)] * 99)


def has_it_no_more(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
    worker.answer(Failed(pull.request, Failure(0, "pull", "UsageError", "it is not here", "", ())))


def says_something_else(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
    worker.answer(Synced(pull.request, ()))


def says_nothing(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
    pass


TROUBLE = [
    (dies, "worker 'bob' is lost: it left"),
    (has_a_nan, "holds NaN or infinity"),
    (has_another_form, r"a piece of '.*' is float32\[\d+\], and float32\[\d+\] was due|a piece of it has 1 parts"),
    (has_more_parts, r"a piece of it has 99 parts, and \d were due"),
    (has_it_no_more, "UsageError: it is not here"),
    (says_something_else, "it answered a pull with Synced"),
]


def test_the_model_is_the_weighted_mean_as_it_runs_in_one_process_to_the_bit(meeting: Meeting) -> None:
    run = Gathered(meeting)
    run.all()

    assert all(map(torch.equal, state_of(run.model), means(NAMES)))
    assert len(run.workers["bob"].pulled) >= 30


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_whose_pieces_come_first_changes_no_bit(meeting: Meeting, order: tuple[int, ...]) -> None:
    """Each holds its answers back until the one that is to be faster has sent its last."""
    owed: list[tuple[FakeWorker, Pull, list[Tensor]]] = []
    names = [NAMES[place] for place in order]

    def holds_back(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
        owed.append((worker, pull, state))
        if len({each[1].start for each in owed}) * 3 == len(owed):  # all were asked for the same pieces
            rank = {run.workers[name]: number for number, name in enumerate(names)}
            for each in sorted(owed, key=lambda each: rank[each[0]]):
                answer_pull(*each)
            owed.clear()

    run = Gathered(meeting, pulls=dict.fromkeys(NAMES, holds_back))
    run.all()

    assert all(map(torch.equal, state_of(run.model), means(NAMES)))


@pytest.mark.parametrize(("trouble", "reason"), TROUBLE)
@pytest.mark.parametrize("after", [0, 15])
@pytest.mark.parametrize("name", ["bob"])
def test_one_that_breaks_off_is_left_out_of_the_sum_and_reported(
    meeting: Meeting, trouble: Pulls, reason: str, after: int, name: str
) -> None:
    run = Gathered(meeting, pulls={name: late(after, trouble)})
    (report,) = run.all()

    assert all(map(torch.equal, state_of(run.model), means(("alice", "carol"))))
    assert [each.worker for each in report.answered] == ["alice", "carol"]
    assert [each.worker for each in report.failed] == [name]
    assert re.search(reason, report.failed[0].reason)
    assert [line for line in run.said if line.startswith(f"round 1 goes on without {name}: ")]


def test_one_after_the_other_may_break_off(meeting: Meeting) -> None:
    run = Gathered(meeting, pulls={"alice": late(20, has_a_nan), "carol": late(9, dies)})
    (report,) = run.all()

    assert all(map(torch.equal, state_of(run.model), trained("bob")))
    assert {each.worker for each in report.failed} == {"alice", "carol"}


def test_one_of_whom_nothing_comes_is_given_up(meeting: Meeting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "PATIENCE", 1.0)
    monkeypatch.setattr(collection, "LOOK", 0.05)
    monkeypatch.setattr(collection, "TELL_AFTER", 0.5)
    run = Gathered(meeting, pulls={"bob": late(3, says_nothing)})
    (report,) = run.all()

    assert all(map(torch.equal, state_of(run.model), means(("alice", "carol"))))
    assert "a piece of what 'bob' has trained: no answer within" in report.failed[0].reason
    assert "waiting for what bob has trained: it is on its way for 0.5 s and more" in run.said


def test_where_none_is_of_use_the_reason_is_raised_and_the_model_is_as_it_was(meeting: Meeting) -> None:
    run = Gathered(meeting, pulls=dict.fromkeys(NAMES, late(20, has_a_nan)))

    with pytest.raises(UpdateRefused, match="holds NaN"):
        run.all()
    assert all(map(torch.equal, state_of(run.model), state_of(MADE.module)))


def test_where_too_few_are_left_the_round_is_asked_again_of_who_comes(meeting: Meeting) -> None:
    def dies_for_another(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
        worker.leave()
        run._fake(meeting, "carol", answer_pull)

    run = Gathered(
        meeting, ("alice", "bob"), pulls={"bob": late(4, dies_for_another)}, job={"quorum": 2, "deadline": 60.0}
    )
    (report,) = run.all()

    assert all(map(torch.equal, state_of(run.model), means(("alice", "carol"))))
    assert [each.worker for each in report.answered] == ["alice", "carol"]
    assert [each.worker for each in report.failed] == ["bob"]


@pytest.mark.parametrize("make", [Median, GeometricMedian])
def test_what_breaks_off_leaves_nothing_in_a_comparison_either(meeting: Meeting, make: Callable[[], Strategy]) -> None:
    run = Gathered(meeting, pulls={"bob": late(15, has_a_nan)}, strategy=make())
    run.all()

    with Meeting() as other:
        expected = Gathered(other, ("alice", "carol"), strategy=make())
        expected.all()
    assert all(map(torch.equal, state_of(run.model), state_of(expected.model)))


def test_an_interrupted_round_changes_nothing(meeting: Meeting) -> None:
    class GivenUp(Exception):
        pass

    def interrupts(worker: FakeWorker, pull: Pull, state: list[Tensor]) -> None:
        raise GivenUp

    run = Gathered(meeting, pulls={"bob": late(15, interrupts)})
    with pytest.raises(GivenUp):
        run.all()

    assert all(map(torch.equal, state_of(run.model), state_of(MADE.module)))


def test_what_a_collector_raises_is_no_worker_s_fault(meeting: Meeting) -> None:
    class Fails(Strategy):
        def collect(self, answers: Any) -> Any:
            collector = super().collect(answers)
            collector.fold = refuses  # type: ignore[method-assign]
            return collector

    def refuses(worker: str, place: int, start: int, values: Tensor) -> None:
        raise UpdateRefused("the program's own mistake")

    run = Gathered(meeting, strategy=Fails())
    with pytest.raises(UpdateRefused, match="the program's own mistake"):
        run.all()
    assert run.said == []


def brings(worker: FakeWorker, task: Train, state: list[Tensor]) -> None:
    """Answers with all it has trained; bob's is of no use."""
    assert task.ahead == SIZE
    name = worker.endpoint.connection.name
    parts = [each.flatten() * (math.nan if name == "bob" and each.is_floating_point() else 1) for each in trained(name)]
    specs, buffers = export_all(parts)
    worker.answer(Trained(task.request, EXAMPLES[name], 0.5, 0.1, {}, parts=specs), buffers)


@pytest.mark.parametrize("pieces", ["one", "many"])
def test_what_came_along_is_not_pulled_and_is_checked_all_the_same(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch, pieces: str
) -> None:
    """Many it may be where fewer workers were here when it was asked for."""
    if pieces == "one":
        monkeypatch.setattr(due, "IN_FLIGHT", SIZE)
        monkeypatch.setattr(due, "FREELY", 100 * SIZE)
    else:
        monkeypatch.setattr(Due, "ahead", SIZE)
    run = Gathered(meeting)
    for worker in run.workers.values():
        worker._trains = brings
    (report,) = run.all()

    assert all(map(torch.equal, state_of(run.model), means(("alice", "carol"))))
    assert [each.worker for each in report.failed] == ["bob"]
    assert not any(worker.pulled for worker in run.workers.values())


def test_no_more_than_the_bytes_in_flight_is_held_of_all_updates(
    meeting: Meeting, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[Tensor]] = []
    restore = due.restore

    def watched(*arguments: Any) -> Tensor:
        tensor = restore(*arguments)
        alive.append(weakref.ref(tensor))
        return tensor

    folded, ahead, held = [0], [], []

    class Watches(Strategy):
        def collect(self, answers: Any) -> Any:
            collector = super().collect(answers)
            fold = collector.fold

            def counted(worker: str, place: int, start: int, values: Tensor) -> None:
                fold(worker, place, start, values)
                folded[0] += values.nbytes
                asked = sum(pull.stop - pull.start for each in run.workers.values() for pull in each.pulled)
                ahead.append(asked - folded[0])
                held.append(sum(each.nbytes for ref in alive if (each := ref()) is not None))

            collector.fold = counted  # type: ignore[method-assign]
            return collector

    monkeypatch.setattr(due, "restore", watched)
    gc.collect()
    run = Gathered(meeting, strategy=Watches())
    run.all()

    assert folded[0] == SIZE * len(NAMES)
    assert max(ahead) <= due.IN_FLIGHT + SIZE // 30
    assert max(held) <= SIZE // 30
