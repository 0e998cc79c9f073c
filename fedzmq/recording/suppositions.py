"""How many elements a mask chooses, and other sizes that only values tell: supposed while a function is recorded.

Each recording supposes others, also none at all. A number that follows such a size is looked up when the plan runs, and
what a function does for one size and not for another cannot be in a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from fedzmq.pointers.signature import GETITEM

Mood: TypeAlias = Literal["all", "fewer", "fewest", "falling", "rising", "none"] | int
"""What is supposed: of those that a mask may choose, all, all but some, for each mask fewer than for the one before,
for each a few and more than for the one before, none, or just so many."""

_STEPS: dict[Mood, int] = {"all": 0, "fewer": 1, "fewest": 2}
Call = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A size that only values tell: that of a dimension of a tensor, and what was supposed for it."""

    id: int
    dimension: int
    size: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What decides a size, of which tensor: how many are true of it, how many differ, or what is the largest."""

    of: str
    tensor: Tensor
    least: int = 0


class Suppositions:
    """Those of one recording: equal choices are of one size."""

    def __init__(self, mood: Mood) -> None:
        self._mood = mood
        self._sizes: dict[Hashable, int] = {}
        self._last: int | None = None  # of sizes that fall or rise

    @property
    def is_bold(self) -> bool:
        """They suppose less than all, and more than none: sizes that a function which is right can have to do with."""
        return self._mood not in ("all", "none")

    def size(self, key: Hashable, choice: Choice) -> int:
        if key not in self._sizes:
            self._sizes[key] = self._new(choice)
        return self._sizes[key]

    def steps(self, key: Hashable, most: int) -> int:
        """Of packed sequences, which have one at least."""
        if key not in self._sizes:
            self._sizes[key] = self._steps(most)
        return self._sizes[key]

    def is_new(self, key: Hashable) -> bool:
        return key not in self._sizes

    def _steps(self, most: int) -> int:
        if isinstance(self._mood, int):
            return max(1, min(most, self._mood))
        if self._mood not in _STEPS:
            return 1 if self._mood == "none" else self._another(most)
        return max(1, most - _STEPS[self._mood])

    def _another(self, most: int) -> int:
        """Of sizes that fall or rise: from two, because much that a model does is not done to a single one, and from
        less than the other recordings have, so that a bound is not found in them.
        """
        if self._mood == "falling":
            self._last = max(1, most - most // 3 if self._last is None else min(most, self._last - 1))
        else:
            self._last = min(most, 2 if self._last is None else self._last + 1)
        return self._last

    def _new(self, choice: Choice) -> int:
        if choice.of == "largest" and choice.least:
            return choice.least + (self._mood == "none")
        if choice.of == "largest":
            return 5 + _STEPS.get(self._mood, 3)
        if self._mood == "none":
            return 0
        shape = choice.tensor.shape
        every = shape.numel()
        if isinstance(self._mood, int):
            return min(every, self._mood)
        if self._mood not in _STEPS:
            return self._another(every)
        step = shape[0] if len(shape) > 1 and every > shape[0] else 1  # one of each row, so that rows stay alike
        size = every - step * _STEPS[self._mood]
        return size if size > 0 else every


def choice_of(func: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Choice | None:
    """What decides how large the result of this call is; None where that is not supposed."""
    if func is GETITEM:
        masks = [each for each in _parts(args[1]) if _is_mask(each)]
        return Choice("true", masks[0]) if len(masks) == 1 else None
    if func in (torch.masked_select, Tensor.masked_select):
        value, mask = args[0], args[1] if len(args) > 1 else kwargs["mask"]
        return Choice("true" if value.shape == mask.shape else f"true of {tuple(value.shape)}", mask)
    if func in _NONZERO or (func in (torch.where, Tensor.where) and len(args) == 1 and not kwargs):
        return Choice("true", args[0])
    if func in (torch.unique, Tensor.unique):
        return Choice(f"differ along {kwargs.get('dim')}", args[0]) if len(args) == 1 else None
    if func in (torch.bincount, Tensor.bincount):
        return Choice("largest", args[0], kwargs.get("minlength", args[2] if len(args) > 2 else 0))
    return None


def stand_in(func: Call, size: int) -> Call:
    """What gives tensors like those of `func`, of this size."""

    def stand(*args: Any, **kwargs: Any) -> Any:
        if func is GETITEM:
            return args[0][_with_places(args[1], size)]
        value = args[0]
        places = torch.zeros(size, dtype=torch.long, device=value.device)
        if func in (torch.masked_select, Tensor.masked_select):
            mask = args[1] if len(args) > 1 else kwargs["mask"]
            return (value * torch.ones_like(mask, dtype=value.dtype)).reshape(-1)[places]
        if func in (torch.where, Tensor.where) or kwargs.get("as_tuple"):
            return tuple([places.clone() for _ in range(max(value.dim(), 1))])
        if func in _NONZERO:
            return places.new_zeros((size, value.dim()))
        if func in (torch.unique, Tensor.unique):
            return _unique(value, size, **kwargs)
        weights = args[1] if len(args) > 1 else kwargs.get("weights")
        whole = weights is None
        single = weights is not None and weights.dtype is torch.float32
        return places.to(torch.long if whole else torch.float32 if single else torch.float64)

    return stand


def _unique(
    value: Tensor,
    size: int,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    places = torch.zeros(size, dtype=torch.long, device=value.device)
    found = value.detach().reshape(-1)[places] if dim is None else value.detach().index_select(dim, places)
    inverse = value.new_zeros(value.shape if dim is None else value.shape[dim], dtype=torch.long)
    parts = [found, *[inverse] * return_inverse, *[places.clone()] * return_counts]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _parts(index: Any) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def _is_mask(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dtype in (torch.bool, torch.uint8)


def _with_places(index: Any, size: int) -> tuple[Any, ...]:
    found: list[Any] = []
    for each in _parts(index):
        if _is_mask(each):
            found += [torch.zeros(size, dtype=torch.long, device=each.device) for _ in range(each.dim())]
        else:
            found.append(each)
    return tuple(found)


_NONZERO = frozenset({torch.nonzero, Tensor.nonzero, torch.argwhere, Tensor.argwhere})
