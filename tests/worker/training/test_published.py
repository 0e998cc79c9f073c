from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from fedzmq.errors import PlanError
from fedzmq.session.chunk import Chunk, cut, digest
from fedzmq.session.reception import PATIENCE, Reception
from fedzmq.tensors.buffers import export_all
from fedzmq.testing.faulty import ManualClock
from fedzmq.wire.messages import Cancel, TensorSpec
from fedzmq.worker.training.published import Published
from tests.recording.recorded import MODULES, Recorded
from tests.worker.training.trained import TASK

RECORDED = Recorded(MODULES["cnn"]())
STATE = [*RECORDED.parameters, *RECORDED.buffers]
WHOLE = b"".join(export_all(STATE)[1])
NAME = digest([WHOLE])
BY_NAME = replace(TASK, model=NAME.hex())
WITH_STATE = replace(BY_NAME, state=(TensorSpec("float32", (1,), 0),))


@pytest.fixture
def reception() -> Reception:
    return Reception()


def hear(reception: Reception, whole: bytes = WHOLE, name: bytes = NAME) -> None:
    for number, piece in enumerate(cut([whole], 1000)):
        reception.accept(Chunk(name, len(whole), 1000 * number, 1000 * number, piece), 0.0)


def test_a_state_that_was_heard_is_what_was_published(reception: Reception) -> None:
    hear(reception)
    state = Published(reception).state(BY_NAME, RECORDED.compiled.plan, ())
    assert state is not None
    assert [each.dtype for each in state] == [each.dtype for each in STATE]
    assert all(map(torch.equal, state, STATE))


def test_a_state_that_came_along_needs_nothing_to_be_heard(reception: Reception) -> None:
    published = Published(reception)
    assert published.ready([WITH_STATE]) == 1
    state = published.state(WITH_STATE, RECORDED.compiled.plan, [torch.tensor([2.5]).numpy().tobytes()])
    assert state is not None
    assert state[0].tolist() == [2.5]


def test_a_training_waits_for_its_state_and_what_comes_before_it_does_not(reception: Reception) -> None:
    published = Published(reception)
    assert published.ready([Cancel(1), BY_NAME, Cancel(2)]) == 1
    hear(reception)
    assert published.ready([Cancel(1), BY_NAME, Cancel(2)]) == 3


def test_a_state_that_does_not_come_is_not_waited_for(reception: Reception) -> None:
    clock = ManualClock()
    published = Published(reception, clock=clock)
    assert published.ready([BY_NAME]) == 0
    clock.advance(PATIENCE + 0.1)
    assert published.ready([BY_NAME]) == 1
    assert published.state(BY_NAME, RECORDED.compiled.plan, ()) is None


def test_a_cancelled_training_waits_for_nothing(reception: Reception) -> None:
    published = Published(reception, lambda request: request == BY_NAME.request)
    assert published.ready([BY_NAME]) == 1


def test_a_whole_that_is_not_the_plans_state_is_refused(reception: Reception) -> None:
    hear(reception, WHOLE[:-4], digest([WHOLE[:-4]]))
    task = replace(TASK, model=digest([WHOLE[:-4]]).hex())
    with pytest.raises(PlanError, match=f"{len(WHOLE)} bytes"):
        Published(reception).state(task, RECORDED.compiled.plan, ())


@pytest.mark.parametrize("name", ["no hexadecimal", "abc", "00"])
def test_a_name_of_another_form_is_that_of_nothing(reception: Reception, name: str) -> None:
    hear(reception)
    assert Published(reception).state(replace(TASK, model=name), RECORDED.compiled.plan, ()) is None
