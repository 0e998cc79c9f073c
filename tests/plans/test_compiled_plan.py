from __future__ import annotations

import torch

from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.plans.plan import Output
from tests.plans.listing import op, plan

WITH_METRIC = plan(
    op("Tensor.sum", 3, 1, 1),
    op("Tensor.sum", 4, 1, 2),
    outputs=(Output("loss", 3), Output("metric", 4)),
)


def test_the_first_output_alone_is_the_same_without_the_others() -> None:
    compiled = CompiledPlan(WITH_METRIC)
    given = (2, torch.ones(2), torch.ones(2, 2))
    assert [each.item() for each in compiled.first_output(*given)] == [compiled.step(*given)[0].item()]


def test_what_gives_the_first_output_alone_is_compiled_once() -> None:
    compiled = CompiledPlan(WITH_METRIC)
    assert compiled.first_output is compiled.first_output
