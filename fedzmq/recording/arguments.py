"""What a plan takes: a name for every tensor among the arguments, and the form that it must have."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fedzmq.errors import PlanArgumentError, PlanError
from fedzmq.plans.plan import Plan as Recorded
from fedzmq.pointers.metadata import CONSTANT, LEAF, Kind, Meta, contiguous_stride, meta, sent_meta
from fedzmq.pointers.remote import Remote
from fedzmq.recording.function_plan import Argument
from fedzmq.tensors.dtypes import dtype_of

Extents = tuple[int, ...]
ANY = -1
_PLAIN = (bool, int, float, complex, str, type(None), torch.dtype)  # what a function may be given beside tensors


@dataclass(frozen=True, slots=True)
class Expected:
    """One tensor among the arguments. An extent of -1 is any; so is one of 1, as programs written for PySyft have it.

    Where it is `exact`, 1 is 1. Without a dtype any is taken, and float32 stands for it where one is needed.
    """

    place: str
    shape: Extents
    dtype: torch.dtype | None
    exact: bool = False

    def takes(self, tensor: torch.Tensor) -> str:
        """What is wrong with a tensor, empty where nothing is."""
        shape = tuple(tensor.shape)
        fits = len(shape) == len(self.shape) and all(
            wanted == extent or self._is_free(wanted) for wanted, extent in zip(self.shape, shape, strict=True)
        )
        if not fits:
            return f"has the shape {shape}, and {self._wanted} was expected"
        if self.dtype is not None and tensor.dtype is not self.dtype:
            return f"is of {tensor.dtype}, and {self.dtype} was expected"
        return ""

    @property
    def is_batch(self) -> bool:
        """Its first extent alone is declared free."""
        return self.shape[:1] == (ANY,) and ANY not in self.shape[1:]

    def argument(self) -> Argument:
        """A stand-in, with 1 for whatever is free."""
        shape = torch.Size([1 if extent == ANY else extent for extent in self.shape])
        of = meta(shape, self.dtype or torch.float32, contiguous_stride(shape), CONSTANT)
        return Argument(self.place, of, self.is_batch)

    @property
    def _wanted(self) -> str:
        shown = ", ".join("any" if self._is_free(extent) else str(extent) for extent in self.shape)
        return f"({shown}{',' if len(self.shape) == 1 else ''})"

    def _is_free(self, extent: int) -> bool:
        return extent == ANY or (extent == 1 and not self.exact)


class Signature:
    """Binds calls to a function's parameters, and names the tensors among them."""

    def __init__(self, plan: str, function: Callable[..., Any], *, without: int = 0) -> None:
        """The last `without` parameters are none of the caller's."""
        signature = signature_of(function)
        parameters = list(signature.parameters.values())
        self._plan = plan
        self._takes_values = True
        self._signature = signature.replace(parameters=parameters[: len(parameters) - without])

    @classmethod
    def of_names(cls, plan: str, names: Sequence[str]) -> Signature:
        """Of a function that is not here, of which only the names of its tensors are known."""
        positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
        made = Signature.__new__(cls)
        made._plan = plan
        made._takes_values = False  # those are in the recording
        places = dict.fromkeys(re.split(r"\W", name)[0] for name in names)
        made._signature = inspect.Signature([inspect.Parameter(place, positional) for place in places])
        return made

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[str], list[torch.Tensor], Any]:
        """Names, tensors, and the bound arguments. Raises PlanArgumentError for a call that the function would refuse,
        and for an argument that is neither a tensor nor a plain value."""
        try:
            bound = self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise PlanArgumentError(self._plan, "its arguments", f"do not fit {self}: {error}") from None
        names: list[str] = []
        tensors: list[torch.Tensor] = []
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            spread = kind is inspect.Parameter.VAR_POSITIONAL
            for place, each in _tensors(f"{name}", value, spread):
                if isinstance(each, torch.Tensor):
                    names.append(place)
                    tensors.append(each)
                elif not self._takes_values or not isinstance(each, _PLAIN):
                    also = " or a number" if self._takes_values else ""
                    reason = f"is of type {type(each).__name__}, and a tensor{also} was expected"
                    raise PlanArgumentError(self._plan, f"the argument {place}", reason)
        return names, tensors, bound

    def filled(self, bound: Any, tensors: Sequence[torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Arguments and keyword arguments with other tensors in the places of those bound."""
        rest = iter(tensors)
        other = inspect.BoundArguments(self._signature, type(bound.arguments)())
        for name, value in bound.arguments.items():
            other.arguments[name] = _filled(value, rest)
        return other.args, other.kwargs

    def named(self, count: int) -> list[str]:
        """The first parameters, for tensors that are declared without a call."""
        names = list(self._signature.parameters)
        kinds = [each.kind for each in self._signature.parameters.values()]
        if inspect.Parameter.VAR_POSITIONAL in kinds:
            place = kinds.index(inspect.Parameter.VAR_POSITIONAL)
            names = [*names[:place], *(f"{names[place]}{index}" for index in range(max(0, count - place)))]
        needed = [each for each in self._signature.parameters.values() if each.default is inspect.Parameter.empty]
        if not min(len(needed), len(names)) <= count <= len(names):
            raise PlanArgumentError(self._plan, "args_shape", f"has {count} shapes, and the function takes {self}")
        return names[:count]

    def __str__(self) -> str:
        return str(self._signature)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Raises PlanError where a function has none, as many that are written in C."""
    try:
        return inspect.signature(function)
    except ValueError:
        raise PlanError(
            f"{function!r:.60} does not tell its parameters, which a plan takes by their names: wrap it, as in "
            "lambda x: torch.relu(x)"
        ) from None


def expected_like(names: Sequence[str], tensors: Sequence[torch.Tensor]) -> tuple[Expected, ...]:
    """What looks as these do."""
    return tuple(Expected(name, tuple(each.shape), each.dtype) for name, each in zip(names, tensors, strict=True))


def expected_of(plan: str, names: Sequence[str], shapes: Sequence[Any]) -> tuple[Expected, ...]:
    """What has these shapes. Raises PlanArgumentError for a shape that no tensor has."""
    expected = []
    for name, shape in zip(names, shapes, strict=True):
        if not isinstance(shape, (tuple, list)) or not all(type(each) is int and each >= ANY for each in shape):
            reason = f"is {shape!r}, and a tuple of ints of 0 or more was expected, or -1 for any"
            raise PlanArgumentError(plan, f"the shape of {name} in args_shape", reason)
        expected.append(Expected(name, tuple(shape), None))
    return tuple(expected)


def expected_in(recorded: Recorded) -> tuple[Expected, ...]:
    """What a plan that was recorded elsewhere takes, in the order of its function's arguments.

    Raises PlanError where its slots do not tell the order.
    """
    numbered: dict[int, Expected] = {}
    for slot, batch in [(each, False) for each in recorded.parameters] + [(each, True) for each in recorded.columns]:
        number, _, place = slot.name.partition(" ")
        shape = (ANY, *slot.shape) if batch else slot.shape
        if not number.isdecimal():
            raise PlanError(f"the plan's {slot.name!r} does not tell which argument of a function it is")
        numbered[int(number)] = Expected(place, shape, dtype_of(slot.dtype), exact=True)
    if sorted(numbered) != list(range(len(recorded.parameters) + len(recorded.columns))):
        raise PlanError(f"the plan's arguments are numbered {sorted(numbered)}, which leaves some out")
    return tuple(numbered[number] for number in range(len(numbered)))


def check(
    plan: str,
    expected: Sequence[Expected],
    names: Sequence[str],
    tensors: Sequence[torch.Tensor],
    values: Sequence[tuple[str, type, Any]] = (),
) -> None:
    """Raises PlanArgumentError with the argument that is wrong. `values` are those that came and are no tensors."""
    places = {each.place for each in expected}
    for place, kind, _ in values:
        whole = place.partition("[")[0]
        if place in places:
            reason = f"is of type {kind.__name__}, and a tensor was expected"
            raise PlanArgumentError(plan, f"the argument {place}", reason)
        if whole in places:
            raise PlanArgumentError(plan, f"the argument {whole}", "is a list or a map, and a tensor was expected")
    if len(tensors) != len(expected):
        taken = ", ".join(each.place for each in expected) or "none"
        came = ", ".join(names) or "none"
        raise PlanArgumentError(
            plan, "its arguments", f"are {len(expected)} tensors ({taken}), and {len(tensors)} came ({came})"
        )
    for each, name, tensor in zip(expected, names, tensors, strict=True):
        wrong = each.takes(tensor) if each.place == name else f"came where {each.place} was expected"
        if wrong:
            raise PlanArgumentError(plan, f"the argument {name}", wrong)


def values_in(bound: Any) -> tuple[tuple[str, type, Hashable], ...]:
    """What a call was given beside tensors, and where: a plan is recorded for these very values."""
    found = [pair for name, value in bound.arguments.items() for pair in _tensors(name, value)] if bound else []
    return tuple([(place, type(each), each) for place, each in found if not isinstance(each, torch.Tensor)])


def meta_for(tensor: torch.Tensor) -> Meta:
    """Of a tensor of the state as the plan will see it on the worker: what requires grad is a leaf."""
    kind: Kind = LEAF if tensor.requires_grad else CONSTANT
    return tensor._ref.meta.of_kind(kind) if isinstance(tensor, Remote) else sent_meta(tensor, kind)


def _tensors(place: str, value: Any, spread: bool = False) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        for index, each in enumerate(value):
            yield from _tensors(f"{place}{index}" if spread else f"{place}[{index}]", each)
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _tensors(f"{place}[{key!r}]", each)
    else:
        yield place, value


def _filled(value: Any, tensors: Iterator[torch.Tensor]) -> Any:
    if isinstance(value, (list, tuple)):
        items = [_filled(each, tensors) for each in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, dict):
        return {key: _filled(each, tensors) for key, each in value.items()}
    return next(tensors) if isinstance(value, torch.Tensor) else value
