from __future__ import annotations

import copy
import itertools
import math
import random
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.plan import Plan, from_bytes
from fedzmq.pointers.verbs import install
from fedzmq.recording.training_plan import training_plan
from tests.recording.recorded import MODULES, Made, Recorded

X = torch.ones(4, 6)
Y = torch.tensor([0, 1, 2, 0])


def half_twice(x: Tensor) -> Tensor:
    return 2 * (x / 2)


class Does(nn.Module):
    """A linear layer, and then what a test wants it to do."""

    def __init__(self, then: Callable[[Tensor], Tensor], part: nn.Module | None = None) -> None:
        super().__init__()
        self.part = nn.Linear(6, 3) if part is None else part
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self.part(x))


def branches_on_a_value(x: Tensor) -> Tensor:
    return x * 2 if x.sum() > 0 else x


def takes_an_item(x: Tensor) -> Tensor:
    return x / x.max().item()


def asks_numpy(x: Tensor) -> Tensor:
    return x + float(x.detach().numpy().sum())


def branches_on_the_rows(x: Tensor) -> Tensor:
    return x.relu() if len(x) > 8 else x.tanh()


def does_more_for_more_rows(x: Tensor) -> Tensor:
    for _ in range(len(x)):
        x = x * 0.5
    return x


def does_more_from_a_hundred_rows_on(x: Tensor) -> Tensor:
    return x.tanh() if len(x) > 100 else x


def thins_out_the_rows_from_a_hundred_on(x: Tensor) -> Tensor:
    return x * (2 if len(x) > 100 else 1)


def flips_by_chance(x: Tensor) -> Tensor:
    return x.flip(1) if random.random() < 1e-9 else x


def scales_by_numpys_chance(x: Tensor) -> Tensor:
    return x * float(numpy.random.rand() < 1e-9)


def calls_what_jit_compiled(x: Tensor) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled = torch.jit.script(half_twice)
    return compiled(x)


def adds_numpys_noise(x: Tensor) -> Tensor:
    return x + torch.from_numpy(numpy.random.rand(3).astype("float32"))


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return 2 * gradients[0]


class Tripled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 3 * x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return 3 * gradients[0]


def tripled(x: Tensor) -> Tensor:
    return Tripled.apply(x)


def writes_in_a_function_of_its_own(x: Tensor) -> Tensor:
    return Doubled.apply(x)


def counts_classes_by_value(x: Tensor) -> Tensor:
    return x + nn.functional.one_hot(x.argmax(1))


def counts_its_rows(x: Tensor) -> Tensor:
    return x + torch.tensor(math.sin(len(x)))


def goes_backward(x: Tensor) -> Tensor:
    x.sum().backward()
    return x


def plan_of(name: str) -> Plan:
    made = MODULES[name]()
    return from_bytes(training_plan(made.module, made.loss, made.features, made.targets))


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (branches_on_a_value, "which needs a value"),
        (takes_an_item, "which needs a value"),
        (asks_numpy, "which needs a value"),
        (branches_on_the_rows, "Tensor.tanh and Tensor.relu"),
        (does_more_for_more_rows, "for 7 and 11 examples"),
        (does_more_from_a_hundred_rows_on, "for 7 and 101 examples"),
        (thins_out_the_rows_from_a_hundred_on, "1 and 2 for 7 and 101 examples"),
        (adds_numpys_noise, "the model draws from numpy's random at"),
        (flips_by_chance, "the model draws from Python's random at"),
        (scales_by_numpys_chance, "the model draws from numpy's random at"),
        (calls_what_jit_compiled, "call the "),
        (writes_in_a_function_of_its_own, "give new tensors instead of mark_dirty"),
        (counts_classes_by_value, "such as the number of classes of one_hot"),
        (counts_its_rows, "is one that depends on the number of examples"),
        (goes_backward, "take the gradient with torch.autograd.grad"),
    ],
)
def test_what_a_list_of_operations_cannot_say_is_refused_at_the_users_line(
    then: Callable[[Tensor], Tensor], reason: str
) -> None:
    first = then.__code__.co_firstlineno
    lines = range(first - 12, first + 5)

    with pytest.raises(PlanError) as caught:
        training_plan(Does(then), cross_entropy, X, Y)

    assert reason in str(caught.value)
    if then is not does_more_for_more_rows:
        assert any(f"{Path(__file__).name}:{line}" in str(caught.value) for line in lines)


class Counts(nn.Module):
    """Does something else from its fourth batch on."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.batches = 0

    def forward(self, x: Tensor) -> Tensor:
        self.batches += 1
        x = self.linear(x)
        return 2 * x if self.batches > 3 else x


def test_what_depends_on_a_number_that_the_module_counts_is_refused_with_its_line() -> None:
    line = Counts.forward.__code__.co_firstlineno + 3
    with pytest.raises(PlanError, match=rf"test_training_plan.py:{line} depends on its attribute 'part.batches'"):
        training_plan(Does(lambda x: x, Counts()), cross_entropy, X, Y)


class CountsAndFails(nn.Module):
    batches = 0

    def forward(self, x: Tensor) -> Tensor:
        self.batches += 1
        raise KeyError("mask") if self.batches < 100 else ValueError("rest")


def test_a_module_that_cannot_be_recorded_at_all_says_so_whatever_it_counts() -> None:
    module = CountsAndFails()
    module.batches = 0
    with pytest.raises(KeyError, match="mask"):
        training_plan(module, cross_entropy, X, Y)


class CountsElsewhere(nn.Module):
    """As `Counts`, in what is no number of its own."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 3)
        self.how = how
        self.seen: list[int] = []
        self.numbers = {"batches": 0}
        self.tensor = torch.zeros(())
        self.later: int | None = None
        self.iterator = itertools.count(1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return 2 * x if self.batches() > 12 else x

    def batches(self) -> float:
        if self.how == "list":
            self.seen.append(1)
            return len(self.seen)
        if self.how == "map":
            self.numbers["batches"] += 1
            return self.numbers["batches"]
        if self.how == "tensor":
            self.tensor += 1
            return float(self.tensor)
        if self.how == "later":
            self.later = (self.later or 0) + 1
            return self.later
        return next(self.iterator)


@pytest.mark.parametrize("how", ["list", "map", "tensor", "later", "iterator"])
def test_what_changes_after_some_batches_is_refused_however_they_are_counted(how: str) -> None:
    module = CountsElsewhere(how)

    with pytest.raises(PlanError, match=r"what the model does at .*: keep what counts in a buffer"):
        training_plan(module, cross_entropy, X, Y)

    assert not module.seen
    assert module.numbers == {"batches": 0}
    assert module.tensor == 0


def test_an_input_may_be_said_to_require_a_gradient_that_nobody_takes() -> None:
    module = Does(lambda x: x, nn.Linear(6, 3))
    module.register_forward_pre_hook(lambda module, inputs: (inputs[0].requires_grad_(),))

    more = from_bytes(training_plan(module, cross_entropy, X, Y)).records
    assert len(more) == 1 + len(from_bytes(training_plan(Does(lambda x: x), cross_entropy, X, Y)).records)


def test_a_number_that_only_counts_is_no_obstacle() -> None:
    module = Counts()
    module.register_forward_pre_hook(lambda module, inputs: setattr(module, "batches", -1_000_000_000))

    training_plan(module, cross_entropy, X, Y)

    assert module.batches == 0


@pytest.mark.parametrize("register", [nn.Module.register_full_backward_hook, nn.Module.register_full_backward_pre_hook])
def test_a_module_with_a_backward_hook_is_refused(register: Any) -> None:
    module = nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 3))
    register(module[1], lambda *given: None)

    with pytest.raises(PlanError, match="the part '1' of the model has a backward hook"):
        training_plan(module, cross_entropy, X, Y)


def test_a_parameter_with_a_hook_for_after_its_gradient_is_refused() -> None:
    module = nn.Linear(6, 3)
    module.weight.register_post_accumulate_grad_hook(lambda parameter: None)

    with pytest.raises(PlanError, match="the parameter 'weight' has a hook that is called once it has its gradient"):
        training_plan(module, cross_entropy, X, Y)


def hooks_late(x: Tensor) -> Tensor:
    y = x * 2
    x.register_hook(lambda gradient: gradient * 2)
    return x + y


def hooks_for_a_while(x: Tensor) -> Tensor:
    x.register_hook(lambda gradient: gradient * 2).remove()
    return x


def keeps_its_gradient(x: Tensor) -> Tensor:
    x.retain_grad()
    return x


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        (hooks_late, "register it where the tensor is made"),
        (hooks_for_a_while, "a hook on a gradient that is removed again"),
        (keeps_its_gradient, "take the gradient with torch.autograd.grad"),
    ],
)
def test_a_hook_that_a_plan_cannot_call_is_refused(then: Callable[[Tensor], Tensor], reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        training_plan(Does(then), cross_entropy, X, Y)


def test_a_mask_of_the_models_own_may_be_spread_over_the_examples() -> None:
    def masked(x: Tensor) -> Tensor:
        mask = (torch.arange(3) % 2 == 0).view(1, 1, 3).expand(2, len(x), -1)
        return torch.where(mask, x, 0.0)[1]

    made = Made(Does(masked), torch.randn(4, 6), Y)
    (loss, *_) = Recorded(made).outputs()
    torch.testing.assert_close(loss, cross_entropy(made.module(made.features), Y))


def test_a_tensor_of_the_models_own_takes_what_comes_of_the_inputs() -> None:
    def counted(x: Tensor) -> Tensor:
        return x + torch.ones(3).new_zeros(3).index_add_(0, x.argmax(1), x[:, 0])

    made = Made(Does(counted), torch.randn(4, 6), Y)
    (loss, *_) = Recorded(made).outputs()
    torch.testing.assert_close(loss, cross_entropy(made.module(made.features), Y))


def test_what_a_model_keeps_and_draws_into_is_none_of_a_recordings_own() -> None:
    kept = torch.zeros(3)

    def noisy(x: Tensor) -> Tensor:
        before = x + kept
        kept.normal_()
        return before

    with pytest.raises(PlanError, match="the model draws from torch's own random numbers"):
        training_plan(Does(noisy), cross_entropy, X, Y)


def test_a_model_that_looks_at_values_unless_it_is_exported_is_recorded_as_exported() -> None:
    def masked(x: Tensor) -> Tensor:
        mask = x > 0
        return x if not torch.compiler.is_exporting() and mask.all() else torch.where(mask, x, x * 0.5)

    made = Made(Does(masked), torch.randn(4, 6), Y)
    (loss, *_) = Recorded(made).outputs()
    torch.testing.assert_close(loss, cross_entropy(made.module(made.features), Y))
    assert not torch.compiler.is_compiling()


LARGE = 37


@pytest.mark.parametrize(
    "then",
    [
        lambda x: x * 2 if len(x) == 37 else x,
        lambda x: x * 2 if x.size(0) != LARGE else x,
        lambda x, large=37: x * 2 if x.shape[0] in (5, large) else x,
        lambda x: x * 2 if len(x) < 4 else x,
        lambda x: x * (2 if x[x[:, 0] > 0].shape[0] == 37 else 1),
        lambda x: x * 2 if (x[:, 0] > 0).nonzero().shape[0] == 3 else x,
    ],
)
def test_what_is_done_for_one_number_of_examples_alone_is_refused(then: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(PlanError, match=r"\d examples|masks that choose all and ones that choose \d"):
        training_plan(Does(then), cross_entropy, X, Y)


@dataclass
class Settings:
    sizes: Sequence[int]

    @property
    def first(self) -> int:
        return self.sizes[0]


@pytest.mark.parametrize(
    ("window", "is_reached"),
    [
        (29, lambda window, rows: rows == window),
        ([29, 31], lambda window, rows: rows in window),
        (Settings([29]), lambda window, rows: rows in window.sizes),
        (Settings([29]), lambda window, rows: rows == window.first),
        ({"sizes": {29}}, lambda window, rows: rows in window["sizes"]),
    ],
)
def test_the_number_may_be_held_by_an_attribute_of_the_model(window: Any, is_reached: Callable[..., bool]) -> None:
    class Windowed(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * (2 if is_reached(self.window, len(x)) else 1)

    module = Windowed(6, 3)
    module.window = window
    with pytest.raises(PlanError, match=r"Tensor.mul at .* 7 and 29 examples"):
        training_plan(module, cross_entropy, X, Y)


def test_a_module_without_shapes_is_refused() -> None:
    with pytest.raises(PlanError, match="'weight' has no shape yet: call the module once"):
        training_plan(nn.LazyLinear(3), cross_entropy, X, Y)


def test_an_autograd_function_is_recorded_alike_beside_pointers() -> None:
    before = training_plan(Does(tripled), cross_entropy, X, Y)
    install()

    assert training_plan(Does(tripled), cross_entropy, X, Y) == before


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (
            lambda x, y: cross_entropy(x, y, reduction="none"),
            r"the loss has the shape \(7,\), and one number is needed",
        ),
        (lambda x, y: 0.5, "the loss is of type float, and a tensor was expected"),
        (lambda x, y: torch.tensor(0.5), "does not depend on its inputs"),
    ],
)
def test_a_loss_that_is_not_one_number_is_refused(loss: Callable[[Tensor, Tensor], Tensor], reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        training_plan(nn.Linear(6, 3), loss, X, Y)


@pytest.mark.parametrize("name", MODULES)
def test_recording_leaves_the_module_as_it_was(name: str) -> None:
    made = MODULES[name]()
    before = copy.deepcopy(made.module.state_dict())
    tensors = [id(each) for each in (*made.module.parameters(), *made.module.buffers())]

    training_plan(made.module, made.loss, made.features, made.targets)

    assert tensors == [id(each) for each in (*made.module.parameters(), *made.module.buffers())]
    assert all(torch.equal(value, before[key]) for key, value in made.module.state_dict().items())
    assert all(each.grad is None for each in made.module.parameters())


def test_recording_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()

    plan_of("dropout")

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", MODULES)
def test_one_model_gives_one_plan_whatever_its_values_and_the_rows(name: str) -> None:
    one, other = MODULES[name](), MODULES[name]()
    for parameter in other.module.parameters():
        parameter.data.add_(1.0)

    plans = {
        training_plan(one.module, one.loss, one.features, one.targets),
        training_plan(other.module, other.loss, other.features[:2], other.targets[:2]),
    }

    assert len(plans) == 1


def test_a_plan_is_recorded_with_its_gradients_even_where_there_are_to_be_none() -> None:
    made = MODULES["mlp"]()
    usual = training_plan(made.module, made.loss, made.features, made.targets)

    with torch.no_grad():
        assert training_plan(made.module, made.loss, made.features, made.targets) == usual


def test_the_slots_are_the_parameters_and_then_the_buffers() -> None:
    plan = plan_of("batch norm")

    assert [slot.name for slot in plan.parameters][:2] == ["0.weight", "0.bias"]
    assert [slot.name for slot in plan.buffers][:3] == ["0.running_mean", "0.running_var", "0.num_batches_tracked"]


def test_a_frozen_parameter_is_not_trained() -> None:
    assert [slot.trained for slot in plan_of("frozen").parameters] == [False, True, True, True]


def test_a_weight_of_two_layers_is_one_parameter() -> None:
    assert [slot.name for slot in plan_of("tied").parameters if "weight" in slot.name] == [
        "first.weight",
        "last.weight",
    ]


@pytest.mark.parametrize("name", ["cnn", "batch norm"])
def test_the_statistics_of_batch_norm_change_as_in_the_module(name: str) -> None:
    made = MODULES[name]()
    recorded = Recorded(made)

    for _ in range(3):
        made.module(made.features)
        recorded.outputs()

    torch.testing.assert_close(recorded.buffers, list(made.module.buffers()))


def test_statistics_stay_where_the_module_evaluates() -> None:
    made = MODULES["cnn"]()
    made.module.eval()
    recorded = Recorded(made)
    before = copy.deepcopy(recorded.buffers)

    recorded.outputs()

    torch.testing.assert_close(recorded.buffers, before)


def test_dropout_follows_from_the_seed() -> None:
    recorded = Recorded(MODULES["dropout"]())

    with torch.random.fork_rng(devices=[]):
        losses = [float(recorded.outputs()[0].detach()) for seed in (1, 1, 2) if torch.manual_seed(seed)]

    assert losses[0] == losses[1] != losses[2]


def test_a_module_that_evaluates_has_no_dropout_in_its_plan() -> None:
    made = MODULES["dropout"]()
    made.module.eval()
    plan = Recorded(made).compiled.plan

    assert "nn.functional.dropout" not in {CATALOG.name(record[0]) for record in plan.records}


def test_where_targets_are_classes_the_right_guesses_are_counted() -> None:
    made = MODULES["linear"]()
    _, right = Recorded(made).outputs()

    assert right == (made.module(made.features).argmax(1) == made.targets).sum()


@pytest.mark.parametrize(
    "made",
    [
        MODULES["regression"](),
        Made(nn.Linear(6, 2), X, torch.ones(4, 2, dtype=torch.int64), lambda x, y: mse_loss(x, y.float())),
    ],
)
def test_where_targets_are_not_classes_the_loss_is_all(made: Made) -> None:
    assert [output.name for output in Recorded(made).compiled.plan.outputs] == ["loss"]


def test_an_equal_tensor_of_the_programs_own_is_one_constant() -> None:
    assert len(plan_of("own tensors").constants) == 2


def test_a_tensor_as_large_as_the_batch_is_made_anew_where_it_holds_one_value() -> None:
    names = [CATALOG.name(record[0]) for record in plan_of("own tensors").records]

    assert names.count("torch.full") == 1


def test_what_the_module_raises_itself_comes_out() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        training_plan(nn.Linear(5, 3), cross_entropy, X, Y)


def test_a_module_of_torch_jit_is_refused() -> None:
    with pytest.warns(DeprecationWarning, match="torch.jit.trace"):
        compiled = torch.jit.trace(nn.Linear(6, 3), X)

    with pytest.raises(PlanError, match=r"a module that torch\.jit compiled cannot be recorded"):
        training_plan(compiled, cross_entropy, X, Y)


def test_a_loss_sees_the_parameters_of_the_model() -> None:
    model = nn.Linear(6, 3)
    made = Made(model, X, Y, lambda x, y: cross_entropy(x, y) + model.weight.abs().sum())

    assert float(Recorded(made).outputs()[0].detach()) == pytest.approx(float(made.loss(model(X), Y).detach()))


def test_what_a_module_kept_in_a_map_is_gone_afterwards() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(6, 3)
            self.kept: dict[str, Tensor] = {}

        def forward(self, x: Tensor) -> Tensor:
            self.kept["h"] = self.linear(x)
            return self.kept["h"]

    model = Keeps()
    training_plan(model, cross_entropy, X, Y)

    assert model.kept == {}
