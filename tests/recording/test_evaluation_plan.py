from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.compiled import compile_plan, constants
from fedzmq.plans.plan import from_bytes
from fedzmq.recording.evaluation_plan import EvaluationPlan, Measure, Sum, evaluation_plan
from tests.recording.recorded import MODULES, Made


def plan_of(made: Made, *measures: Measure) -> EvaluationPlan:
    return evaluation_plan(made.module, made.loss, made.inputs, made.targets, measures)


def sums(made: Made, *measures: Measure) -> dict[str, Tensor]:
    made_plan = plan_of(made, *measures)
    plan = from_bytes(made_plan.body)
    state = [each.detach() for each in (*made.module.parameters(), *made.module.buffers())]
    columns = (*made.inputs, made.targets)
    outputs = compile_plan(plan)(len(columns[0]), *state, *columns, *constants(plan))
    return dict(zip(made_plan.names, outputs, strict=True))


def right(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {"right": outputs.argmax(1) == targets}


def hits(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.argmax(1) == targets


def right_in_the_mean(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {"right": (outputs.argmax(1) == targets).float().mean()}


def guessed(outputs: Tensor, targets: Tensor) -> dict[str, Sum]:
    return {"guessed": Sum(nn.functional.one_hot(outputs.argmax(1), 3).sum(0))}


def branches(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {"right": outputs.mean() if outputs.sum() > 0 else outputs.sum()}


def test_the_loss_is_its_mean_over_the_batch_times_the_rows() -> None:
    made = MODULES["linear"]()
    expected = cross_entropy(made.module(made.features), made.targets) * len(made.features)

    torch.testing.assert_close(sums(made)["loss"], expected.detach())


@pytest.mark.parametrize("measure", [right, right_in_the_mean])
def test_a_mean_is_a_sum_whether_by_example_or_over_the_batch(measure: Measure) -> None:
    made = MODULES["linear"]()
    expected = (made.module(made.features).argmax(1) == made.targets).sum()

    assert float(sums(made, measure)["right"]) == pytest.approx(float(expected))


def test_a_total_is_what_it_is() -> None:
    made = MODULES["linear"]()
    plan = plan_of(made, right, guessed)

    assert (plan.totals, plan.groups) == ({"guessed"}, (("right",), ("guessed",)))
    assert int(sums(made, guessed)["guessed"].sum()) == len(made.features)


def test_what_is_given_without_a_name_is_called_as_the_function_is() -> None:
    plan = plan_of(MODULES["linear"](), hits, lambda x, y: Sum(x.sum()))

    assert (plan.groups, plan.totals) == ((("hits",), ("metric",)), {"metric"})


@pytest.mark.parametrize("name", ["dropout", "cnn"])
def test_it_is_recorded_in_evaluation_mode_and_the_module_stays_in_its_own(name: str) -> None:
    made = MODULES[name]()
    names = {CATALOG.name(record[0]) for record in from_bytes(plan_of(made).body).records}

    assert "nn.functional.dropout" not in names
    assert all(each.training for each in made.module.modules())


def test_statistics_stay_as_they_are() -> None:
    made = MODULES["cnn"]()
    before = [each.clone() for each in made.module.buffers()]

    sums(made)

    assert all(map(torch.equal, before, made.module.buffers()))


@pytest.mark.parametrize(
    ("measure", "reason"),
    [
        (branches, rf"which needs a value, at .*{Path(__file__).name}:\d+"),
        (lambda x, y: {"best": 0.5}, "'best' is of type float, and a tensor was expected, or a Sum of one"),
        (lambda x, y: None, "gives something of type NoneType; give a tensor"),
        (lambda x, y: {"loss": x.mean()}, "two metrics are called 'loss'"),
        (lambda x, y: {"each": x.mean(0)}, r"'each' has the shape \(3,\) for 7 examples; give one number, or one for"),
        (lambda x, y: {"all": Sum(x)}, r"'all' has the shape \(7, 3\) for 7 examples and \(11, 3\) for 11; sum it up"),
    ],
)
def test_a_measure_that_gives_no_number_is_refused_in_a_sentence(measure: Any, reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        plan_of(MODULES["linear"](), measure)
