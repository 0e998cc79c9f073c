"""Arguments in a form that torch takes and no worker does."""

from __future__ import annotations

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords, MakeGuard, Operation


def without_out(position: int) -> MakeGuard:
    """For the few functions that also take `out` by position: writing there would resize memory that others share."""

    def make(name: str, function: Operation) -> Guard:
        def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
            if len(arguments) > position and arguments[position] is not None:
                raise OperationRefused(name, "out= is not served; use .copy_()")

        return guard

    return make


def without_device_names(name: str, function: Operation) -> Guard:
    """For Tensor.to: a device comes as a device, which the worker has checked, and not as text."""

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if any(isinstance(value, str) for value in arguments):
            raise OperationRefused(name, "a device is given as torch.device(...)")

    return guard
