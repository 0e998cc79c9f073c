"""Tensors that are made on a worker: `worker.remote.torch.zeros(2, 3)`.

Names are looked up here, in the user's own torch, and only what is on the list of operations goes to a worker.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from fedzmq.errors import TensorsNotCollocatedException
from fedzmq.operations.arguments import pack
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.meeting import GRADIENT_LOST, HERE
from fedzmq.pointers.metadata import meta
from fedzmq.pointers.modes import ambient
from fedzmq.pointers.multi_pointer import MultiPointer
from fedzmq.pointers.nesting import leaves, mapped
from fedzmq.pointers.operands import Operands
from fedzmq.pointers.origins import origin
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.putting import put
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.refusals import name_of
from fedzmq.pointers.remote import META, Remote
from fedzmq.pointers.stream import Stream

_HERE = frozenset({"device", "layout", "pin_memory", "requires_grad", "out"})  # settled here, or by the worker
_NAMESPACES = ("nn", "nn.functional", "linalg", "fft", "special", "signal", "signal.windows")


class RemoteTorch:
    """torch as a worker offers it: what makes tensors, and what computes with pointers. Else AttributeError."""

    def __init__(self, stream: Stream, module: ModuleType = torch, name: str = "") -> None:
        self._stream = stream
        self._module = module
        self._name = name

    def __getattr__(self, name: str) -> Any:
        whole = f"{self._name}.{name}" if self._name else name
        found = None if name.startswith("_") else getattr(self._module, name, None)
        if isinstance(found, torch.dtype):
            return found
        if whole in _NAMESPACES and isinstance(found, ModuleType):
            return RemoteTorch(self._stream, found, whole)
        if found is torch.tensor:
            return self._tensor
        if callable(found) and found in CATALOG.numbers:
            return self._operation(found)
        raise AttributeError(f"torch.{whole} is not among what worker {self._stream.worker!r} runs")

    def __dir__(self) -> list[str]:
        known = [name for name in dir(self._module) if not name.startswith("_")]
        return [name for name in known if self._offers(getattr(self._module, name, None))]

    def _offers(self, found: Any) -> bool:
        try:
            return found is torch.tensor or found in CATALOG.numbers
        except TypeError:  # what cannot be hashed is no operation
            return False

    def _tensor(self, data: Any, *, dtype: torch.dtype | None = None, requires_grad: bool = False) -> Pointer:
        """Made here and sent: the data is the caller's."""
        made = torch.tensor(data, dtype=dtype)
        pointer = Pointer.around(put(self._stream, made))
        return pointer.requires_grad_() if requires_grad else pointer  # type: ignore[return-value]  # itself

    def _operation(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            operands = list(leaves([args, kwargs]))
            if any(isinstance(each, Remote | MultiPointer) for each in operands):
                return function(*args, **kwargs)
            if any(isinstance(each, torch.Tensor) for each in operands):
                # Local operands alone would be computed here: the first goes there, and takes the others along.
                return self._with_first_sent(function, args, kwargs)
            return create(self._stream, function, args, kwargs)

        call.__name__ = call.__qualname__ = getattr(function, "__name__", "call")
        call.__doc__ = function.__doc__
        return call

    def _with_first_sent(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operands = [each for each in leaves([args, kwargs]) if isinstance(each, torch.Tensor)]
        if torch.is_grad_enabled() and any(each.requires_grad for each in operands):
            places = (f"worker {self._stream.worker!r}", HERE)
            raise TensorsNotCollocatedException(name_of(function), places, GRADIENT_LOST)
        sent: dict[int, Pointer] = {}

        def there(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            if id(value) not in sent:
                sent[id(value)] = Pointer.around(put(self._stream, value.detach()))
            return sent[id(value)]

        return function(*mapped(args, there), **mapped(kwargs, there))


def create(stream: Stream, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pointer:
    """One new tensor on a worker, out of numbers; its random numbers are drawn there.

    Raises what torch raises for arguments that make no sense, and TypeError for a function that makes no tensor.
    """
    plain = {name: value for name, value in kwargs.items() if name not in _HERE}
    try:
        blank = function(*args, **plain, device=META)
    except TypeError:  # it may take no device, and says so before it says what is wrong with its arguments
        blank = function(*args, **plain)
    if not isinstance(blank, torch.Tensor):
        raise TypeError(f"{name_of(function)} without a tensor among its arguments makes none")
    modes = ambient(stream.device.type)
    reference = Reference(stream, stream.new_id(), meta(blank.shape, blank.dtype, blank.stride()))
    shipment = Operands()
    values = [pack(arg, shipment.attach) for arg in args]
    keywords = {name: pack(value, shipment.attach) for name, value in plain.items()}
    number = CATALOG.numbers[function]
    record = (number, reference.id, 0, values, keywords) if keywords else (number, reference.id, 0, values)
    stream.ship(record, modes, origin(), shipment)
    pointer = Pointer.around(reference)
    return pointer.requires_grad_() if kwargs.get("requires_grad") else pointer  # type: ignore[return-value]  # itself


class Frameworks:
    """`worker.remote`: the frameworks that it computes with."""

    def __init__(self, stream: Stream) -> None:
        self.torch = RemoteTorch(stream)
