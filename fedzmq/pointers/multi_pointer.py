"""One tensor on several workers at once: an operation on it is that operation on each of them.

It holds one pointer for each worker, and nothing of it is on the wire but what these pointers say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

import torch

from fedzmq.errors import PointerError, UsageError
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.homecoming import all_home
from fedzmq.pointers.meeting import apart
from fedzmq.pointers.nesting import leaves, mapped
from fedzmq.pointers.remote import META, Composite, Remote


class MultiPointer(Composite):
    """Made by `x.send(bob, alice)` and by `combine_pointers`. `children` are its pointers by their workers' names.

    What the pointers answer without a value is answered once where they agree: shape, dtype, requires_grad.
    """

    children: Mapping[str, Remote]

    @classmethod
    def of(cls, pointers: Sequence[Remote]) -> MultiPointer:
        """Raises UsageError for two on one worker, or of different shapes or dtypes."""
        if not pointers:
            raise UsageError("a multi-pointer needs one pointer at least")
        first = pointers[0]
        children = {pointer._ref.stream.worker: pointer for pointer in pointers}
        if len(children) < len(pointers):
            raise UsageError("a multi-pointer has one pointer on each worker, and two of these are on the same one")
        for pointer in pointers:
            if pointer.shape != first.shape or pointer.dtype != first.dtype:
                raise UsageError(f"a multi-pointer is of tensors that are alike, and not of {first!r} and {pointer!r}")
        made: MultiPointer = torch.Tensor._make_wrapper_subclass(cls, first.shape, dtype=first.dtype, device=META)
        made.children = children
        return made

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        several = [each for each in leaves([args, kwargs]) if isinstance(each, MultiPointer)]
        places = list(several[0].children)
        if any(set(each.children) != set(places) for each in several):
            everywhere = [child for each in several for child in each.children.values()]
            name = getattr(func, "__name__", repr(func))
            raise apart(name, everywhere, "the multi-pointers are not on the same workers")

        plain = [each for each in leaves([args, kwargs]) if isinstance(each, Remote)]
        if plain:
            _check_plain(func, several[0], plain, args, kwargs)

        def on(place: str) -> Any:
            def at(value: Any) -> Any:
                if isinstance(value, MultiPointer):
                    return value.children[place]
                return _brought(value, several[0].children[place]) if isinstance(value, Remote) else value

            return func(*mapped(args, at), **mapped(kwargs, at))

        return _gathered([on(place) for place in places], several)

    @property
    def location(self) -> list[object]:
        """The workers, in the order in which the tensor was sent."""
        return [child._ref.stream.location for child in self.children.values()]

    def pointers(self) -> Iterator[Remote]:
        return iter(self.children.values())

    def get(self, sum_results: bool = False) -> Any:
        """The values, one for each worker in their order, or their sum. Where one cannot be had, all stay there."""
        values = all_home(self.pointers())
        return sum(values[1:], values[0]) if sum_results else values

    def copy(self) -> MultiPointer:
        """Second tensors on the same workers."""
        return MultiPointer.of([child.copy() for child in self.children.values()])  # type: ignore[attr-defined]

    def tag(self, *tags: str) -> MultiPointer:
        """Tag the tensor on every one of its workers."""
        return self._each("tag", *tags)

    def describe(self, description: str) -> MultiPointer:
        return self._each("describe", description)

    @property
    def tags(self) -> set[str]:
        found: set[str] = next(self.pointers()).tags  # type: ignore[attr-defined]
        return found

    @property
    def description(self) -> str:
        found: str = next(self.pointers()).description  # type: ignore[attr-defined]
        return found

    @property
    def garbage_collection(self) -> bool:
        """As that of a pointer, for all of them."""
        return all(child._ref.is_collected for child in self.pointers())

    @garbage_collection.setter
    def garbage_collection(self, value: bool) -> None:
        for child in self.pointers():
            child._ref.is_collected = bool(value)

    gc = garbage_collection
    garbage_collect_data = garbage_collection

    @property
    def disable_gc(self) -> MultiPointer:
        self.garbage_collection = False
        return self

    def get_(self) -> NoReturn:
        raise PointerError(f"{self!r} cannot become one tensor in place; .get() gives the values, one for each worker")

    def combine(self, *others: torch.Tensor) -> MultiPointer:
        return combine_pointers(self, *others)

    def send(self, *destinations: object) -> NoReturn:
        raise PointerError(f"{self!r} is on several workers already; .get() brings the values here")

    move = send_ = send

    def _each(self, verb: str, *args: str) -> MultiPointer:
        for child in self.pointers():
            getattr(child, verb)(*args)
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # torch leaves its name out
        first = next(self.pointers())
        extents = "x".join(map(str, first.shape)) or "scalar"
        return f"MultiPointer({extents} {str(first.dtype).removeprefix('torch.')} on {', '.join(self.children)})"


def combine_pointers(*pointers: torch.Tensor) -> MultiPointer:
    """One multi-pointer of pointers to tensors that are alike, each on a worker of its own."""
    found: list[Remote] = []
    for pointer in pointers:
        if isinstance(pointer, MultiPointer):
            found += pointer.pointers()
        elif isinstance(pointer, Remote):
            found.append(pointer)
        else:
            raise UsageError(f"only pointers can be combined, and not a {type(pointer).__name__} that is here")
    return MultiPointer.of(found)


def _check_plain(
    func: Callable[..., Any],
    several: MultiPointer,
    plain: Sequence[Remote],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Raises where a pointer to one worker may not meet a multi-pointer: a copy of it goes to every worker."""
    name = getattr(func, "__name__", repr(func))
    everything = [*plain, *several.children.values()]
    number = CATALOG.numbers.get(func)
    written = () if number is None else CATALOG.writes_now(number, args, kwargs)
    # What is not there by its position is there by a name.
    into = [args[position : position + 1] or tuple(kwargs.values()) for position in written]
    if any(isinstance(each, Remote) for each in leaves(into)):
        raise apart(name, everything, "one tensor cannot take in what is on several workers")
    if any(each._ref.stream.strict for each in everything):
        raise apart(name, everything, "the hook is strict")
    if torch.is_grad_enabled() and any(each._ref.meta.kind for each in plain):
        raise apart(name, everything, "the gradient of the one that is on one worker would be lost")


def _brought(pointer: Remote, beside: Remote) -> Any:
    if pointer._ref.stream is beside._ref.stream:
        return pointer
    with torch.no_grad():
        return pointer.detach().clone().move(beside.location)  # type: ignore[attr-defined]  # every pointer has them


def _gathered(results: list[Any], operands: Sequence[MultiPointer]) -> Any:
    first = results[0]
    if isinstance(first, Remote):
        for operand in operands:
            if all(result is child for result, child in zip(results, operand.children.values(), strict=True)):
                return operand  # in place
        return MultiPointer.of(results)
    if isinstance(first, list | tuple) and first and any(isinstance(each, Remote) for each in first):
        parts = [_gathered(list(part), operands) for part in zip(*results, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if all(result is first or result == first for result in results):
        return first
    return results
