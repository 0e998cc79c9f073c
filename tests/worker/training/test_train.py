from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, optim

from fedzmq.data.batches import batches
from fedzmq.data.data import Data
from fedzmq.errors import DataError, FedzmqError, PlanError, UsageError
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.plans.plan import Constant
from fedzmq.wire.messages import Course, Local
from fedzmq.worker.cancellation import Cancelled
from fedzmq.worker.training.optimizers.table import OPTIMIZERS as KNOWN
from fedzmq.worker.training.optimizers.table import make_optimizer
from tests.plans.listing import X, op, plan
from tests.recording.recorded import MODULES, Recorded
from tests.worker.training.trained import (
    data_of,
    plainly_trained,
    run,
    state_of,
    state_that_came,
    take_back,
    trained,
)

OPTIMIZERS: dict[str, tuple[str, dict[str, Any], Callable[[Any], optim.Optimizer]]] = {
    "sgd": ("sgd", {"lr": 0.1}, lambda p: optim.SGD(p, 0.1)),
    "weight decay": ("sgd", {"lr": 0.1, "weight_decay": 0.1}, lambda p: optim.SGD(p, 0.1, weight_decay=0.1)),
    "momentum": (
        "sgd",
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.2},
        lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.2),
    ),
    "nesterov": (
        "sgd",
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01, "nesterov": True},
        lambda p: optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    ),
    "adam": ("adam", {"lr": 0.01, "beta1": 0.8}, lambda p: optim.Adam(p, 0.01, betas=(0.8, 0.999))),
    "amsgrad": (
        "adam",
        {"amsgrad": True, "weight_decay": 0.1},
        lambda p: optim.Adam(p, amsgrad=True, weight_decay=0.1),
    ),
    "adamw": ("adamw", {"lr": 0.01}, lambda p: optim.AdamW(p, 0.01)),
    "rmsprop": (
        "rmsprop",
        {"lr": 0.01, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
        lambda p: optim.RMSprop(p, 0.01, momentum=0.5, centered=True, weight_decay=0.1),
    ),
    "plain rmsprop": ("rmsprop", {"alpha": 0.9}, lambda p: optim.RMSprop(p, alpha=0.9)),
    "adagrad": (
        "adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "initial": 0.5},
        lambda p: optim.Adagrad(p, 0.1, lr_decay=0.1, initial_accumulator_value=0.5),
    ),
    "adadelta": ("adadelta", {"lr": 0.5, "rho": 0.8}, lambda p: optim.Adadelta(p, 0.5, rho=0.8)),
    "adamax": ("adamax", {"lr": 0.01}, lambda p: optim.Adamax(p, 0.01)),
    "nadam": (
        "nadam",
        {"lr": 0.01, "weight_decay": 0.1, "decoupled": True},
        lambda p: optim.NAdam(p, 0.01, weight_decay=0.1, decoupled_weight_decay=True),
    ),
    "radam": ("radam", {"lr": 0.01}, lambda p: optim.RAdam(p, 0.01)),
}


def close(actual: list[Tensor], expected: list[Tensor]) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODULES)
def test_a_plan_trains_as_a_plain_loop_does(name: str) -> None:
    made = MODULES[name]()
    expected = plainly_trained(made, lambda p: optim.SGD(p, 0.1), data_of(made))

    close(trained(made).state, state_of(expected))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("module", ["cnn", "idle"])
def test_an_optimizer_steps_as_torchs_own_does(name: str, module: str) -> None:
    optimizer, options, make = OPTIMIZERS[name]
    made = MODULES[module]()
    expected = plainly_trained(made, make, data_of(made))

    close(trained(made, optimizer=optimizer, options=options).state, state_of(expected))


@pytest.mark.parametrize("rows", [4, 8, 12])
def test_every_single_step_is_that_of_the_plain_loop(rows: int) -> None:
    made = MODULES["cnn"]()
    data = data_of(made).rows(torch.arange(rows))
    expected = plainly_trained(made, lambda p: optim.SGD(p, 0.1), data, epochs=1)

    close(run(Recorded(made), data, epochs=1).state, state_of(expected))


def test_a_counter_of_batches_stays_an_integer() -> None:
    counters = [each for each in trained(MODULES["cnn"]()).state if each.dtype is torch.int64]

    assert [int(each) for each in counters] == [10, 10]  # 18 rows, by 4, twice


def test_a_frozen_parameter_stays_as_it_was() -> None:
    made = MODULES["frozen"]()

    assert torch.equal(trained(made).state[0], next(made.module.parameters()))


def test_a_model_with_nothing_to_train_still_has_its_statistics_updated() -> None:
    made = MODULES["cnn"]()
    made.module.requires_grad_(False)
    state = trained(made).state

    assert [torch.equal(new, old) for new, old in zip(state, state_of(made.module), strict=True)].count(False) == 6


def test_the_state_that_came_is_trained_where_it_lies() -> None:
    recorded = Recorded(MODULES["cnn"]())
    came = state_that_came(recorded)

    outcome = run(recorded, data_of(recorded.made), state=came)

    assert [each.data_ptr() for each in outcome.state] == [each.data_ptr() for each in came]


def test_what_is_personal_is_kept_in_memory_of_its_own() -> None:
    recorded = Recorded(MODULES["mlp"]())
    came = state_that_came(recorded)

    kept = run(recorded, data_of(recorded.made), state=came, local=Local(personal=("2.bias",))).kept.personal

    assert kept["2.bias"].data_ptr() != came[3].data_ptr()


def test_a_state_in_another_memory_order_trains_alike() -> None:
    recorded = Recorded(MODULES["mlp"]())
    turned = [each.t().contiguous().t() for each in state_that_came(recorded)]

    close(run(recorded, data_of(recorded.made), state=turned).state, trained(recorded.made).state)


def test_the_loss_is_the_mean_over_the_examples_of_the_last_epoch() -> None:
    made = MODULES["linear"]()
    outcome = trained(made, options={"lr": 0.0})
    data = data_of(made)

    assert outcome.loss == pytest.approx(float(made.loss(made.module(data.features), data.targets).detach()))


def test_the_accuracy_is_the_share_of_the_right_guesses_of_the_last_epoch() -> None:
    made = MODULES["linear"]()
    outcome = trained(made, options={"lr": 0.0})
    data = data_of(made)

    right = (made.module(data.features).argmax(1) == data.targets).float().mean()
    assert outcome.metrics == {"accuracy": pytest.approx(float(right))}


def test_without_an_epoch_the_state_is_the_same_and_the_loss_is_nan() -> None:
    made = MODULES["mlp"]()
    outcome = trained(made, epochs=0)

    close(outcome.state, state_of(made.module))
    assert outcome.loss != outcome.loss


def test_the_same_seed_gives_the_same_bits() -> None:
    one, other = (trained(MODULES["dropout"](), seed=3).state for _ in range(2))

    assert all(map(torch.equal, one, other))


def test_another_seed_gives_another_model() -> None:
    one, other = (trained(MODULES["dropout"](), seed=seed).state for seed in (3, -4))

    assert not torch.equal(one[0], other[0])


def test_the_random_state_of_the_process_is_left_as_it_was() -> None:
    before = torch.get_rng_state()

    trained(MODULES["dropout"]())

    assert torch.equal(torch.get_rng_state(), before)


def test_the_random_state_of_the_process_survives_a_failure() -> None:
    before = torch.get_rng_state()

    with pytest.raises(Cancelled):
        run(Recorded(MODULES["dropout"]()), data_of(MODULES["dropout"]()), look=take_back)

    assert torch.equal(torch.get_rng_state(), before)


def test_the_modes_of_the_caller_do_not_reach_the_training() -> None:
    made = MODULES["lstm"]()
    expected = trained(made).state

    recorded = Recorded(made)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        state = run(recorded, data_of(made)).state

    assert all(map(torch.equal, state, expected))


def test_a_task_does_not_see_what_another_wrote_into_a_constant() -> None:
    recorded = Recorded(MODULES["linear"]())
    writing = plan(
        op("Tensor.add_", 0, 0b1, 4, 1.0),
        op("torch.mul", 5, 0b11, 4, 1),
        op("torch.sum", 6, 0b1, 5),
        columns=(X, X),
        constants=(Constant("float32", (2,), torch.ones(2).numpy().tobytes()),),
    )
    recorded.compiled = CompiledPlan(writing)
    data = Data("data", torch.ones(2, 2), torch.ones(2, 2), None)

    one, other = (run(recorded, data, state=[torch.ones(2)]).loss for _ in range(2))

    assert one == other


def test_a_task_that_is_taken_back_in_the_middle_stops() -> None:
    looks: list[None] = []

    def look() -> None:
        looks.append(None)
        if len(looks) > 3:
            take_back()

    recorded = Recorded(MODULES["linear"]())
    with pytest.raises(Cancelled, match="took it back"):
        run(recorded, data_of(recorded.made), look=look)

    assert len(looks) == 4


def test_every_optimizer_is_measured_against_torchs_own() -> None:
    assert {name for name, _, _ in OPTIMIZERS.values()} == set(KNOWN)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_numbers_of_any_precision_are_stepped(name: str, dtype: torch.dtype) -> None:
    optimizer, options, make = OPTIMIZERS[name]
    generator = torch.Generator().manual_seed(1)
    start, *gradients = (torch.randn(77, generator=generator).to(dtype) for _ in range(4))  # more than a register holds
    own, torchs = start.clone(), start.clone().requires_grad_()
    stepper, reference = make_optimizer(optimizer, [own], options), make([torchs])
    for gradient in gradients:
        stepper.step([gradient])
        torchs.grad = gradient.clone()
        reference.step()

    torch.testing.assert_close(own, torchs.detach(), rtol=0.02, atol=0.02)
    assert not torch.equal(own, start)


def test_a_schedule_goes_on_from_step_to_step_through_all_epochs() -> None:
    made = MODULES["mlp"]()
    expected = plainly_trained(
        made,
        lambda p: optim.SGD(p, 0.1),
        data_of(made),
        schedule=lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 10),  # 18 rows by 4, twice
    )

    close(trained(made, course=Course(schedule="cosine")).state, state_of(expected))


def test_the_rate_of_a_round_multiplies_that_of_a_step() -> None:
    made = MODULES["mlp"]()
    course = Course(0.5, "step", {"step_size": 2, "gamma": 0.5})
    expected = plainly_trained(
        made,
        lambda p: optim.SGD(p, 0.05),
        data_of(made),
        schedule=lambda o: optim.lr_scheduler.StepLR(o, 2, 0.5),
    )

    close(trained(made, course=course).state, state_of(expected))


def test_gradients_are_clipped_before_each_step() -> None:
    made = MODULES["mlp"]()
    expected = plainly_trained(
        made, lambda p: optim.SGD(p, 0.1), data_of(made), clip=lambda p: nn.utils.clip_grad_norm_(p, 0.1)
    )

    close(trained(made, course=Course(clip_norm=0.1)).state, state_of(expected))


def test_a_limit_of_steps_ends_the_training_in_the_middle() -> None:
    made = MODULES["mlp"]()
    expected = plainly_trained(made, lambda p: optim.SGD(p, 0.1), data_of(made), steps=3)
    outcome = trained(made, course=Course(max_steps=3))

    assert outcome.steps == 3
    close(outcome.state, state_of(expected))


def test_an_update_counts_as_the_examples_that_it_came_to() -> None:
    made = MODULES["mlp"]()  # 18 rows, by 4

    assert [trained(made, course=Course(max_steps=steps)).examples for steps in (1, 3, 5, 6, 99)] == [4, 12, 18, 18, 18]


def test_the_loss_of_an_epoch_that_was_cut_short_is_the_mean_over_what_was_done_of_it() -> None:
    made = MODULES["linear"]()
    data = data_of(made)
    index = next(batches(len(data), 4, 1, 5))
    outcome = trained(made, options={"lr": 0.0}, course=Course(max_steps=6))

    expected = made.loss(made.module(data.features[index]), data.targets[index])
    assert outcome.loss == pytest.approx(float(expected.detach()))


def test_a_limit_of_seconds_lets_one_step_be_done() -> None:
    assert trained(MODULES["mlp"](), course=Course(max_seconds=0.0)).steps == 1


def test_training_does_not_import_torchs_compiler() -> None:
    names = ", ".join(repr(name) for name in KNOWN)
    code = f"""
import sys, torch
from fedzmq.worker.training.optimizers.table import make_optimizer
weight = torch.ones(2)
for name in [{names}]:
    make_optimizer(name, [weight], {{}}).step([weight.clone()])
assert 'torch._dynamo' not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_progress_tells_epoch_step_steps_and_loss() -> None:
    heard: list[tuple[int, int, int, float]] = []
    recorded = Recorded(MODULES["linear"]())

    run(recorded, data_of(recorded.made), report=lambda *progress: heard.append(progress), report_every=0.0)

    assert [progress[:3] for progress in heard] == [(epoch, step, 5) for epoch in range(2) for step in range(1, 6)]


@pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        ({"state": []}, PlanError, "the plan takes 2 tensors of state, and 0 came"),
        (
            {"state": [torch.ones(3, 5), torch.ones(3)]},
            PlanError,
            r"'weight' is float32\[3, 6\] in the plan, and float32\[3, 5\] came",
        ),
        (
            {"state": [torch.ones(3, 6), torch.ones(3, dtype=torch.float64)]},
            PlanError,
            r"'bias' is float32\[3\] in the plan, and float64\[3\] came",
        ),
        (
            {"data": Data("wine", torch.ones(4, 5), torch.ones(4).long(), 3)},
            DataError,
            r"'wine': the features of an example are float32\[5\], and the model takes float32\[6\]",
        ),
        (
            {"data": Data("wine", torch.ones(4, 6), torch.ones(4, 1), None)},
            DataError,
            r"the targets of an example are float32\[1\], and the model takes int64\[\]",
        ),
        ({"data": Data("wine", torch.ones(0, 6), torch.ones(0).long(), 3)}, DataError, "it has no examples here"),
        ({"optimizer": "adm"}, UsageError, r"no optimizer 'adm' \(known: .*adam, adamax, .*\); did you mean 'adam'\?"),
        ({"optimizer": "zeus"}, UsageError, r"no optimizer 'zeus' \(known: .*, sgd\)$"),
        (
            {"options": {"momentun": 0.9}},
            UsageError,
            r"'sgd' has no option 'momentun' \(known: dampening, lr, .*\); did you mean 'momentum'\?",
        ),
        ({"options": {"lr": -0.1}}, UsageError, "'lr' of an optimizer is -0.1, and it cannot be negative"),
        (
            {"optimizer": "adam", "options": {"beta2": 1.0}},
            UsageError,
            "'beta2' of an optimizer is 1, and it must be below 1",
        ),
        ({"options": {"nesterov": True}}, UsageError, "'nesterov' needs a 'momentum' above 0"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_a_sentence(
    change: dict[str, Any], error: type[FedzmqError], reason: str
) -> None:
    recorded = Recorded(MODULES["linear"]())
    task = {"data": data_of(recorded.made), **change}

    with pytest.raises(error, match=reason):
        run(recorded, **task)


def test_a_plan_of_other_columns_is_refused() -> None:
    recorded = Recorded(MODULES["linear"]())
    recorded.compiled = CompiledPlan(plan(op("torch.sum", 3, 0b1, 1)))

    with pytest.raises(PlanError, match="the plan takes 1 columns of data, and an example has features and targets"):
        run(recorded, data_of(recorded.made), state=[torch.ones(2)])


@settings(max_examples=60)
@given(st.integers(1, 200), st.integers(1, 50), st.integers(0, 5), st.integers(-(1 << 63), (1 << 63) - 1))
def test_the_batches_of_an_epoch_hold_every_row_once(rows: int, size: int, epoch: int, seed: int) -> None:
    order = torch.cat(list(batches(rows, size, epoch, seed)))

    assert sorted(order.tolist()) == list(range(rows))


@pytest.mark.parametrize(
    ("rows", "size", "sizes"),
    [(8, 4, [4, 4]), (9, 4, [4, 5]), (10, 4, [4, 4, 2]), (3, 4, [3]), (1, 4, [1]), (3, 1, [1, 1, 1]), (5, 5, [5])],
)
def test_a_single_row_that_is_left_over_joins_the_last_batch(rows: int, size: int, sizes: list[int]) -> None:
    assert [len(batch) for batch in batches(rows, size, 0, 0)] == sizes


def test_every_epoch_has_an_order_of_its_own() -> None:
    first, second = (torch.cat(list(batches(50, 8, epoch, 1))) for epoch in (0, 1))

    assert not torch.equal(first, second)


def test_a_parameter_without_a_gradient_is_not_decayed() -> None:
    made = MODULES["idle"]()
    state = trained(made, options={"lr": 0.1, "weight_decay": 0.5, "momentum": 0.5}).state

    assert torch.equal(state[0], torch.ones(3))


def test_batch_norm_takes_a_single_row_that_is_left_over() -> None:
    made = MODULES["batch norm"]()
    assert any(isinstance(each, nn.BatchNorm1d) for each in made.module.modules())

    trained(made, batch_size=17)
