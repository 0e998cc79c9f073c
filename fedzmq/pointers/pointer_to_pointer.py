"""A pointer that a worker holds: `x.send(bob).send(alice)` is a pointer to alice's pointer to bob's tensor.

Every command is the client's own, so that the workers in between keep nothing: who holds what is known here, and what
is computed through a chain is computed where its tensor is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fedzmq.errors import InvalidTensorForRemoteGet
from fedzmq.pointers.destination import Destination, Home, destination_of, worker_of
from fedzmq.pointers.nesting import leaves, mapped
from fedzmq.pointers.remote import META, Composite, Remote

Places = tuple[Destination, ...]


class PointerToPointer(Composite):
    """`places` hold a pointer each, to the next one's; the last one's is to the tensor that `end` points to."""

    end: Remote
    places: Places

    @classmethod
    def held(cls, end: torch.Tensor, places: Places) -> PointerToPointer:
        assert isinstance(end, Remote)
        made: PointerToPointer = torch.Tensor._make_wrapper_subclass(cls, end.shape, dtype=end.dtype, device=META)
        made.end = end
        made.places = places
        return made

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        chains = [each for each in leaves([args, kwargs]) if isinstance(each, PointerToPointer)]

        def end(value: Any) -> Any:
            return value.end if isinstance(value, PointerToPointer) else value

        def back(value: Any) -> Any:
            if not isinstance(value, Remote):
                return value
            same = [each for each in chains if each.end is value]  # in place
            return same[0] if same else PointerToPointer.held(value, chains[0].places)

        return mapped(func(*mapped(args, end), **mapped(kwargs, end)), back)

    @property
    def location(self) -> object:
        """The worker that holds the pointer."""
        return self.places[0] if self.places else self.end._ref.stream.location

    def get(self) -> torch.Tensor:
        """What the worker holds: a pointer, or the tensor itself after `remote_get`."""
        places, end = self.places, self.end
        if not places:
            return end.get()  # type: ignore[attr-defined, no-any-return]  # every pointer has it
        return end if len(places) == 1 else PointerToPointer.held(end, places[1:])

    def send(self, destination: Destination | Home | str) -> PointerToPointer:
        """A pointer, held by one worker more, to this one."""
        return PointerToPointer.held(self.end, (worker_of(destination), *self.places))

    def move(self, destination: Destination | Home | str) -> torch.Tensor:
        """The same, held by another worker. Moved here it is what `get` gives."""
        place = destination_of(destination)
        if not self.places:
            return self.end.move(place)  # type: ignore[attr-defined, no-any-return]  # every pointer has it
        held = self.get()
        return held if isinstance(place, Home) else held.send(place)  # type: ignore[attr-defined]

    def remote_get(self) -> PointerToPointer:
        """Have the worker get what its pointer points to, and hold that instead; in place, and returned."""
        if not self.places:
            raise InvalidTensorForRemoteGet(repr(self))
        if len(self.places) > 1:
            self.places = (self.places[0], *self.places[2:])
            return self
        self.end = self.end.move(self.places[0])  # type: ignore[attr-defined]  # every pointer has it
        self.places = ()
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]  # torch leaves its name out
        held = " -> ".join([place.name for place in self.places])
        return f"{held} -> {self.end!r}" if held else repr(self.end)
