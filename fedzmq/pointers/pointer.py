"""The tensor that lives on a worker: a torch.Tensor whose operations become commands, and which holds no value.

Nearly every call that a training program makes has pointers and plain numbers for arguments and one tensor for a
result. Those go through here in a few microseconds: look the effect up, name the result, append a record.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import torch
from torch import nn

from fedzmq.errors import InvalidTensorForRemoteGet, PointerError
from fedzmq.pointers.apply import apply
from fedzmq.pointers.autograd import AUTOGRAD
from fedzmq.pointers.backward import BACKWARD
from fedzmq.pointers.conversions import CONVERSIONS, set_data
from fedzmq.pointers.destination import Destination, Home, destination_of, worker_of
from fedzmq.pointers.doorways import arrived
from fedzmq.pointers.graph import Node
from fedzmq.pointers.hooks import HOOKS
from fedzmq.pointers.labelling import add_tags, copy_labels, description_of, is_labelled, set_description
from fedzmq.pointers.metadata import CONSTANT, LEAF
from fedzmq.pointers.modes import ambient
from fedzmq.pointers.multi_pointer import combine_pointers
from fedzmq.pointers.origins import LIBRARY, origin, shown
from fedzmq.pointers.pointer_to_pointer import PointerToPointer
from fedzmq.pointers.private import check_get, check_send, private, tell_rule
from fedzmq.pointers.properties import PROPERTIES
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.refusals import REFUSALS
from fedzmq.pointers.remote import META, ORDINARY, Handler, Remote
from fedzmq.pointers.signature import FALSE, LOOSE_INTS, TRUE, ZERO, short_form
from fedzmq.pointers.stream import Stream
from fedzmq.pointers.swap import swap
from fedzmq.pointers.transfer import hand_over
from fedzmq.wire.limits import MAX_INT, MIN_INT
from fedzmq.wire.messages import Label, Share

SPECIAL: dict[Any, Handler] = {**PROPERTIES, **CONVERSIONS, **AUTOGRAD, **HOOKS, **BACKWARD, **REFUSALS}

# Bound once: each is looked up at every operation.
_grad_enabled = torch.is_grad_enabled
_any_autocast = torch._C._is_any_autocast_enabled
_default_dtype = torch.get_default_dtype
_wrapper = torch.Tensor._make_wrapper_subclass
_frame = sys._getframe
_SET = torch.ops.aten.set_.source_Tensor


class Pointer(Remote):
    """A tensor on a worker.

    Shape, dtype and requires_grad are known here and cost nothing to ask. Operations return at once with a pointer to
    their result; what fails on the worker is raised by the `get` that needs it. What needs a value (`bool`, `item`,
    `float`, printing elements) raises NeedsValueError.
    """

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        special = SPECIAL.get(func)
        if special is not None:
            result = special(*args, **kwargs) if kwargs else special(*args)
            if result is not ORDINARY:
                return result
        stream: Stream | None = None
        key: list[Any] = [func]
        values: list[Any] = []
        references: list[Reference] = []
        mask = 0
        bit = 1
        for arg in args:
            kind = type(arg)
            if kind is cls:
                reference: Reference = arg._ref
                if stream is not reference.stream:
                    if stream is not None:
                        return apply(func, args, kwargs or {})
                    stream = reference.stream
                if reference.storage is not None:
                    reference.catch_up()
                references.append(reference)
                key.append(reference.meta)
                values.append(reference.id)
                mask |= bit
            elif kind is float:
                key.append(float if arg else ZERO)
                values.append(arg)
            elif kind is bool:
                key.append(TRUE if arg else FALSE)
                values.append(arg)
            elif kind is int and func in LOOSE_INTS and MIN_INT <= arg <= MAX_INT:
                key.append(int)
                values.append(arg)
            elif kind is int or arg is None or kind is str:
                key.append(arg)
                values.append(arg)
            else:
                both = short_form(arg)
                if both is None:
                    return apply(func, args, kwargs or {})
                key.append(both[0])
                values.append(both[1])
            bit <<= 1
        if stream is None:
            return apply(func, args, kwargs or {})
        keywords = kwargs
        if kwargs:
            for name, value in kwargs.items():
                kind = type(value)
                key.append(name)
                if kind is float:
                    key.append(float if value else ZERO)
                elif kind is bool:
                    key.append(TRUE if value else FALSE)
                elif value is None or kind is str or (kind is int and func not in LOOSE_INTS):
                    key.append(value)
                else:
                    both = short_form(value)
                    if both is None:
                        return apply(func, args, kwargs)
                    key.append(both[0])
                    keywords = {**keywords, name: both[1]} if keywords else {name: both[1]}
        modes = stream.modes
        if (
            modes.grad is not _grad_enabled()
            or modes.autocast is not None
            or _any_autocast()
            or modes.default_dtype is not _default_dtype()
        ):
            modes = ambient(stream.device.type)
        key.append(modes)
        effect = stream.effects.get(tuple(key))
        if effect is None:
            return apply(func, args, kwargs or {})
        meta = effect.single
        if meta is not None:
            id = stream.new_id()
            made = Reference(stream, id, meta)
            if meta.kind:
                made.node = Node(tuple([each.node for each in references if each.node is not None]))
            result = _wrapper(cls, meta.shape, strides=meta.stride, dtype=meta.dtype, device=META)
            result._ref = made
            if effect.view >= 0:
                made.is_view_of(references[effect.view])
                stream.noticed((), ((made, references[effect.view]),))
        elif effect.updates and mask & 1 and effect.written[0].meta is references[0].meta:
            id = 0
            result = args[0]
        else:
            return apply(func, args, kwargs or {})
        frame = _frame(1)
        while frame is not None and frame.f_code.co_filename.startswith(LIBRARY):
            frame = frame.f_back  # type: ignore[assignment]  # None at the bottom of the stack
        issued = None if frame is None else (frame.f_code, frame.f_lineno)
        operation = effect.operation
        record = (operation, id, mask, values, keywords) if keywords else (operation, id, mask, values)
        stream.append(record, modes, issued)
        return result

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares it without the function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is _SET:  # `p.set_(source)`, which goes past __torch_function__
            if torch.is_grad_enabled() and args[0].requires_grad:
                raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
            return set_data(*args)
        return super().__torch_dispatch__(func, types, args, kwargs)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise self._ref.stream.needs_value("numpy's array()")

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
    def disable_gc(self) -> Pointer:
        """Itself, with garbage collection off."""
        self._ref.is_collected = False
        return self

    def tag(self, *tags: str) -> Pointer:
        """Tag the tensor, so that a search on its worker finds it; returns the pointer."""
        add_tags(self, *tags)
        self._say_labels()
        return self

    def describe(self, description: str) -> Pointer:
        """Describe the tensor, for those who find it; returns the pointer."""
        set_description(self, description)
        self._say_labels()
        return self

    def private_(self, *users: str) -> Pointer:
        """See `fedzmq.pointers.private.private`."""
        return private(self, *users)

    def share(self, *clients: str) -> Pointer:
        """Let other clients find the tensor by a search: the named ones, or all where none is named.

        What they find shares the memory with it. Returns the pointer.
        """
        self._ref.stream.command(Share(self._ref.id, clients), origin())
        return self

    def get(self, *, requires_grad: bool = False, user: str | None = None) -> torch.Tensor:
        """Take the tensor home: its value, with its gradient if it holds one, after one round trip.

        It leaves the worker, and the pointer is spent; `pointer.copy().get()` leaves it there. A parameter, a buffer or
        a gradient stays where it is, because a module or an optimizer needs it there. With `requires_grad` the value is
        part of the pointer's graph: a backward here goes on over there. Raises RemoteError when what made the tensor
        failed, GetNotPermittedError where it is private and not for this client, who is the `user` where one is named.
        """
        reference = self._ref
        check_get(reference.stream, user)
        kind = reference.meta.kind
        grad = None if reference.leaf is None else reference.leaf.grad
        value, *grads = reference.stream.fetch([reference.id, *([] if grad is None else [grad._ref.id])])
        copy_labels(self, value)
        if requires_grad and kind != CONSTANT:
            return arrived(self, value)
        if kind == LEAF:
            value = nn.Parameter(value) if getattr(self, "_is_param", False) else value.requires_grad_()
        if grads:
            value.grad = grads[0]
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
        grad = None if reference.leaf is None or flows else reference.leaf.grad
        both = [reference] if grad is None else [reference, grad._ref]
        moved, *grads = hand_over(both, place, [kind, CONSTANT][: len(both)])
        if flows:
            moved.become_doorway(self)
        made = Pointer.around(moved)
        made._is_param = getattr(self, "_is_param", False)
        if grads:
            made.grad = Pointer.around(grads[0])
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

    def _say_labels(self) -> None:
        tell_rule(self)
        if is_labelled(self):
            tags: tuple[str, ...] = self.__dict__.get("_tags", ())
            self._ref.stream.command(Label(self._ref.id, tags, description_of(self)), origin())


def send_tensor(
    tensor: torch.Tensor,
    destination: Destination,
    *,
    requires_grad: bool = False,
    garbage_collect_data: bool = True,
    allowed_users: Iterable[str] | None = None,
    user: str | None = None,
) -> Pointer:
    """A copy of a local tensor on a worker, with its gradient if it holds one. A leaf there if it is one here.

    With `requires_grad` it requires grad there, and a backward over there goes on from the tensor here. With
    `allowed_users` it is private there, for these alone. Raises SendNotPermittedError for a private one.
    """
    check_send(tensor, destination.stream, user)
    flows = requires_grad and tensor.requires_grad
    if tensor.requires_grad and not tensor.is_leaf and not flows:
        _warn_of_history(destination.name)
    kind = LEAF if tensor.requires_grad or requires_grad else CONSTANT
    reference = destination.stream.put(tensor, kind)
    if flows:
        reference.become_doorway(tensor)
    pointer = Pointer.around(reference)
    if isinstance(tensor, nn.Parameter):
        pointer._is_param = True
    if not flows and tensor.is_leaf and tensor.grad is not None:
        pointer.grad = Pointer.around(destination.stream.put(tensor.grad))
    if not garbage_collect_data:
        reference.is_collected = False
    copy_labels(tensor, pointer)
    pointer._say_labels()
    return pointer if allowed_users is None else pointer.private_(*allowed_users)


def _warn_of_history(worker: str) -> None:
    where = origin()
    warnings.warn_explicit(
        "this tensor was computed from others that require grad, and its history stays here: its gradient ends on "
        f"{worker!r}. Send it with requires_grad=True to have the gradient flow home, or send .detach()",
        UserWarning,
        where[0].co_filename if where else "<unknown>",
        where[1] if where else 1,
    )
