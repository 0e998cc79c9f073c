from __future__ import annotations

from dataclasses import replace

import torch

from fedzmq.plans.check import check
from fedzmq.plans.compiled import compile_plan
from fedzmq.plans.first_output import for_first_output
from fedzmq.plans.plan import Lowered, Output, from_bytes
from fedzmq.recording.training_plan import training_plan
from tests.plans.listing import op, plan

LOSS_AND_METRIC = (Output("loss", 3), Output("metric", 5))


def test_what_only_the_metrics_need_is_left_out_and_the_loss_is_the_same() -> None:
    model = torch.nn.Linear(4, 3)
    features, targets = torch.randn(2, 4), torch.tensor([0, 2])
    body = training_plan(model, torch.nn.functional.cross_entropy, features[:1], targets[:1])
    whole = from_bytes(body)
    short = for_first_output(whole)
    check(short)
    assert len(short.records) < len(whole.records)
    given = (2, *model.parameters(), features, targets)
    (loss,) = compile_plan(short)(*given)
    assert torch.equal(loss, compile_plan(whole)(*given)[0])


def test_a_write_after_the_loss_stays_and_so_does_what_is_before_it() -> None:
    whole = plan(
        op("Tensor.sum", 3, 1, 1),
        op("Tensor.exp", 4, 1, 2),
        op("Tensor.mul_", 0, 3, 1, 4),
        op("Tensor.sum", 5, 1, 1),
        outputs=LOSS_AND_METRIC,
    )
    assert for_first_output(whole).records == tuple(whole.records[:3])


def test_a_draw_of_random_numbers_after_the_loss_stays() -> None:
    whole = plan(
        op("Tensor.sum", 3, 1, 1),
        op("torch.rand_like", 4, 1, 2),
        op("Tensor.sum", 5, 1, 4),
        outputs=LOSS_AND_METRIC,
    )
    assert for_first_output(whole).records == tuple(whole.records[:2])


def test_a_loss_that_is_a_parameter_needs_no_operation() -> None:
    whole = plan(op("Tensor.sum", 3, 1, 1), outputs=(Output("loss", 1), Output("metric", 3)))
    assert for_first_output(whole).records == ()


def test_what_is_left_out_is_not_lowered() -> None:
    whole = plan(
        op("Tensor.exp", 3, 1, 2), op("Tensor.sum", 4, 1, 1), op("Tensor.sum", 5, 1, 2), outputs=LOSS_AND_METRIC
    )

    first = for_first_output(replace(whole, lowered=(Lowered(0, 2, "bfloat16"), Lowered(2, 1, "bfloat16"))))

    assert first.lowered == (Lowered(0, 1, "bfloat16"),)
