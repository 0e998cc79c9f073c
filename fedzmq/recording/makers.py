"""Tensors that a recorded function makes out of nothing, such as a column of zeros or noise.

One that is the same for every batch is a constant of the plan. What is drawn by chance has to be drawn anew in every
step, and what depends on the size of the batch be made for each: those are made on the tape, as operations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import ref

import torch
from torch.overrides import TorchFunctionMode

from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.creation import create
from fedzmq.pointers.metadata import LEAF
from fedzmq.pointers.nesting import leaves, mapped
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.putting import put
from fedzmq.pointers.stream import Stream

_DRAW = frozenset({torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal})
_MAKE = _DRAW | {
    torch.arange,
    torch.empty,
    torch.eye,
    torch.full,
    torch.linspace,
    torch.logspace,
    torch.ones,
    torch.tril_indices,
    torch.triu_indices,
    torch.zeros,
}

_REQUIRE = frozenset({torch.Tensor.requires_grad_, torch.Tensor.requires_grad.__set__})  # type: ignore[attr-defined]  # a property

Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Makers(TorchFunctionMode):
    """Watches the calls that make tensors, and sends those with these numbers, or all, to the tape."""

    def __init__(self, chosen: Collection[int] = (), everything: bool = False) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._chosen = chosen
        self._everything = everything
        self._tape: Stream | None = None
        self._made: dict[int, ref[torch.Tensor]] = {}  # here, while it watched
        self._leaves: dict[int, tuple[torch.Tensor, Pointer]] = {}

    def again(self) -> Makers:
        """The same for another recording."""
        return Makers(self._chosen, self._everything)

    @contextmanager
    def onto(self, tape: Stream) -> Iterator[None]:
        """Watch what is called within, which is recorded on this tape."""
        self._tape = tape
        with self:
            yield

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        found = self._call(func, args, kwargs or {})
        if type(found) is torch.Tensor and all(found is not each for each in args):
            self._made[id(found)] = ref(found)
        return found

    def _call(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        if self._tape is not None and (func in _REQUIRE or given.get("requires_grad")):
            leaf = self._leaf(func, args, given)
            if leaf is not None:
                return leaf
        if self._leaves:
            args, given = mapped(args, self._there), mapped(given, self._there)
        number = CATALOG.numbers.get(func)
        if number is not None and self._tape is not None and args and type(args[0]) is torch.Tensor:
            if CATALOG.is_random(number):
                return self._drawn(CATALOG.name(number), func, args, given)
            writes = 0 in CATALOG.writes_now(number, args, given)
            if writes and _has_pointers((*args[1:], given)) and self._is_own(args[0]):
                # What comes from the tape is written into it, so that from here on it is there.
                self._leaves[id(args[0])] = args[0], Pointer.around(put(self._tape, args[0]))
                return func(self._leaves[id(args[0])][1], *args[1:], **given)
        if func is torch.tensor and self._everything and self._tape is not None and not _is_taken_apart(args, given):
            return Pointer.around(put(self._tape, func(*args, **given)))
        if func not in _MAKE or number is None or self._tape is None or _is_taken_apart(args, given):
            return func(*args, **given)
        place = len(self.calls)
        self.calls.append((func, args, given))
        if func in _DRAW or self._everything or place in self._chosen:
            return create(self._tape, func, args, given)
        return func(*args, **given)

    def _drawn(self, name: str, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        """What is drawn from a tensor of the program's own, or into one, is drawn on the tape."""
        assert self._tape is not None
        tensor = args[0]
        if name.endswith("_") and name.startswith(("Tensor.", "nn.init.")):
            if not self._is_own(tensor):
                return func(*args, **given)
            self._leaves[id(tensor)] = tensor, self._like(tensor)
            return func(self._leaves[id(tensor)][1], *args[1:], **given)
        before = torch.default_generator.get_state()
        found = func(*args, **given)
        if found is tensor or torch.equal(before, torch.default_generator.get_state()):
            return found
        torch.default_generator.set_state(before)
        return func(self._like(tensor) + tensor, *args[1:], **given)

    def _is_own(self, tensor: torch.Tensor) -> bool:
        """It was made in this recording, nothing else has its memory, and it takes no gradient."""
        made = self._made.get(id(tensor))
        if made is None or made() is not tensor or tensor._is_view() or tensor.requires_grad:
            return False
        holders = torch._C._storage_Use_Count(tensor.untyped_storage()._cdata)
        return holders <= 2  # the tensor, and what was just asked for

    def _like(self, tensor: torch.Tensor) -> Any:
        """Zeros on the tape."""
        assert self._tape is not None
        return create(self._tape, torch.zeros, (tuple(tensor.shape),), {"dtype": tensor.dtype})

    def _leaf(self, func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> Any:
        """The tape's own of a tensor that gradients are to be taken for, where the program made that out of nothing."""
        if func in _REQUIRE:
            tensor, wanted = args[0], all(args[1:]) and all(given.values())
            if type(tensor) is not torch.Tensor or not wanted:
                return None
            self._leaves[id(tensor)] = tensor, self._put(tensor)
            return self._leaves[id(tensor)][1]
        if func in CATALOG.numbers or func is not torch.tensor:
            return None
        return self._put(torch.tensor(*args, **{**given, "requires_grad": False}))

    def _put(self, tensor: torch.Tensor) -> Pointer:
        assert self._tape is not None
        return Pointer.around(put(self._tape, tensor.detach(), LEAF))

    def _there(self, value: Any) -> Any:
        return self._leaves.get(id(value), (value, value))[1]


def varying(one: Makers, other: Makers) -> set[int]:
    """The numbers of those calls that two batches of different size differ in."""
    return {number for number, (a, b) in enumerate(zip(one.calls, other.calls, strict=False)) if a != b}


def _has_pointers(values: Any) -> bool:
    return any(isinstance(each, Pointer) for each in leaves(values))


def _is_taken_apart(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """It takes tensors, or a generator of the program's own, which no worker has."""
    return any(isinstance(each, torch.Tensor | torch.Generator) for each in leaves([args, kwargs]))
