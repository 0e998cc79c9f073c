from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from fedzmq.data.data import Data
from fedzmq.errors import DataError, PlanError
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.plans.plan import from_bytes
from fedzmq.recording.evaluation_plan import Sum, evaluation_plan
from fedzmq.wire.messages import Evaluate, Local
from fedzmq.worker.cancellation import Cancelled
from fedzmq.worker.training.evaluate import Sums, evaluate
from fedzmq.worker.training.memory import Kept
from tests.recording.differentiating import DIFFERENTIATING
from tests.recording.recorded import MODULES, Made
from tests.worker.training.trained import data_of, state_of, take_back

TASK = Evaluate(1, "plan", "data", (), batch_size=4, seed=0, report_every=60.0)


def right(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {"right": outputs.argmax(1) == targets}


def evaluated(
    made: Made, *, kept: Kept | None = None, data: Data | None = None, measure: Any = right, **more: Any
) -> tuple[Sums, Sums | None]:
    calls = {"report": lambda *progress: None, "look": lambda: None}
    calls |= {name: more.pop(name) for name in calls if name in more}
    plan = from_bytes(evaluation_plan(made.module, made.loss, made.inputs, made.targets, [measure]).body)
    task = replace(TASK, **more)
    state, found = state_of(made.module), data_of(made) if data is None else data
    return evaluate(task, CompiledPlan(plan), state, found, kept=kept, **calls)


def plainly(made: Made, data: Data) -> list[float]:
    """The sums of the loss and of the right guesses, in evaluation mode."""
    made.module.eval()
    *inputs, targets = data.tensors
    with torch.no_grad():
        outputs = made.module(*inputs)
    made.module.train()
    return [float(made.loss(outputs, targets)) * len(data), float((outputs.argmax(1) == targets).sum())]


@pytest.mark.parametrize("name", ["linear", "cnn", "dropout", "lstm", "transformer"])
def test_the_sums_are_those_of_the_model_in_evaluation_mode(name: str) -> None:
    made = MODULES[name]()
    sums, own = evaluated(made)

    assert (sums.examples, own) == (18, None)
    assert [float(each) for each in sums.sums] == pytest.approx(plainly(made, data_of(made)), rel=1e-5)


def test_what_is_personal_takes_the_place_of_what_came() -> None:
    made = MODULES["mlp"]()
    kept = Kept(personal={"2.bias": torch.tensor([9.0, 0.0, 0.0])})
    sums, _ = evaluated(made, kept=kept, local=Local(personal=("2.bias",)))

    assert float(sums.sums[1]) == float((data_of(made).targets == 0).sum())


def test_a_model_of_the_workers_own_is_evaluated_beside_the_common_one() -> None:
    made = MODULES["linear"]()
    kept = Kept(model={"weight": torch.zeros(3, 6), "bias": torch.tensor([0.0, 9.0, 0.0])})
    common, own = evaluated(made, kept=kept, local=Local(ditto=0.1))

    assert float(common.sums[1]) == plainly(made, data_of(made))[1]
    assert own is not None
    assert float(own.sums[1]) == float((data_of(made).targets == 1).sum())


def test_a_limit_of_batches_leaves_the_rest_of_the_examples_out() -> None:
    made = MODULES["linear"]()
    sums, _ = evaluated(made, max_steps=2)

    assert sums.examples == 8
    assert float(sums.sums[1]) == plainly(made, data_of(made).rows(torch.arange(8)))[1]


def test_a_limit_of_seconds_lets_one_batch_be_evaluated() -> None:
    kept = Kept(model={"weight": torch.zeros(3, 6), "bias": torch.zeros(3)})
    common, own = evaluated(MODULES["linear"](), kept=kept, local=Local(ditto=0.1), max_seconds=0.0)

    assert own is not None
    assert (common.examples, own.examples) == (4, 4)


def test_a_model_that_takes_gradients_is_evaluated_by_them() -> None:
    made = DIFFERENTIATING["adapted"]()
    (found, _), data = evaluated(made), data_of(made)
    *inputs, targets = data.tensors

    expected = sum(
        made.loss(made.module(*[each[rows] for each in inputs]), targets[rows]).item() * len(targets[rows])
        for rows in (slice(start, start + 4) for start in range(0, len(targets), 4))
    )

    assert float(found.sums[0]) == pytest.approx(expected, 1e-4)
    assert not found.sums[0].requires_grad


def test_an_evaluation_that_is_taken_back_stops() -> None:
    with pytest.raises(Cancelled, match="took it back"):
        evaluated(MODULES["linear"](), look=take_back)


def test_progress_tells_step_steps_and_loss() -> None:
    heard: list[tuple[int, int, int, float]] = []
    evaluated(MODULES["linear"](), report=lambda *progress: heard.append(progress), report_every=0.0)

    assert [progress[:3] for progress in heard] == [(0, step, 5) for step in range(1, 6)]


def test_the_random_state_of_the_process_is_left_as_it_was() -> None:
    before = torch.get_rng_state()
    evaluated(MODULES["dropout"]())

    assert torch.equal(torch.get_rng_state(), before)


def test_sums_of_too_many_numbers_are_refused() -> None:
    def memory(outputs: Tensor, targets: Tensor) -> dict[str, Sum]:
        return {"all": Sum(outputs.sum().expand(1025, 1024))}

    with pytest.raises(PlanError, match=r"sums hold 1049601 numbers, and an evaluation gives at most 1048576"):
        evaluated(MODULES["linear"](), measure=memory)


def test_data_of_another_form_is_refused() -> None:
    with pytest.raises(DataError, match="and the model takes"):
        evaluated(MODULES["linear"](), data=Data("data", torch.ones(2, 5), torch.ones(2).long(), 3))
