from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from fedzmq.errors import LimitExceeded
from fedzmq.plans.plan import name_of
from fedzmq.recording.training_plan import training_plan
from fedzmq.tensors.buffers import export_all
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import (
    Claim,
    DefinePlan,
    Drop,
    Failed,
    Fetch,
    PlanMissing,
    Progress,
    Put,
    Reply,
    TensorSpec,
    Trained,
)
from fedzmq.worker.commons import Commons
from fedzmq.worker.guest import Guest
from tests.recording.recorded import MODULES
from tests.worker.training.trained import TASK, data_of, state_of

MADE = MODULES["linear"]()
PLAN = training_plan(MADE.module, MADE.loss, MADE.features, MADE.targets)


class Stay:
    """A guest with one data set, and what it said while its tasks ran."""

    def __init__(self) -> None:
        self.posted: list[Reply] = []
        self.guest = Guest(Commons({"data": data_of(MADE)}), self.post)

    def post(self, reply: Reply, buffers: Sequence[Buffer]) -> None:
        self.posted.append(reply)

    def train(self, request: int = 1, **changes: Any) -> Reply:
        specs, buffers = export_all(state_of(MADE.module))
        task = replace(TASK, request=request, plan=name_of(PLAN), state=specs, **changes)
        (answer,) = self.guest.run([task], buffers)
        return answer.reply


@pytest.fixture
def stay() -> Stay:
    stay = Stay()
    assert stay.guest.run([DefinePlan(PLAN)], []) == []
    return stay


def test_a_plan_that_nobody_defined_is_missing() -> None:
    assert Stay().train() == PlanMissing(1, name_of(PLAN))


def test_a_task_is_answered_once_and_posts_its_progress_before(stay: Stay) -> None:
    assert isinstance(stay.train(epochs=1, report_every=0.0), Trained)
    assert [each.step for each in stay.posted if isinstance(each, Progress)] == [1, 2, 3, 4, 5]


def test_a_task_cancelled_before_it_begins_does_not_run(stay: Stay) -> None:
    stay.guest.cancel(1)
    reply = stay.train(epochs=1 << 40)

    assert isinstance(reply, Failed)
    assert reply.failure.error == "Cancelled"


def test_another_task_than_the_cancelled_one_runs(stay: Stay) -> None:
    stay.guest.cancel(2)

    assert isinstance(stay.train(1), Trained)


def test_a_task_that_is_over_cannot_be_cancelled_and_leaves_nothing_behind(stay: Stay) -> None:
    stay.train(1)
    stay.guest.cancel(1)

    assert not stay.guest._cancellation._tasks


def test_no_task_runs_for_a_guest_that_left(stay: Stay) -> None:
    stay.guest.leave()
    reply = stay.train(epochs=1 << 40)

    assert isinstance(reply, Failed)
    assert reply.failure.error == "Cancelled"


def test_a_failure_of_a_task_counts_its_place_among_the_commands(stay: Stay) -> None:
    reply = stay.train(optimizer="zeus")

    assert isinstance(reply, Failed)
    assert (reply.failure.command, reply.failure.operation, reply.failure.error) == (2, "training", "UsageError")


def test_a_state_whose_buffers_are_missing_fails_the_task(stay: Stay) -> None:
    task = replace(TASK, plan=name_of(PLAN), state=(TensorSpec("float32", (3, 6), 4),))
    (answer,) = stay.guest.run([task], [])

    assert isinstance(answer.reply, Failed)
    assert "in buffer 4, and there are 0 buffers" in answer.reply.failure.message


def test_an_operation_that_cannot_be_computed_fails_the_task_and_not_the_worker(stay: Stay) -> None:
    made = MODULES["linear"]()
    made.targets = made.targets + 7  # classes that the model does not have
    guest = Guest(Commons({"data": data_of(made)}), stay.post)
    specs, buffers = export_all(state_of(MADE.module))
    task = replace(TASK, plan=name_of(PLAN), state=specs)
    (answer,) = guest.run([DefinePlan(PLAN), task], buffers)

    assert isinstance(answer.reply, Failed)
    assert answer.reply.failure.error == "IndexError"


def test_a_task_leaves_the_tensors_of_its_client_alone(stay: Stay) -> None:
    specs, buffers = export_all([torch.ones(2)])
    stay.guest.run([Put(1, specs[0], False)], buffers)
    stay.train(2)
    (answer,) = stay.guest.run([Fetch(3, 1)], [])

    assert bytes(answer.buffers[0]) == torch.ones(2).numpy().tobytes()


def test_what_a_client_kept_is_free_once_it_is_gone(stay: Stay) -> None:
    kept = torch.ones(2)
    stay.guest.run([Put(1, TensorSpec("float32", (2,), 0), False)], [memoryview(kept.numpy()).cast("B")])
    tensor = weakref.ref(stay.guest.tensors[1])
    gc.disable()
    try:
        stay.guest.leave()
        del stay.guest
        assert tensor() is None
    finally:
        gc.enable()


def test_what_waits_for_a_tensor_is_bounded() -> None:
    guest = Guest(Commons(quota=1 << 16), lambda reply, buffers: None)
    guest.run([Claim(1, "key", "bob", b"1" * 8, False)], [])
    guest.run([Drop((2,))], [b"x" * (1 << 15)])
    with pytest.raises(LimitExceeded, match="that wait here for a tensor"):
        guest.run([Drop((2,))], [b"x" * (1 << 15)])
