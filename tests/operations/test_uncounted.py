"""Whatever operation of the catalog writes to a tensor, the tensor has a new version: backwards and privacy need it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.effects import writes
from fedzmq.operations.guards.guard import leaves
from fedzmq.operations.uncounted import counted

Sample = tuple[tuple[Any, ...], dict[str, Any]]

SGD = {"weight_decay": 0.1, "momentum": 0.9, "dampening": 0.0, "nesterov": False, "is_first_step": False}
ADAM = {"beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, "eps": 1e-8, "amsgrad": True}
STEP = {"lr": 0.1, "maximize": False}
SHAPES = ((9,), (1, 3, 3), (1, 1, 3, 3))
ONLY_SHAPES = frozenset(
    {
        *[f"Tensor.{name}_" for name in ("squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze", "detach")],
        "torch.detach_",
        "Tensor.conj_physical_",
        "torch.conj_physical_",
    }
)
"""They write no values."""


def plain() -> Tensor:
    return torch.tensor([[-1.7, 0.4, 2.3], [0.6, -0.3, 3.6], [1.2, 0.2, -4.5]])


def positive() -> Tensor:
    return torch.tensor([[0.17, 0.4, 0.23], [0.6, 0.3, 0.36], [0.12, 0.2, 0.45]])


def whole() -> Tensor:
    return torch.tensor([[5, 6, 7], [9, 10, 12], [3, 20, 0]])


def one() -> Tensor:
    return torch.tensor(0.3)


def many(count: int) -> list[list[Tensor]]:
    return [[positive(), positive()] for _ in range(count)]


def steps() -> list[Tensor]:
    return [torch.ones(()), torch.ones(())]


def general(*firsts: Callable[[], Tensor]) -> Iterator[Sample]:
    """Arguments that many operations take."""
    bits, where = plain() > 0, torch.tensor([1, 0, 2])
    for first in firsts:
        yield (first(),), {}
        for other in (2, 0.5, first() + 1, first() - 1, one(), bits):
            yield (first(), other), {}
        yield (first(), 0.1, 0.2), {}
        yield (first(), first() + 1, first() + 2), {}
        yield (first(), first() + 1, 0.3), {}
        yield (first(), 0, where, first() + 1), {}
        yield (first(), 0, where, 9), {}
        yield (first(), where, first()[0] + 1), {}
        yield (first(), bits, 9), {}
        yield (first(), bits, first() + 1), {}
        yield (first(), first()[0], first()[0]), {}
        yield (first(), 0), {}
        yield (first(), 2, 0, 1), {}
        yield (first(), 0.5, True), {}
    yield (plain(), plain()[None], plain()[None]), {}
    yield (plain()[None], plain()[None], plain()[None]), {}
    yield (plain(), 0, torch.zeros(3, 3, dtype=torch.int64), plain() + 1), {"reduce": "sum"}
    yield (plain(), 0, torch.tensor([1, 0, 2]), plain() + 1), {"reduce": "prod"}
    yield (plain(), 0, torch.zeros(3, 3, dtype=torch.int64), plain() + 1), {}
    yield (plain(), (torch.tensor([1]),), torch.tensor(9.0)), {}
    yield (plain() > 0, plain() > 1), {}
    yield (torch.zeros(3, 3),), {}
    for first in (plain, positive):
        for rest in ([], [2.0], [[first() + 1]], [[first() + 1], [first() + 2]], [[first() + 1], 0.5]):
            yield ([first()], *rest), {}


def particular() -> dict[str, list[Callable[[], Sample]]]:
    """Arguments of those that write under some alone, or that take what no other does."""
    third = [torch.tensor([0]), torch.tensor([[0]])]
    return {
        "nn.functional.batch_norm": [
            lambda: ((plain(), one().expand(3).clone(), positive()[0]), {"training": True}),
            lambda: ((plain(),), {"running_mean": positive()[0], "running_var": positive()[1], "training": True}),
        ],
        "torch.batch_norm": [lambda: ((plain(), None, None, positive()[0], positive()[1], True, 0.1, 1e-5, False), {})],
        "torch.native_batch_norm": [lambda: ((plain(), None, None, positive()[0], positive()[1], True, 0.1, 1e-5), {})],
        "nn.functional.instance_norm": [lambda: ((plain()[None], positive()[0], positive()[1]), {})],
        "torch.instance_norm": [
            lambda: ((plain()[None], None, None, positive()[0], positive()[1], True, 0.1, 1e-5, False), {})
        ],
        "nn.functional.embedding": [lambda: ((third[0], plain()), {"max_norm": 1.0})],
        "nn.functional.embedding_bag": [lambda: ((third[1], plain()), {"max_norm": 1.0})],
        "torch._fused_sgd_": [
            lambda: (tuple(many(3)), {**SGD, **STEP}),
            lambda: (tuple(many(3)), {**SGD, **STEP, "grad_scale": torch.tensor(4.0)}),
            lambda: ((many(1)[0],), {"grads": many(1)[0], "momentum_buffer_list": many(1)[0], **SGD, **STEP}),
        ],
        "torch._fused_adam_": [lambda: ((*many(5), steps()), {**ADAM, **STEP})],
        "torch._fused_adamw_": [lambda: ((*many(5), steps()), {**ADAM, **STEP})],
        "torch._fused_adagrad_": [
            lambda: ((*many(3), steps()), {"lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-8, **STEP})
        ],
        "Tensor.bernoulli_": [lambda: ((torch.full((3, 3), 7.0),), {})],
        "Tensor.mvlgamma_": [lambda: ((plain().abs() + 5, 2), {})],
        **{f"{home}.addmv_": [lambda: ((plain()[0], plain(), plain()[1]), {})] for home in ("Tensor", "torch")},
        "Tensor.float_power_": [lambda: ((plain().double(), 2), {})],
        **{f"{home}.nan_to_num_": [lambda: ((plain().log(), 9.0), {})] for home in ("Tensor", "torch")},
        "Tensor.put_": [lambda: ((plain(), torch.tensor([0, 99]), torch.tensor([7.0, 8.0])), {})],
        "Tensor.index_add_": [lambda: ((plain(), 0, torch.tensor([0, 99]), plain()[:2]), {})],
        "Tensor.masked_scatter_": [lambda: ((plain(), plain() < 9, torch.tensor([7.0, 8.0])), {})],
        "torch._foreach_add_": [lambda: (([plain(), plain()], [plain(), torch.ones(7)]), {})],
        "Tensor.renorm_": [lambda: ((plain(), 2, 0, 1.0), {})],
        "torch.threshold_": [lambda: ((plain(), 0.5, 9.0), {})],
        "torch.dropout_": [lambda: ((plain(), 0.5, True), {})],
    }


def run(number: int, sample: Sample) -> tuple[list[Tensor], list[Tensor]]:
    """The tensors that it changed, and those of them whose version is as before."""
    arguments, keywords = sample
    given = [each for each in leaves([arguments, keywords]) if isinstance(each, Tensor)]
    before = [(each.clone(), each._version) for each in given]
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            counted(CATALOG.name(number), CATALOG.function(number))(*arguments, **keywords)
    except Exception:
        pass
    changed = [
        (each, version)
        for each, (value, version) in zip(given, before, strict=True)
        if each.shape == value.shape
        and not torch.equal(each, value)
        and not torch.equal(each.nan_to_num(5), value.nan_to_num(5))
    ]
    return [each for each, _ in changed], [each for each, version in changed if each._version == version]


@pytest.fixture
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        yield


def samples(name: str) -> Iterator[Sample]:
    for make in particular().get(name, []):
        yield make()
    if writes(name):
        yield from general(plain, positive, whole, *[lambda shape=shape: plain().view(shape) for shape in SHAPES])
    else:
        yield from general(plain)


@pytest.mark.usefixtures("seeded")
def test_every_write_of_every_operation_is_counted() -> None:
    uncounted, unseen, unlisted = set(), set(), set()
    for number, name in enumerate(CATALOG.names):
        has_written = False
        for sample in samples(name):
            changed, silent = run(number, sample)
            has_written = has_written or bool(changed)
            if silent:
                uncounted.add(name)
            if changed and not CATALOG.writes_now(number, *sample):
                unlisted.add(name)
        if CATALOG.in_place(number) and not has_written and name not in ONLY_SHAPES:
            unseen.add(name)
    assert (uncounted, unseen, unlisted) == (set(), set(), set())


@pytest.mark.parametrize("name", sorted(particular()))
@pytest.mark.usefixtures("seeded")
def test_what_an_operation_says_that_it_writes_is_what_it_changes(name: str) -> None:
    number = CATALOG.number_of(name)
    for make in particular()[name]:
        arguments, keywords = make()
        said = [
            id(each)
            for position in CATALOG.writes_now(number, arguments, keywords)
            for each in leaves(arguments[position] if position < len(arguments) else keywords)
        ]
        changed, _ = run(number, (arguments, keywords))
        assert {id(each) for each in changed} <= {*said}


def test_two_forwards_of_a_normalisation_have_one_backward() -> None:
    normalise = counted("nn.functional.batch_norm", F.batch_norm)
    mean, variance, weight = torch.zeros(3), torch.ones(3), torch.ones(3, requires_grad=True)
    first, second = (normalise(plain() * i, mean, variance, weight, training=True).pow(3).sum() for i in (1, 2))
    (first + second).backward()
    assert weight.grad is not None
    assert mean._version == 2


def test_a_normalisation_in_evaluation_writes_nothing() -> None:
    normalise = counted("nn.functional.batch_norm", F.batch_norm)
    mean = torch.zeros(3)
    normalise(plain(), mean, torch.ones(3))
    assert mean._version == 0


def test_gradients_that_a_fused_optimizer_scales_are_written() -> None:
    number = CATALOG.number_of("torch._fused_sgd_")
    arguments, keywords = tuple(many(3)), {**SGD, **STEP, "grad_scale": torch.tensor(4.0)}
    assert CATALOG.writes_now(number, arguments, keywords) == (0, 2, 1)
    changed, _ = run(number, (arguments, keywords))
    assert any(each is arguments[1][0] for each in changed)
