"""One call of an operation, as it is looked up, tried here and sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch

from fedzmq.errors import OperationRefused
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.metadata import Meta
from fedzmq.pointers.refusals import name_of, why
from fedzmq.pointers.rehearsal import MOST_BYTES
from fedzmq.pointers.remote import Remote, known
from fedzmq.pointers.signature import GETITEM, SETITEM, Signature, filled
from fedzmq.pointers.stand_ins import STAND_INS


class OperationCall:
    """`parts` are what its effect depends on, but for the modes; `operands` are its tensors, in order.

    Raises OperationRefused for what is no operation.
    """

    __slots__ = ("args", "func", "kwargs", "number", "operands", "operation", "parts", "signature")

    def __init__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], creates: bool = False
    ) -> None:
        number = CATALOG.numbers.get(func)
        if number is None:
            raise OperationRefused(name_of(func), *why(func))
        self.func, self.args, self.kwargs, self.number = func, args, kwargs, number
        self.operation = CATALOG.names[number]
        self.signature = signature = Signature(func, creates)
        self.parts = [func, *_parts(func, signature, args)]
        for name, value in kwargs.items():
            self.parts.append(name)
            self.parts.append(signature.of(value))
        self.operands = signature.operands

    def on(self, operands: Sequence[torch.Tensor], **more: Any) -> Any:
        """The same call of these, here."""
        return self.by(STAND_INS.get(self.func, self.func), operands, **more)

    def tried_on(self, operands: Sequence[torch.Tensor]) -> Any:
        """As `on`, on tensors that have memory. Raises LimitExceeded where numbers ask for more than a trial takes."""
        guard = CATALOG.guard(self.number)
        if guard is not None:
            with suppress(OperationRefused):  # what else it says is the worker's to say
                self.by(lambda *args, **kwargs: guard(MOST_BYTES, args, kwargs), operands)
        return self.on(operands)

    def by(self, function: Callable[..., Any], operands: Sequence[torch.Tensor], **more: Any) -> Any:
        """A call of another function with the same arguments, of these operands, here."""
        replaced = iter(operands)
        positional = [filled(arg, replaced) for arg in self.args]
        keywords = {name: filled(value, replaced) for name, value in self.kwargs.items()}
        return function(*positional, **keywords, **more)

    @property
    def metas(self) -> list[Meta]:
        return [known(operand) for operand in self.operands]


def _parts(func: Callable[..., Any], signature: Signature, args: tuple[Any, ...]) -> list[Any]:
    if (func is GETITEM or func is SETITEM) and isinstance(args[0], Remote):
        parts = [signature.of(args[0]), signature.of_index(args[1], args[0]._ref.meta.shape)]
        # A number that is stored shapes nothing, whatever its value.
        stored = [signature.of(value) for value in args[2:]]
        return parts + [int if type(each) is int else each for each in stored]
    return [signature.of(arg) for arg in args]
