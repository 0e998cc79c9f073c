"""A part in a protocol, to be played by some worker: a place that records what is done there."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fedzmq.errors import PlanError
from fedzmq.pointers.call import OwnCall
from fedzmq.pointers.creation import RemoteTorch
from fedzmq.pointers.destination import Route
from fedzmq.pointers.modes import Modes
from fedzmq.pointers.origins import Origin, origin, shown
from fedzmq.pointers.outbox import Record
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.sending import send_tensor
from fedzmq.pointers.shipment import Shipment
from fedzmq.recording.actions import Action, Compute, Label, Load, Move, Receive
from fedzmq.recording.tape import Tape
from fedzmq.wire.messages import Claim, Command, Hand, Share
from fedzmq.wire.messages import Label as SetLabel


class Role:
    """In a protocol's function: `alice.load(x)`, `alice.torch.ones(2)`, `pointer.move(alice)`."""

    def __init__(self, name: str, script: list[Action]) -> None:
        self.name = name
        self.id = name
        self.stream = RoleTape(self, script)
        self._script = script

    @property
    def torch(self) -> RemoteTorch:
        """What makes tensors there, as `worker.remote.torch` does."""
        return RemoteTorch(self.stream)

    @property
    def actions(self) -> list[Action]:
        """What it does, in order; what passes between roles is among it."""
        return [action for action in self._script if action.role == self.name]

    def load(self, tensor: Tensor) -> Pointer:
        """A tensor of the protocol's own, which goes there at every run."""
        return send_tensor(tensor, self)

    def route_from(self, source: object) -> Route | None:
        return Route(b"", b"") if isinstance(source, Role) else None

    def __repr__(self) -> str:
        return f"<role {self.name!r}>"


class RoleTape(Tape):
    """The stream of one role. All roles of a protocol write one `script`, in the order of what they do."""

    def __init__(self, role: Role, script: list[Action]) -> None:
        super().__init__()
        self.worker = role.name
        self.location = role
        self._script = script
        self._written = 0

    def append(self, record: Record, modes: Modes, origin: Origin | None) -> None:
        super().append(record, modes, origin)
        self._write_down()

    def ship(self, record: Record, modes: Modes, origin: Origin | None, shipment: Shipment) -> None:
        super().ship(record, modes, origin, shipment)
        self._write_down()

    def put(self, tensor: Tensor, requires_grad: bool = False) -> int:
        if requires_grad:
            raise _refused("a tensor that requires grad, sent")
        id = self.new_id()
        self._script.append(Load(self.worker, id, tensor.detach().clone()))
        return id

    def require_grad(self, id: int, value: bool) -> int:
        raise _refused("requires_grad_")

    def linked(self, call: OwnCall) -> dict[int, Any]:
        raise _refused("an autograd function of your own")

    def command(self, command: Command, origin: Origin | None) -> None:
        if isinstance(command, Hand):
            self._script.append(Move(self.worker, command.id, command.worker, command.key))
        elif isinstance(command, Claim):
            self._script.append(Receive(self.worker, command.id, command.key))
        elif isinstance(command, SetLabel):
            self._script.append(Label(self.worker, command.id, command.tags, command.description))
        elif isinstance(command, Share):
            self._script.append(Label(self.worker, command.id, shared=command.clients))
        else:
            raise _refused(type(command).__name__)

    def fetch(self, ids: Any) -> list[Tensor]:
        raise _refused("a value; give the pointer back, and .get() it from what the protocol gives")

    def meets_nothing(self) -> Exception | None:
        return _refused("operands of different roles, which .move(role) brings together,")

    def _write_down(self) -> None:
        for record in self.records[self._written :]:
            self._script.append(Compute(self.worker, record, self.constants))
        self._written = len(self.records)


def _refused(what: str) -> PlanError:
    line = shown(origin())
    return PlanError(f"{what}{f' at {line}' if line else ''} cannot be part of a protocol")
