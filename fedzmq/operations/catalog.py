"""Every operation that a worker runs, numbered: the list is closed, and nothing is found in torch by its name.

Client and worker hold the same list or do not talk: its digest is compared when they meet. A number is a place in the
list, so it means something only between two sides with the same digest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import torch

from fedzmq.errors import OperationRefused
from fedzmq.operations.effects import RANDOM, writes, writes_now
from fedzmq.operations.guards.guard import Guard
from fedzmq.operations.guards.table import GUARDS
from fedzmq.operations.listed.copies import COPIES
from fedzmq.operations.listed.counting import COUNTING
from fedzmq.operations.listed.decompositions import DECOMPOSITIONS
from fedzmq.operations.listed.differentiation import DIFFERENTIATION
from fedzmq.operations.listed.functional import FUNCTIONAL
from fedzmq.operations.listed.functions import FUNCTIONS
from fedzmq.operations.listed.inplace_functions import INPLACE_FUNCTIONS
from fedzmq.operations.listed.inplace_methods import INPLACE_METHODS
from fedzmq.operations.listed.layers import LAYERS
from fedzmq.operations.listed.mathematics import MATHEMATICS
from fedzmq.operations.listed.methods import METHODS
from fedzmq.operations.listed.operators import OPERATORS
from fedzmq.operations.listed.optimizers import OPTIMIZERS
from fedzmq.operations.listed.polynomials import POLYNOMIALS
from fedzmq.operations.listed.synonyms import SYNONYMS
from fedzmq.operations.listed.windows import WINDOWS

Operation = Callable[..., Any]

_BENEATH: Any = torch._C._VariableFunctions

_SUBSTITUTES: dict[Operation, str] = {
    # Memory that was not written may hold another's values: a client that asks for it is given zeros.
    torch.empty: "torch.zeros",
    torch.empty_like: "torch.zeros_like",
    torch.Tensor.new_empty: "Tensor.new_zeros",
    # With a list of tensors these arrive as the functions beneath them.
    _BENEATH.meshgrid: "torch.meshgrid",
    _BENEATH.atleast_1d: "torch.atleast_1d",
    _BENEATH.atleast_2d: "torch.atleast_2d",
    _BENEATH.atleast_3d: "torch.atleast_3d",
}


class Catalog:
    """Operations by number, and numbers by the function object that a caller of torch calls."""

    def __init__(self, listed: Mapping[str, Operation], substitutes: Mapping[Operation, str] | None = None) -> None:
        self.names: tuple[str, ...] = tuple(sorted(listed))
        self.functions: tuple[Operation, ...] = tuple(listed[name] for name in self.names)
        self.numbers: dict[Operation, int] = {function: i for i, function in enumerate(self.functions)}
        self.writes: tuple[tuple[int, ...], ...] = tuple(writes(name) for name in self.names)
        """For each operation, the positions of the arguments that it writes to: empty where it is not in place."""
        self.random: frozenset[int] = frozenset(i for i, name in enumerate(self.names) if name in RANDOM)
        self._by_name = {name: i for i, name in enumerate(self.names)}
        for function, name in (substitutes or {}).items():
            self.numbers[function] = self._by_name[name]

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, function: object) -> bool:
        return function in self.numbers

    def number(self, function: Operation) -> int:
        """Raises OperationRefused for a function that is not on the list."""
        number = self.numbers.get(function)
        if number is None:
            raise OperationRefused(getattr(function, "__qualname__", None) or repr(function))
        return number

    def number_of(self, name: str) -> int:
        """The number behind a wire name. Raises OperationRefused for one that is not on the list."""
        number = self._by_name.get(name)
        if number is None:
            raise OperationRefused(name)
        return number

    def function(self, number: int) -> Operation:
        """Raises OperationRefused for a number that is not on the list."""
        return self.functions[self._checked(number)]

    def name(self, number: int) -> str:
        """Raises OperationRefused for a number that is not on the list."""
        return self.names[self._checked(number)]

    def in_place(self, number: int) -> bool:
        """Whether the operation writes to an argument whatever its arguments are."""
        return bool(self.writes[number])

    def writes_now(self, number: int, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[int, ...]:
        """The positions that it writes to under these arguments, as wire values or as Python's."""
        return writes_now(self.names[number], arguments, keywords)

    def is_random(self, number: int) -> bool:
        """Whether the operation may draw random numbers."""
        return number in self.random

    def guard(self, number: int) -> Guard | None:
        """What must see the arguments before a worker runs the operation."""
        make = GUARDS.get(self.names[number])
        return None if make is None else make(self.names[number], self.functions[number])

    def digest(self) -> str:
        """Equal on two sides exactly if every number means the same operation on both."""
        return sha256("\n".join(self.names).encode()).hexdigest()

    def _checked(self, number: int) -> int:
        if not 0 <= number < len(self.names):
            raise OperationRefused(f"operation number {number}", f"the list has {len(self.names)}")
        return number


TABLES: tuple[Mapping[str, Operation], ...] = (
    FUNCTIONS,
    METHODS,
    INPLACE_FUNCTIONS,
    INPLACE_METHODS,
    OPERATORS,
    FUNCTIONAL,
    LAYERS,
    MATHEMATICS,
    DECOMPOSITIONS,
    POLYNOMIALS,
    COPIES,
    COUNTING,
    DIFFERENTIATION,
    SYNONYMS,
    WINDOWS,
    OPTIMIZERS,
)
CATALOG = Catalog({name: function for table in TABLES for name, function in table.items()}, _SUBSTITUTES)
