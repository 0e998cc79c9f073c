from __future__ import annotations

from dataclasses import replace

from fedzmq.plans.plan import name_of
from fedzmq.recording.training_plan import training_plan
from fedzmq.tensors.buffers import export_all
from fedzmq.wire.messages import DefinePlan, Trained
from fedzmq.worker.commons import Commons
from fedzmq.worker.guest import Guest
from fedzmq.worker.plan_shelf import PlanShelf
from tests.plans.listing import op, plan
from tests.recording.recorded import MODULES
from tests.worker.training.trained import TASK, data_of, state_of

ONE, OTHER = (plan(op(name, 3, 1, 1)).to_bytes() for name in ("Tensor.sum", "Tensor.mean"))


def test_a_plan_that_comes_again_is_not_compiled_again() -> None:
    shelf = PlanShelf()
    first = shelf.get(shelf.add(ONE))
    assert first is not None
    assert shelf.get(shelf.add(ONE)) is first


def test_the_plan_that_was_used_least_makes_room() -> None:
    shelf = PlanShelf(most=1)
    one, other = shelf.add(ONE), shelf.add(OTHER)
    assert shelf.get(one) is None
    assert shelf.get(other) is not None


def test_a_training_of_several_epochs_leaves_the_plan_without_metrics_for_the_next_one() -> None:
    made, shelf = MODULES["linear"](), PlanShelf()
    guest = Guest(Commons({"data": data_of(made)}, plans=shelf), lambda reply, buffers: None)
    body = training_plan(made.module, made.loss, made.features, made.targets)
    guest.run([DefinePlan(body)], ())
    kept = shelf.get(name_of(body))
    steps = []
    for request in (1, 2):
        specs, buffers = export_all(state_of(made.module))
        (answer,) = guest.run([replace(TASK, request=request, plan=name_of(body), state=specs, epochs=2)], buffers)
        assert isinstance(answer.reply, Trained)
        steps.append(vars(kept)["first_output"])
    assert steps[0] is steps[1]
