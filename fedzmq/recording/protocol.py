"""A computation of several parties, recorded once with roles in place of workers, and run with whoever plays them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch

from fedzmq.errors import PlanArgumentError, PlanError, TensorsNotCollocatedException
from fedzmq.pointers.destination import worker_of
from fedzmq.pointers.meeting import place
from fedzmq.pointers.metadata import CONSTANT, contiguous_stride, meta
from fedzmq.pointers.nesting import mapped
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.sending import send_tensor
from fedzmq.pointers.verbs import Place
from fedzmq.recording.actions import Action, Cast, Name
from fedzmq.recording.role import Role

Function = Callable[..., Any]


class Protocol:
    """Made by `func2protocol`. The function is given the roles, and then the inputs, which are at the roles that
    `args_shape` names, in its order; what it gives back are tensors of roles.

    It is run once, without values, and then no more: a call runs the recorded actions, on the workers that play the
    roles. Raises PlanError, which names the line, for what no list of actions can say.
    """

    def __init__(
        self, function: Function, roles: Sequence[str], args_shape: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        self.name = getattr(function, "__name__", "protocol")
        self.actions: list[Action] = []
        self.roles = {name: Role(name, self.actions) for name in roles}
        self.players: dict[str, Any] = {}
        shapes = args_shape or {}
        unknown = [name for name in shapes if name not in self.roles]
        if unknown or not self.roles:
            known = ", ".join(self.roles) or "none"
            raise PlanError(f"the protocol {self.name!r} has the roles {known}, and not {', '.join(unknown)}")
        inputs = [self._input(name, shape) for name, of in shapes.items() for shape in of]
        self._inputs: list[Name] = [(pointer._ref.stream.worker, pointer._ref.id) for pointer in inputs]
        self._shapes = [tuple(pointer.shape) for pointer in inputs]
        self._outputs = mapped(function(*self.roles.values(), *inputs), self._name)

    def assign(self, **players: Place) -> Protocol:
        """Have workers, held or named, play roles: `assign(alice=worker)`. Again is another cast. Itself."""
        for role, player in players.items():
            if role not in self.roles:
                raise PlanError(f"the protocol {self.name!r} has the roles {', '.join(self.roles)}, and not {role}")
            self.players[role] = worker_of(player)
        return self

    def assign_roles(self, players: Mapping[str, Place]) -> Protocol:
        return self.assign(**players)

    def copy(self) -> Protocol:
        """The same protocol, with nobody in its roles yet."""
        made = Protocol.__new__(Protocol)
        made.__dict__.update(self.__dict__, players={})
        return made

    def __call__(self, *inputs: torch.Tensor) -> Any:
        """Run it. Inputs that are here are sent to their roles' workers; what it gives are pointers.

        Raises PlanError while a role is nobody's, and PlanArgumentError for inputs of another form.
        """
        vacant = [name for name in self.roles if name not in self.players]
        if vacant:
            raise PlanError(
                f"the protocol {self.name!r} has nobody to play {', '.join(vacant)}: .assign({vacant[0]}=worker)"
            )
        cast = Cast(dict(self.players))
        self._check(inputs)
        for name, tensor in zip(self._inputs, inputs, strict=True):
            cast.tensors[name] = self._placed(tensor, name[0])
        for action in self.actions:
            action.run(cast)
        return mapped(self._outputs, lambda name: cast.tensors[name.of])

    run = __call__

    def __repr__(self) -> str:
        parts = [f"{role} by {self.players[role].name}" if role in self.players else role for role in self.roles]
        return f"<protocol {self.name!r} of {', '.join(parts)}>"

    def _input(self, role: str, shape: Sequence[int]) -> Pointer:
        size = torch.Size(shape)
        return self.roles[role].stream.input(meta(size, torch.get_default_dtype(), contiguous_stride(size), CONSTANT))

    def _name(self, output: Any) -> _Output:
        if not isinstance(output, Pointer) or output._ref.stream not in [role.stream for role in self.roles.values()]:
            raise PlanError(f"the protocol {self.name!r} gives back tensors of its roles, and {output!r:.60} is none")
        return _Output((output._ref.stream.worker, output._ref.id))

    def _check(self, inputs: Sequence[torch.Tensor]) -> None:
        if len(inputs) != len(self._inputs):
            raise PlanArgumentError(self.name, "its inputs", f"are {len(self._inputs)}, and {len(inputs)} came")
        for number, (tensor, shape) in enumerate(zip(inputs, self._shapes, strict=True), 1):
            if tuple(tensor.shape) != shape:
                raise PlanArgumentError(
                    self.name, f"input {number}", f"has the shape {tuple(tensor.shape)}, and {shape} was expected"
                )

    def _placed(self, tensor: torch.Tensor, role: str) -> torch.Tensor:
        worker = self.players[role]
        if not isinstance(tensor, Pointer):
            return send_tensor(tensor, worker)
        if tensor._ref.stream is not worker.stream:
            places = (f"worker {worker.name!r}, who plays {role}", place(tensor))
            raise TensorsNotCollocatedException(f"the protocol {self.name!r}", places)
        return tensor


class _Output:
    """The name of a tensor that the protocol gives back; no tuple, which would be taken apart."""

    __slots__ = ("of",)

    def __init__(self, of: Name) -> None:
        self.of = of


def func2protocol(
    roles: Iterable[str] | None = None, args_shape: Mapping[str, Sequence[Any]] | None = None
) -> Callable[[Function], Protocol]:
    """`@func2protocol(roles=["alice", "bob"], args_shape={"alice": [(2,)]})`: see `Protocol`."""
    names = tuple(roles) if roles is not None else tuple(args_shape or ())
    return lambda function: Protocol(function, names, args_shape)
