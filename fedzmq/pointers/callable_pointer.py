"""A function on a worker that its owner lets clients call: `bob.function("double")(x)`.

It is the owner's own, under the name that the owner gave it. A function of the client's, or one of TorchScript, cannot
be sent, because no code travels; what a plan can record can.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from fedzmq.errors import ProtocolError
from fedzmq.operations.arguments import pack
from fedzmq.pointers.apply import described_outputs
from fedzmq.pointers.meeting import apart, check_local
from fedzmq.pointers.modes import ambient
from fedzmq.pointers.nesting import leaves
from fedzmq.pointers.operands import Operands
from fedzmq.pointers.origins import origin
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.stream import Stream
from fedzmq.wire.messages import Call, FunctionsListed, ListFunctions

_ROOM = 16  # tensors that a function may give


class CallablePointer:
    """Called with pointers, local tensors and numbers, it gives pointers to what the function gave: a round trip."""

    def __init__(self, stream: Stream, name: str) -> None:
        self._stream = stream
        self.name = name

    @property
    def location(self) -> object:
        return self._stream.location

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises RemoteError with what the function raised, and where no function of that name is there."""
        stream, what = self._stream, f"the function {self.name!r}"
        operands = [each for each in leaves([args, kwargs]) if isinstance(each, torch.Tensor)]
        modes = ambient(stream.device.type)
        check_local(what, operands, modes.grad, stream.strict)
        if any(isinstance(each, Pointer) and each._ref.stream is not stream for each in operands):
            raise apart(what, operands)
        shipment = Operands()
        record = [0, 0, 0, [pack(arg, shipment.attach) for arg in args]]
        if kwargs:
            record.append({name: pack(value, shipment.attach) for name, value in kwargs.items()})
        make = partial(Call, name=self.name, room=_ROOM, record=record)
        first, described = stream.ask_for_outputs(make, _ROOM, modes, origin(), shipment)
        return described_outputs(stream, Pointer, first, described, operands, modes)

    def __repr__(self) -> str:
        return f"<function {self.name!r} on worker {self._stream.worker!r}>"


def functions_of(stream: Stream) -> tuple[str, ...]:
    """The names of those that can be called there. One round trip."""
    reply, _ = stream.answer(stream.ask(ListFunctions, origin()))
    if not isinstance(reply, FunctionsListed):
        raise ProtocolError(f"worker {stream.worker!r} answered ListFunctions with {type(reply).__name__}")
    return reply.names
