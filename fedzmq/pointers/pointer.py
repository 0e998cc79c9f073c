"""The tensor that lives on a worker: a torch.Tensor whose operations become commands, and which holds no value.

Nearly every call that a training program makes has pointers and plain numbers for arguments and one tensor for a
result. Those go through here in a few microseconds: look the effect up, name the result, append a record.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import torch

from fedzmq.errors import PointerError
from fedzmq.pointers.apply import apply
from fedzmq.pointers.autograd import AUTOGRAD
from fedzmq.pointers.backward import BACKWARD
from fedzmq.pointers.conversions import CONVERSIONS, set_data
from fedzmq.pointers.destination import Destination
from fedzmq.pointers.graph import Node
from fedzmq.pointers.metadata import CONSTANT, LEAF
from fedzmq.pointers.modes import ambient
from fedzmq.pointers.origins import LIBRARY, origin, shown
from fedzmq.pointers.properties import PROPERTIES
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.refusals import REFUSALS
from fedzmq.pointers.remote import META, ORDINARY, Handler, Remote
from fedzmq.pointers.signature import FALSE, LOOSE_INTS, TRUE, short_form
from fedzmq.pointers.stream import Stream
from fedzmq.wire.limits import MAX_INT, MIN_INT

SPECIAL: dict[Any, Handler] = {**PROPERTIES, **CONVERSIONS, **AUTOGRAD, **BACKWARD, **REFUSALS}

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
                key.append(float)
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
                    key.append(float)
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

    def get(self) -> torch.Tensor:
        """Take the tensor home: its value, with its gradient if it holds one, after one round trip.

        It leaves the worker, and the pointer is spent; `pointer.copy().get()` leaves it there. A parameter, a buffer or
        a gradient stays where it is, because a module or an optimizer needs it there. Raises RemoteError when what made
        the tensor failed, GetNotPermittedError when the worker's owner does not let it leave.
        """
        reference = self._ref
        kind = reference.meta.kind
        grad = None if reference.leaf is None else reference.leaf.grad
        value, *grads = reference.stream.fetch([reference.id, *([] if grad is None else [grad._ref.id])])
        if kind == LEAF:
            value.requires_grad_()
        if grads:
            value.grad = grads[0]
        if not self._stays:
            where = shown(origin()) or "an unknown line"
            reference.spend(
                f"the pointer was spent by .get() or .move() at {where}: use what that returned, "
                "or .copy().get() there, which leaves the tensor on the worker"
            )
        return value

    def move(self, destination: Destination) -> torch.Tensor:
        """The tensor on another worker, by way of this client; this pointer is spent."""
        if destination.stream is self._ref.stream:
            return self
        value = self.get()
        return send_tensor(value, destination)

    def copy(self) -> torch.Tensor:
        """A second tensor on the same worker."""
        if self._ref.meta.kind != LEAF:
            return self.clone()
        return self.detach().clone().requires_grad_()

    def send(self, destination: Destination) -> torch.Tensor:
        """The pointer itself where the tensor is there already."""
        if destination.stream is self._ref.stream:
            return self
        raise PointerError(
            f"{self!r} lives on worker {self._ref.stream.worker!r} already; use .move(...) to bring it elsewhere"
        )

    @property
    def _stays(self) -> bool:
        return self._ref.kept or bool(getattr(self, "_is_param", False))


def send_tensor(tensor: torch.Tensor, destination: Destination) -> Pointer:
    """A copy of a local tensor on a worker, with its gradient if it holds one. A leaf there if it is one here."""
    if tensor.requires_grad and not tensor.is_leaf:
        raise PointerError(
            "this tensor was computed from others that require grad, and its history cannot follow it to "
            f"{destination.name!r}; send .detach(), or send the others and compute it there"
        )
    pointer = Pointer.around(destination.stream.put(tensor, LEAF if tensor.requires_grad else CONSTANT))
    if tensor.grad is not None:
        pointer.grad = Pointer.around(destination.stream.put(tensor.grad))
    return pointer
