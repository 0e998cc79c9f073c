"""What one asks of a tensor that lives on a worker: where it is, to come, to go, to be found, to be left alone."""

from __future__ import annotations

from typing import Any, NoReturn, TypeVar

import torch
from torch import nn

from fedzmq.errors import InvalidTensorForRemoteGet, PointerError
from fedzmq.pointers.arrays import OPERATORS, operand
from fedzmq.pointers.destination import Destination, Home, destination_of, worker_of
from fedzmq.pointers.doorways import arrived
from fedzmq.pointers.labelling import add_tags, copy_labels, description_of, is_labelled, set_description
from fedzmq.pointers.metadata import CONSTANT, LEAF
from fedzmq.pointers.multi_pointer import combine_pointers
from fedzmq.pointers.order import at_home
from fedzmq.pointers.origins import origin, shown
from fedzmq.pointers.pointer_to_pointer import PointerToPointer
from fedzmq.pointers.private import check_get, private, tell_rule
from fedzmq.pointers.remote import Remote, gradient_of
from fedzmq.pointers.swap import swap
from fedzmq.pointers.transfer import hand_over
from fedzmq.wire.messages import Label, Share

Self = TypeVar("Self", bound="Located")


class Located(Remote):
    """The verbs of a pointer; what it does as a tensor is `Pointer`'s."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise self._ref.stream.needs_value("numpy's array()")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        apply = OPERATORS.get(ufunc)
        if apply is None or method != "__call__" or kwargs or len(inputs) != 2:
            raise self._ref.stream.needs_value(f"numpy's {ufunc.__name__}()")
        return apply(*[operand(each) for each in inputs])

    def __copy__(self: Self) -> Self:
        """Another pointer to the same tensor, as a shallow copy of a tensor shares its memory."""
        made: Self = self.detach()  # type: ignore[assignment]  # a pointer's is one
        if self.requires_grad:
            made.requires_grad_()
        made.__dict__.update({name: value for name, value in self.__dict__.items() if name != "_ref"})
        return made

    @property
    def location(self) -> object:
        """Where the tensor lives: the worker that it was sent to."""
        return self._ref.stream.location

    @property
    def id_at_location(self) -> int:
        """The number under which its client's commands name the tensor on the worker."""
        return self._ref.id

    @property
    def owner(self) -> object:
        """Whose pointer it is: the client's own place, which is this process."""
        client = getattr(self._ref.stream.location, "client", None)
        return getattr(client, "home", None)

    @property
    def garbage_collection(self) -> bool:
        """The tensor is forgotten on the worker when its last pointer goes. Without it, when the client goes."""
        return self._ref.is_collected

    @garbage_collection.setter
    def garbage_collection(self, value: bool) -> None:
        self._ref.is_collected = bool(value)

    gc = garbage_collection
    garbage_collect_data = garbage_collection

    @property
    def disable_gc(self: Self) -> Self:
        """Itself, with garbage collection off."""
        self._ref.is_collected = False
        return self

    def tag(self: Self, *tags: str) -> Self:
        """Tag the tensor, so that a search on its worker finds it; returns the pointer."""
        add_tags(self, *tags)
        self._say_labels_to_others()
        return self

    def describe(self: Self, description: str) -> Self:
        """Describe the tensor, for those who find it; returns the pointer."""
        set_description(self, description)
        self._say_labels_to_others()
        return self

    def private_(self: Self, *users: str) -> Self:
        """See `fedzmq.pointers.private.private`."""
        return private(self, *users)

    def share(self: Self, *clients: str) -> Self:
        """Let other clients find the tensor by a search: the named ones, or all where none is named.

        What they find shares the memory with it. It can be found when this returns, after one round trip. Returns the
        pointer.
        """
        self._ref.stream.command(Share(self._ref.id, clients), origin())
        self.__dict__["_is_shared"] = True
        self._ref.stream.settle()
        return self

    def get(self, *, requires_grad: bool = False, user: str | None = None) -> torch.Tensor:
        """Take the tensor home: its value, with its gradient if it holds one, after one round trip.

        It leaves the worker, and the pointer is spent; `pointer.copy().get()` leaves it there. A parameter, a buffer or
        a gradient stays where it is, because a module or an optimizer needs it there. With `requires_grad` the value is
        part of the pointer's graph: a backward here goes on over there. Raises RemoteError when what made the tensor
        failed, GetNotPermittedError where it is private and not for this client, who is the `user` where one is named.
        """
        check_get(self._ref.stream, user)
        flows = requires_grad and self._ref.meta.kind != CONSTANT
        value = self._value(flows)
        if not flows:
            self._leave()
        return value

    def get_(self) -> torch.Tensor:
        """Take the tensor home in place: this very object is the tensor from now on, with its id and its tags."""
        value = self.get()
        swap("this tensor", self, value)
        return self

    def move(self, destination: Destination | Home | str, requires_grad: bool = False) -> torch.Tensor:
        """The tensor on another worker, which its own one posts it to; this pointer is spent.

        Nothing is waited for. With `requires_grad` the pointer stays, and a backward over there goes on from it.
        """
        place = destination_of(destination)
        if isinstance(place, Home):
            return self.get(requires_grad=requires_grad)
        if place.stream is self._ref.stream:
            return self
        reference = self._ref
        flows = requires_grad and reference.meta.kind != CONSTANT
        kind = LEAF if reference.meta.kind == LEAF or requires_grad else CONSTANT
        grad = None if flows else gradient_of(reference.leaf)
        both = [reference] if grad is None else [reference, grad._ref]
        moved, *grads = hand_over(both, place, [kind, CONSTANT][: len(both)])
        if flows:
            moved.become_doorway(self)
        made = type(self).around(moved)
        made._is_param = getattr(self, "_is_param", False)
        if grads:
            made.grad = type(self).around(grads[0])
        copy_labels(self, made)
        made._say_labels()
        if not flows:
            self._leave()
        return made

    def copy(self) -> torch.Tensor:
        """A second tensor on the same worker."""
        if self._ref.meta.kind != LEAF:
            return self.clone()
        return self.detach().clone().requires_grad_()

    def send(self, *destinations: Destination | Home | str) -> torch.Tensor:
        """A pointer to this pointer, which the other worker holds: its `get()` is this pointer again.

        The pointer itself where the tensor is there already.
        """
        if len(destinations) != 1:
            raise PointerError(f"{self!r} can be sent to one worker, and {len(destinations)} were given")
        place = worker_of(destinations[0])
        if place.stream is self._ref.stream:
            return self
        return PointerToPointer.held(self, (place,))

    def send_(self, *destinations: Destination | Home | str) -> NoReturn:
        raise PointerError(f"{self!r} is not here; .move(...) brings it to another worker, .get_() here")

    def remote_get(self) -> NoReturn:
        raise InvalidTensorForRemoteGet(repr(self))

    def remote_send(self, destination: Destination | Home | str) -> torch.Tensor:
        """Have the worker send its tensor on to another one, and keep a pointer to it; this pointer is spent."""
        place: Any = self._ref.stream.location
        moved = self.move(destination)
        return PointerToPointer.held(moved, (place,))

    def combine(self, *others: torch.Tensor) -> torch.Tensor:
        """One multi-pointer of this pointer and others, each on a worker of its own."""
        return combine_pointers(self, *others)

    def _value(self, flows: bool = False) -> torch.Tensor:
        reference = self._ref
        kind = reference.meta.kind
        grad = gradient_of(reference.leaf)
        value, *grads = reference.stream.fetch([reference.id, *([] if grad is None else [grad._ref.id])])
        value = at_home(value, reference.meta)
        copy_labels(self, value)
        if flows:
            return arrived(self, value)
        if kind == LEAF:
            value = nn.Parameter(value) if getattr(self, "_is_param", False) else value.requires_grad_()
        if grad is not None:
            value.grad = at_home(grads[0], grad._ref.meta)
        return value

    @property
    def _stays(self) -> bool:
        return self._ref.kept or bool(getattr(self, "_is_param", False))

    def _leave(self) -> None:
        """The tensor is elsewhere now, and this pointer is spent, where nothing here needs it."""
        if self._stays:
            return
        where = shown(origin()) or "an unknown line"
        self._ref.spend(
            f"the pointer was spent by .get() or .move() at {where}: use what that returned, "
            "or .copy().get() there, which leaves the tensor on the worker"
        )

    def _say_labels_to_others(self) -> None:
        self._say_labels()
        if "_is_shared" in self.__dict__:
            self._ref.stream.settle()  # they find it by these when this returns

    def _say_labels(self) -> None:
        tell_rule(self)
        if is_labelled(self):
            tags: tuple[str, ...] = self.__dict__.get("_tags", ())
            self._ref.stream.command(Label(self._ref.id, tags, description_of(self)), origin())
