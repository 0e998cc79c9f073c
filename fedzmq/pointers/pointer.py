"""The tensor that lives on a worker: a torch.Tensor whose operations become commands, and which holds no value.

Nearly every call that a training program makes has pointers and plain numbers for arguments and one tensor for a
result. Those go through here in a few microseconds: look the effect up, name the result, append a record.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from fedzmq.pointers.apply import apply
from fedzmq.pointers.autograd import AUTOGRAD
from fedzmq.pointers.backward import BACKWARD
from fedzmq.pointers.conversions import CONVERSIONS, set_data
from fedzmq.pointers.graph import Node
from fedzmq.pointers.hooks import HOOKS
from fedzmq.pointers.located import Located
from fedzmq.pointers.modes import ambient
from fedzmq.pointers.origins import LIBRARY
from fedzmq.pointers.properties import PROPERTIES
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.refusals import REFUSALS
from fedzmq.pointers.remote import META, ORDINARY, Handler
from fedzmq.pointers.signature import FALSE, LOOSE_INTS, TRUE, ZERO, short_form
from fedzmq.pointers.stream import Stream
from fedzmq.wire.limits import MAX_INT, MIN_INT

SPECIAL: dict[Any, Handler] = {**PROPERTIES, **CONVERSIONS, **AUTOGRAD, **HOOKS, **BACKWARD, **REFUSALS}

# Bound once: each is looked up at every operation.
_grad_enabled = torch.is_grad_enabled
_any_autocast = torch._C._is_any_autocast_enabled
_default_dtype = torch.get_default_dtype
_wrapper = torch.Tensor._make_wrapper_subclass
_frame = sys._getframe
_REAL: Any = torch.Tensor.real
_IMAG: Any = torch.Tensor.imag
_SET = torch.ops.aten.set_.source_Tensor


class Pointer(Located):
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
                stream.noticed((), ((id, references[effect.view].id),))
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

    # Torch asks nobody where it writes to one of these.
    @property
    def real(self) -> torch.Tensor:
        part: torch.Tensor = _REAL.__get__(self)
        return part

    @real.setter
    def real(self, value: torch.Tensor) -> None:
        self.real.copy_(value)

    @property
    def imag(self) -> torch.Tensor:
        part: torch.Tensor = _IMAG.__get__(self)
        return part

    @imag.setter
    def imag(self, value: torch.Tensor) -> None:
        self.imag.copy_(value)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch declares it without the function
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is _SET:  # `p.set_(source)`, which goes past __torch_function__
            if torch.is_grad_enabled() and args[0].requires_grad:
                raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
            return set_data(*args)
        return super().__torch_dispatch__(func, types, args, kwargs)
