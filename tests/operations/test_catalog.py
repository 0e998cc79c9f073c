from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import torch
from torch import nn

from fedzmq.errors import OperationRefused
from fedzmq.operations.catalog import CATALOG, TABLES, Catalog
from fedzmq.operations.effects import RANDOM
from fedzmq.operations.guards.table import GUARDS
from fedzmq.operations.listed.differentiation import leaf, linked

# What gives away memory or values, writes past its operand, runs code, or touches files and other processes.
DENIED = re.compile(
    r"(^|\.)(new_)?empty|as_strided|\.(set_|resize|item$|tolist|numpy|__array|data_ptr|storage|untyped|apply_$|map_|map2_)"
    r"|register|hook|pickle|reduce_ex|setstate|dlpack|cuda|pin_memory|share_memory|record_stream|\.type$|load|save|jit"
    r"|quantiz|mkldnn|cudnn|miopen|fbgemm|_backward|backward$|lobpcg|lengths|convolution"
    r"|segment_reduce|unsafe_|index_put_impl|embedding_renorm|__bool__|__int__|__float__|__index__|__len__|allclose|\.equal$"
    r"|sparse|is_nonzero|from_file|compile|vmap|\.data$|requires_grad|retain_grad|deepcopy"
)


def test_no_name_is_in_two_tables() -> None:
    assert len(CATALOG) == sum(len(table) for table in TABLES)


def test_no_function_has_two_names() -> None:
    assert len(set(CATALOG.functions)) == len(CATALOG)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: next(iter(table)))
def test_every_name_is_the_place_of_its_function(table: dict[str, Any]) -> None:
    for name, function in table.items():
        if function in (leaf, linked):
            continue  # those that are not torch's
        place: Any = torch
        for part in name.removeprefix("torch.").removesuffix(".get").split("."):
            place = (
                vars(torch._C.TensorBase)[part] if name.endswith(".get") and part != "Tensor" else getattr(place, part)
            )
        assert function == (place.__get__ if name.endswith(".get") else place), name
        assert callable(function)


def test_nothing_denied_is_listed() -> None:
    assert [name for name in CATALOG.names if DENIED.search(name)] == []


def test_a_private_function_is_listed_only_where_a_public_one_or_an_optimizer_or_a_module_needs_it() -> None:
    private = [name for name in CATALOG.names if re.search(r"\._(?!_)", name)]
    needed = (
        "torch._foreach_",
        "torch._fused_sgd_",
        "torch._fused_ada",
        "torch._grouped_mm",
        "torch._weight_norm",
        "torch._pack_padded_",
        "torch._pad_packed_",
        "torch._dirichlet_grad",  # torch.distributions
        "torch._sample_dirichlet",
        "torch._standard_gamma",
    )
    assert [name for name in private if not name.startswith(needed)] == []


def test_numbers_go_both_ways() -> None:
    for number, function in enumerate(CATALOG.functions):
        assert CATALOG.number(function) == number
        assert CATALOG.function(number) is function
        assert CATALOG.number_of(CATALOG.name(number)) == number


@pytest.mark.parametrize("number", [-1, len(CATALOG)])
def test_a_number_outside_the_list_is_refused(number: int) -> None:
    with pytest.raises(OperationRefused):
        CATALOG.function(number)
    with pytest.raises(OperationRefused):
        CATALOG.name(number)


@pytest.mark.parametrize("function", [torch.save, torch.Tensor.numpy, torch.as_strided, len, lambda: None])
def test_a_function_outside_the_list_is_refused_by_name(function: Any) -> None:
    with pytest.raises(OperationRefused, match=re.escape(function.__name__)):
        CATALOG.number(function)
    assert function not in CATALOG


def test_memory_that_was_not_written_is_served_as_zeros() -> None:
    assert CATALOG.name(CATALOG.number(torch.empty_like)) == "torch.zeros_like"
    assert CATALOG.name(CATALOG.number(torch.Tensor.new_empty)) == "Tensor.new_zeros"


def test_two_lists_have_one_digest_only_if_they_are_equal() -> None:
    one = Catalog({"torch.add": torch.add, "torch.sub": torch.sub})
    assert one.digest() == Catalog({"torch.sub": torch.sub, "torch.add": torch.add}).digest()
    assert one.digest() != Catalog({"torch.add": torch.add}).digest()


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        ("torch.add", ()),
        ("Tensor.add_", (0,)),
        ("Tensor.__iadd__", (0,)),
        ("Tensor.__invert__", ()),
        ("Tensor.__setitem__", (0,)),
        ("Tensor.__getitem__", ()),
        ("torch._foreach_add_", (0,)),
        ("torch._fused_adam_", (0, 2, 3, 4)),
        ("nn.init.zeros_", (0,)),
    ],
)
def test_what_an_operation_writes_to_is_known(name: str, positions: tuple[int, ...]) -> None:
    number = CATALOG.number_of(name)
    assert CATALOG.writes[number] == positions
    assert CATALOG.in_place(number) == bool(positions)


def test_a_normalisation_writes_its_statistics_in_training_only() -> None:
    number = CATALOG.number_of("nn.functional.batch_norm")
    assert CATALOG.writes_now(number, [1, 2, 3, 4, 5, True], {}) == (1, 2)
    assert CATALOG.writes_now(number, [1, 2, 3, 4, 5, False], {}) == ()
    assert CATALOG.writes_now(number, [1, 2, 3], {"training": True}) == (1, 2)


def test_an_operation_with_inplace_writes_its_first_argument() -> None:
    assert CATALOG.writes_now(CATALOG.number_of("nn.functional.relu"), [1], {"inplace": True}) == (0,)


def test_every_effect_and_guard_belongs_to_a_listed_operation() -> None:
    assert set(CATALOG.names) >= RANDOM
    assert set(CATALOG.names) >= GUARDS.keys()


def test_every_listed_operation_that_takes_out_by_position_has_a_guard() -> None:
    for name, function in zip(CATALOG.names, CATALOG.functions, strict=True):
        try:
            parameters = inspect.signature(function).parameters.values()
        except (ValueError, TypeError):
            continue  # a builtin: those take it by keyword only
        if any(each.name == "out" and each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters):
            assert name in GUARDS


class Recorded(torch.Tensor):
    """Notes every function of torch that reaches it and that the catalog does not hold."""

    unknown: set[str] = set()

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function not in CATALOG and not function.__name__.startswith("__"):
            cls.unknown.add(function.__name__)
        return super().__torch_function__(function, types, args, kwargs or {})


def recorded(*shape: int) -> torch.Tensor:
    return torch.rand(*shape).as_subclass(Recorded)


def unknown_after(action: Any) -> set[str]:
    Recorded.unknown = set()
    action()
    # Answered without an operation: what the client knows of a pointer, and commands of their own.
    return Recorded.unknown - {
        "size", "dim", "numel", "is_floating_point", "is_complex", "requires_grad_", "backward", "is_contiguous",
    }  # fmt: skip


OPTIMIZER_CALLS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "Adam": {"amsgrad": True, "weight_decay": 0.1},
    "AdamW": {},
    "RMSprop": {"momentum": 0.9, "centered": True},
    "Adagrad": {},
    "Adadelta": {},
    "Adamax": {},
    "NAdam": {},
    "RAdam": {},
    "ASGD": {},
    "Rprop": {},
}


FORMS = [
    (name, form)
    for name in OPTIMIZER_CALLS
    for form in ("single", "foreach", "fused")
    if form != "fused" or name in ("SGD", "Adam", "AdamW", "Adagrad")
]


@pytest.mark.parametrize(("name", "form"), FORMS)
def test_what_an_optimizer_calls_is_listed(name: str, form: str) -> None:
    weights = [nn.Parameter(recorded(3, 3)), nn.Parameter(recorded(3))]
    forms = {"foreach": form == "foreach"} if form != "fused" else {"fused": True}
    optimizer = getattr(torch.optim, name)(weights, **OPTIMIZER_CALLS[name], **forms)

    def steps() -> None:
        for _ in range(6):
            optimizer.zero_grad()
            (weights[0].sum() * weights[1].sum()).backward()
            optimizer.step()

    assert unknown_after(steps) == set()


MODULES: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Linear(4, 4), (2, 4)),
    (nn.Conv2d(2, 2, 3), (2, 2, 8, 8)),
    (nn.ConvTranspose2d(2, 2, 3), (2, 2, 8, 8)),
    (nn.BatchNorm2d(2), (2, 2, 4, 4)),
    (nn.InstanceNorm1d(2, track_running_stats=True), (2, 2, 4)),
    (nn.LayerNorm(4), (2, 4)),
    (nn.GroupNorm(2, 4), (2, 4, 3)),
    (nn.MaxPool1d(2), (2, 2, 8)),
    (nn.MaxPool2d(2, return_indices=True), (2, 2, 8, 8)),
    (nn.AdaptiveAvgPool2d(2), (2, 2, 8, 8)),
    (nn.Dropout2d(), (2, 2, 4, 4)),
    (nn.LSTM(4, 3, 2, bidirectional=True, dropout=0.1), (5, 2, 4)),
    (nn.GRU(4, 3), (5, 2, 4)),
    (nn.RNN(4, 3, batch_first=True), (5, 2, 4)),
    (nn.LSTMCell(4, 3), (2, 4)),
    (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), (2, 3, 8)),
    (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 1, 4, 4)),
    (nn.PixelShuffle(2), (1, 4, 2, 2)),
    (nn.Sequential(nn.SiLU(), nn.Mish(True), nn.Hardswish(), nn.ELU(inplace=True), nn.PReLU(), nn.Softmax(1)), (2, 4)),
]


@pytest.mark.parametrize(("module", "shape"), MODULES, ids=lambda value: type(value).__name__)
def test_what_a_module_calls_is_listed(module: nn.Module, shape: tuple[int, ...]) -> None:
    for part in module.modules():
        for name, weight in list(part._parameters.items()):
            if weight is not None:
                part._parameters[name] = nn.Parameter(weight.detach().as_subclass(Recorded))
        if isinstance(part, nn.RNNBase):
            part._init_flat_weights()
    assert unknown_after(lambda: module(recorded(*shape))) == set()


def test_what_losses_and_clipping_call_is_listed() -> None:
    weights = [nn.Parameter(recorded(3, 4))]
    targets = torch.tensor([1, 2, 0])

    def losses() -> None:
        nn.CrossEntropyLoss()(weights[0], targets).backward()
        nn.MSELoss()(weights[0], recorded(3, 4))
        nn.BCEWithLogitsLoss()(weights[0], recorded(3, 4))
        nn.HuberLoss()(weights[0], recorded(3, 4))
        nn.KLDivLoss(reduction="batchmean")(weights[0], recorded(3, 4))
        nn.TripletMarginLoss()(weights[0], recorded(3, 4), recorded(3, 4))
        nn.utils.clip_grad_norm_(weights, 1.0)
        nn.utils.clip_grad_value_(weights, 1.0)

    assert unknown_after(losses) == set()


def test_what_operators_call_is_listed() -> None:
    x = recorded(4, 4)

    def operators() -> None:
        _ = (2 + x, 2 - x, 2 / x, 2**x, x // 2, 2 // x, x % 2, -x, abs(x), x @ x, x < 1, x != x, ~(x > 0), x.T, x.real)
        y = x.clone()
        y += 1
        y *= 2
        y[0] = 1
        y[:, 1:] = x[:, 1:]
        _ = (y[y > 0], y[None, ..., 0], list(y), (x > 0) & (x < 1), x.int() << 1, 1 << x.int(), 1 >> x.int())

    assert unknown_after(operators) == set()
