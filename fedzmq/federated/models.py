"""The model that is trained: a built-in one by name, or the coordinator's own `module:function`.

Its code stays on this side. Workers get its numbers, and its training step as named operations.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

import torch
from torch import nn

from fedzmq.data.cast import cast
from fedzmq.data.data import first_rows
from fedzmq.data.examples import Examples
from fedzmq.data.own_code import names_a_function, one_line, own_function
from fedzmq.errors import ModelError
from fedzmq.federated.built_in_models import BUILT_IN, likeness
from fedzmq.recording.module_modes import evaluating
from fedzmq.suggestion import suggestion


def load_model(source: str, features: Sequence[int], classes: int | None, seed: int, outputs: int = 1) -> nn.Module:
    """A new model with parameters drawn from `seed`; the caller's own random state is left alone.

    features: the shape of one example. classes: how many, or None for a regression with `outputs` numbers per example.
    A function named by `module:function` takes nothing, or two arguments: the shape of one example, as a plain int
    where it has one dimension, and the number of classes (of outputs in a regression). Raises ModelError.
    """
    shape = tuple(features)
    width = classes if classes is not None else outputs
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed % 2**63)  # and no worker with it
        if source in BUILT_IN:
            return BUILT_IN[source](source, shape, width)
        if names_a_function(source):
            return _own_model(source, shape[0] if len(shape) == 1 else shape, width)
    hint = suggestion(source, BUILT_IN) or likeness(source)
    raise ModelError(source, f"expected a built-in model ({', '.join(BUILT_IN)}) or module:function{hint}")


def suited(data: Examples, model: nn.Module) -> Examples:
    """The examples as the model takes them: its inputs in the precision of its parameters, where all have one."""
    own = {each.dtype for each in model.parameters() if each.is_floating_point()}
    if len(own) != 1:
        return data
    *inputs, target = data.columns
    return cast(data, [*(list(own) * len(inputs)), target.dtype])


def check_model(source: str, model: nn.Module, data: Examples) -> None:
    """Raises ModelError unless the model takes these examples and answers in the form that their targets ask for.

    Runs it once on a few of them in evaluation mode, which changes nothing in it.
    """
    *inputs, targets = first_rows(data).tensors
    try:
        with evaluating(model), torch.no_grad():
            answer = model(*inputs)
    except Exception as error:
        what = "examples of shape " + ", ".join(f"{tuple(each.shape[1:])} and {each.dtype}" for each in inputs)
        raise ModelError(source, f"it does not take {what} of {data.name!r}: {one_line(error)}") from error
    if not isinstance(answer, torch.Tensor):
        raise ModelError(source, f"one tensor was expected, and it answers with {type(answer).__name__}")
    if data.classes is None:
        wanted, each = tuple(targets.shape), "one number per target"
    else:
        wanted, each = (len(targets), data.classes), "one number per class"
    if tuple(answer.shape) != wanted:
        found, few = tuple(answer.shape), len(targets)
        raise ModelError(source, f"for {few} examples it answers with shape {found}, and {wanted} is due: {each}")


def _own_model(source: str, features: int | tuple[int, ...], width: int) -> nn.Module:
    function = own_function(source, ModelError)
    arguments: tuple[object, ...] = (features, width)[: 2 * _takes_two(source, function)]
    try:
        model = function(*arguments)
    except Exception as error:
        raise ModelError(source, f"the function failed with {one_line(error)}") from error
    if not isinstance(model, nn.Module):
        raise ModelError(source, f"a torch.nn.Module was expected, and the function returned {model!r:.40}")
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelError(source, "it has no parameters that train")
    return model


def _takes_two(source: str, function: Callable[..., object]) -> bool:
    """Whether to call it with features and classes, or with nothing."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind in positional]
    if len(needed) in (0, 2):
        return bool(needed)
    raise ModelError(
        source, f"the function takes {', '.join(needed)}, and it must take nothing or two: features and classes"
    )
