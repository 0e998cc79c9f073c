"""Where each tensor is in what a function took or gave: in lists, tuples and maps, as text that can travel with a plan.

A tensor by itself has the path "[]"; the second of a tuple '[["tuple", 1]]'; one in a map '[["dict", "loss"]]'.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor

from fedzmq.errors import PlanError

_Step = tuple[str, Any]  # the kind of container, and the place in it
_Steps = tuple[_Step, ...]


def flatten(value: Any) -> tuple[list[str], list[Tensor]]:
    """Paths and tensors, in order. Raises PlanError for anything that is no tensor."""
    paths: list[str] = []
    tensors: list[Tensor] = []
    for steps, tensor in _leaves(value, ()):
        paths.append(json.dumps(steps))
        tensors.append(tensor)
    return paths, tensors


def assemble(paths: Sequence[str], tensors: Iterable[Any]) -> Any:
    """What `flatten` took apart, but for names of tuples. Raises PlanError for paths that are none of its."""
    try:
        steps = [tuple((str(kind), place) for kind, place in json.loads(path)) for path in paths]
        return _assembled(list(zip(steps, tensors, strict=True)))
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        raise PlanError(f"the outputs of the plan are called {list(paths)!r:.80}, which says no places") from error


def _leaves(value: Any, steps: _Steps) -> Iterator[tuple[_Steps, Tensor]]:
    if isinstance(value, Tensor):
        yield steps, value
    elif isinstance(value, tuple):
        for index, each in enumerate(value):
            yield from _leaves(each, (*steps, ("tuple", index)))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _leaves(each, (*steps, ("list", index)))
    elif isinstance(value, dict) and all(isinstance(key, str) for key in value):
        for key, each in value.items():
            yield from _leaves(each, (*steps, ("dict", key)))
    else:
        raise PlanError(f"a plan gives back tensors, in tuples, lists and maps, and {value!r:.60} is none")


def _assembled(leaves: Sequence[tuple[_Steps, Any]]) -> Any:
    if len(leaves) == 1 and not leaves[0][0]:
        return leaves[0][1]
    kind = leaves[0][0][0][0]
    items: dict[Any, list[tuple[_Steps, Any]]] = {}
    for steps, tensor in leaves:
        (own, place), *rest = steps
        if own != kind:
            raise ValueError(own)
        items.setdefault(place, []).append((tuple(rest), tensor))
    values = {place: _assembled(each) for place, each in items.items()}
    if kind == "dict":
        return values
    return {"tuple": tuple, "list": list}[kind](values.values())
