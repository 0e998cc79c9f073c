from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.overrides import get_overridable_functions
from torch.testing import assert_close

from fedzmq.errors import NeedsValueError, OperationRefused
from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.listed.inplace_functions import INPLACE_FUNCTIONS
from fedzmq.pointers.decomposed import DECOMPOSED
from fedzmq.pointers.pointer import SPECIAL
from fedzmq.pointers.refusals import name_of, why
from tests.pointers.loopback import Place

# Of the numbers of a traced graph, a context manager, and a division of Python 2 that calls another method.
NO_OPERATION = {"_sym_sqrt", "sym_sqrt", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not", "sym_sum"}
NO_OPERATION |= {"autocast", "__div__"}


def doubled(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def test_every_function_that_reaches_a_pointer_works_or_says_why_not() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        functions = {each for group in get_overridable_functions().values() for each in group if not _is_a_verb(each)}
    served = {each for each in functions if each in CATALOG or each in SPECIAL or each in DECOMPOSED}
    silent = {name_of(each) for each in functions - served if not why(each)}
    assert {name.rpartition(".")[2] for name in silent} <= NO_OPERATION


def _is_a_verb(function: object) -> bool:
    """Tensors have them once a hook was made in this process."""
    accessor = getattr(function, "__self__", None)
    function = accessor.fget if isinstance(accessor, property) else function
    return getattr(function, "__module__", None) is not None and str(function.__module__).startswith("fedzmq")


def test_every_function_in_place_does_what_its_method_does(bob: Place) -> None:
    for name, function in INPLACE_FUNCTIONS.items():
        method = getattr(torch.Tensor, name.removeprefix("torch."), None)
        if method is None:
            continue  # dropout of torch alone
        for more in ((), (torch.ones(2),), (torch.ones(2), torch.ones(2)), (0.5, 2.0)):
            here = torch.tensor([0.25, 0.75])
            try:
                method(here, *more)
            except (TypeError, RuntimeError):
                continue  # of other arguments, or of integers
            there = torch.tensor([0.25, 0.75]).send(bob)
            assert (
                function(there, *[each.send(bob) if isinstance(each, torch.Tensor) else each for each in more]) is there
            )
            assert_close(there.get(), here, equal_nan=True)


@pytest.mark.parametrize(
    "call",
    [
        torch.arange,
        lambda p: torch.full((2,), p),
        torch.eye,
        torch.ones,
        lambda p: torch.rand(p, 2),
        lambda p: torch.randint(0, p, (3,)),
    ],
)
def test_a_number_that_is_elsewhere_shapes_nothing_here(bob: Place, call: object) -> None:
    with pytest.raises(NeedsValueError, match="get"):
        call(torch.tensor(3).send(bob))


def test_the_dtype_of_a_gradient_is_told(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    assert p.grad_dtype is torch.float32
    with pytest.raises(RuntimeError, match="leaf"):
        _ = (p * 2).grad_dtype


def test_a_module_that_swaps_its_parameters_loads_over_there(bob: Place) -> None:
    saved, module = nn.Linear(2, 2), nn.Linear(2, 2)
    module.send(bob)
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        module.load_state_dict(saved.state_dict())
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    assert torch.equal(module.get().weight, saved.weight)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_trace_is_refused_and_leaves_nothing_behind(bob: Place) -> None:
    p = torch.ones(3, 17).send(bob)
    with pytest.raises(OperationRefused, match="TorchScript is code"):
        torch.jit.trace(lambda t: torch.acosh(t) * 3, (p,))
    assert all(type(extent) is int for extent in torch.acosh(p).shape)
    assert repr(torch.acosh(p)).startswith("Pointer(3x17 float32 on bob")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize("scripted", [lambda: torch.jit.script(nn.Identity()), lambda: torch.jit.script(doubled)])
def test_what_is_scripted_says_what_to_call_instead(bob: Place, scripted: Callable[[], Callable[..., object]]) -> None:
    with pytest.raises(OperationRefused, match="call the module or function that it is made of"):
        scripted()(torch.ones(2).send(bob))


def test_a_module_takes_the_dtype_of_a_pointer(bob: Place) -> None:
    p = torch.ones(1, dtype=torch.float64).send(bob)
    assert nn.Linear(2, 2).to(p).weight.dtype is torch.float64
    assert nn.Linear(2, 2).send(bob).to(p).weight.dtype is torch.float64
