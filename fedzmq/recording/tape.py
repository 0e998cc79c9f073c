"""What operations are recorded on: a stream with no worker at its end, which keeps its records.

What a list of operations on tensors cannot say is refused where it happens, at the line of the user's program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import torch
from torch.utils.hooks import RemovableHandle

from fedzmq.operations.catalog import CATALOG
from fedzmq.operations.listed.differentiation import leaf
from fedzmq.pointers.call import Call, OwnCall
from fedzmq.pointers.effects import Effect, Effects
from fedzmq.pointers.metadata import CONSTANT, Kind, Meta
from fedzmq.pointers.modes import INITIAL, Modes
from fedzmq.pointers.origins import Origin, origin, shown
from fedzmq.pointers.outbox import Record
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.remote import Remote
from fedzmq.pointers.shipment import Shipment
from fedzmq.recording.differentiation import TAKE, Differentiation
from fedzmq.recording.journal import Journal
from fedzmq.recording.own_backward import OwnBackwards
from fedzmq.recording.packs import NETWORKS, PACK, PAD, Pack, pack_of, packed, padded, run
from fedzmq.recording.refusal import WAY_OUT, needs_value, refused
from fedzmq.recording.suppositions import Suppositions, Unknown, choice_of, stand_in
from fedzmq.tensors.buffers import export
from fedzmq.transports.connection import Buffer
from fedzmq.wire.apply import results_of
from fedzmq.wire.messages import Backward, Command, Described, Description, Gradients, SetData

DETACH = torch.Tensor.detach
_GETITEM = CATALOG.number(torch.Tensor.__getitem__)
_ONE_HOT = "say sizes that values would tell, such as the number of classes of one_hot"
_WRITE = "write into the tensor that is there: with torch.no_grad(): x.copy_(value)"


class AutocastMet(Exception):
    """What autocast does to dtypes, no effect that is learned apart from a device tells."""


class Nowhere:
    """The line of a recording: there is no worker at the end of it."""

    worker = "plan"

    def post(self, frames: list[Buffer]) -> None:
        """Nothing is ever flushed."""

    def request(self) -> int:
        raise needs_value("a value")

    def wait(self, request: int) -> NoReturn:
        raise needs_value("a value")

    def interrupt(self, commands: int) -> None:
        """Nothing runs."""


class Tape(Journal):
    """Keeps what is an operation on tensors, and refuses the rest."""

    def __init__(self, effects: Effects | None = None, suppositions: Suppositions | None = None) -> None:
        super().__init__(Nowhere(), effects)
        self.mutated: set[int] = set()
        self.unknown: list[Unknown] = []
        self._suppositions = suppositions
        self._supposed: list[tuple[int, int, int]] = []  # of the next record: which output, dimension and size
        self._packs: dict[int, Pack] = {}  # by the tensor of their sizes
        self._packed: Pack | None = None  # by the next record
        self._sequences: dict[int, int] = {}  # of packed sequences, what their sizes begin with
        self.backwards = OwnBackwards(self)
        self._differentiation = Differentiation(self, self.backwards)

    def input(self, meta: Meta) -> Pointer:
        kind: Kind = meta.kind
        reference = Reference(self, self.new_id(), meta.of_kind(CONSTANT))
        if kind:
            reference.become_leaf()
        reference.kept = True
        self._differentiation.last_input = reference.id
        return Pointer.around(reference)

    def append(self, record: Record, modes: Modes, origin: Origin | None) -> None:
        self._check(modes, origin)
        self._keep(record, modes, origin)
        if record[1] == 0:  # in place, on its first argument
            self._write(record[3][0])

    def ship(self, record: Record, modes: Modes, origin: Origin | None, shipment: Shipment) -> None:
        self._check(modes, origin)
        for place, tensor in zip(shipment.places, shipment.tensors, strict=True):
            place[2] = len(self.constants)
            self.constants.append(bytes(export(tensor, copy=True)[2]))
        self._keep(record, modes, origin)
        ids = results_of(record)
        self.unknown += [Unknown(ids[output], dimension, size) for output, dimension, size in self._supposed]
        self._supposed = []
        if self._packed is not None:
            self._packs[ids[1]] = self._packed
            self._packed = None

    def supposed(self, call: Call) -> Effect | None:
        if self._suppositions is None:
            return None
        if call.func is PACK:
            return self._pack(call, self._suppositions)
        if call.func is PAD or call.func in NETWORKS:
            sizes = call.args[1]
            pack = self._packs.get(sizes._ref.id) if isinstance(sizes, Remote) else None
            return None if pack is None else self._learn(call, run if call.func in NETWORKS else padded(pack))
        choice = choice_of(call.func, call.args, call.kwargs)
        if choice is None:
            return None
        if not isinstance(choice.tensor, Remote):
            size = int(choice.tensor.count_nonzero())
            return self._effect_of(call, size) if choice.of == "true" else None
        key = (choice.of, choice.least, self._values.truths(choice.tensor._ref.id))
        is_new = self._suppositions.is_new(key)
        size = self._suppositions.size(key, choice)
        effect, other = self._effect_of(call, size), self._effect_of(call, size + 1)
        for place, (one, another) in enumerate(zip(effect.outputs, other.outputs, strict=True)):
            differ = [n for n, (a, b) in enumerate(zip(one.meta.shape, another.meta.shape, strict=True)) if a != b]
            if differ and is_new:
                self._supposed = [(place, differ[0], size)]
                break
        return effect

    def _pack(self, call: Call, suppositions: Suppositions) -> Effect | None:
        value, lengths, batch_first = call.args
        if not isinstance(lengths, Remote):
            return None
        most = value.shape[1 if batch_first else 0]
        key = ("steps", most, self._values.of(lengths._ref.id))
        is_new = suppositions.is_new(key)
        pack = self._packed = pack_of(suppositions.steps(key, most), value, batch_first)
        if is_new:
            self._supposed = [(0, 0, pack.rows), (1, 0, pack.steps)]
        return self._learn(call, packed(pack))

    def _effect_of(self, call: Call, size: int) -> Effect:
        return self._learn(call, stand_in(call.func, size))

    def _learn(self, call: Call, function: Callable[..., Any]) -> Effect:
        return self.effects.learn(call.number, call.metas, lambda operands: call.by(function, operands))

    def _keep(self, record: Record, modes: Modes, origin: Origin | None) -> None:
        self.note(record if modes.grad else self._without_history(record, origin), modes, origin)

    def note(self, record: Record, modes: Modes, origin: Origin | None) -> int:
        if record[0] == _GETITEM and record[3][0] in self._packs and record[3][1:] == [0]:
            self._sequences[record[1]] = self._packs[record[3][0]].sequences
        return super().note(record, modes, origin)

    def noticed(self, written: Sequence[int], views: Sequence[tuple[int, int]]) -> None:
        for view, base in views:
            self.shares(view, base)
        for id in written:
            self._write(id)

    def command(self, command: Command, origin: Origin | None) -> None:
        if isinstance(command, Gradients):
            self._differentiation.take(command, origin)
        elif isinstance(command, Backward):
            self._differentiation.backward(command, origin)
        elif isinstance(command, SetData) and command.source == command.id:
            pass  # as a module's `to` does, where there is nothing to do
        elif isinstance(command, SetData):
            raise refused("assigning to .data", origin, _WRITE)
        else:
            raise refused(f"{type(command).__name__}, which is no operation on tensors,", origin)

    def require_grad(self, id: int, value: bool) -> int:
        """From here on the tensor is another one, with the same memory."""
        if not value:
            raise refused("requires_grad_(False)", way_out="use detach() instead, where no gradient is to flow")
        wanted = self.new_id()
        self.note((CATALOG.number(leaf), wanted, 1, [id]), INITIAL, origin())
        self.shares(wanted, id)
        return wanted

    def linked(self, call: OwnCall) -> dict[int, Any]:
        return self.backwards.linked(call)

    def put(self, tensor: torch.Tensor, requires_grad: bool = False) -> int:
        id = self.new_id()
        dtype, shape, data = export(tensor, copy=True)
        here = {"x": [dtype, list(shape), len(self.constants)]}
        self.constants.append(bytes(data))
        self.note((CATALOG.number(torch.Tensor.clone), id, 0, [here]), INITIAL, origin())
        return self.require_grad(id, True) if requires_grad else id

    def describe(self, ids: Sequence[int]) -> tuple[Description, ...]:
        """Of gradients that will be there; how they will lie is not known."""
        return tuple([Description("any", (), (), id in self._differentiation.differentiable, 0) for id in ids])

    def version(self, id: int) -> int:
        raise needs_value("Tensor._version, which counts writes on a worker,")

    def probe(
        self, record: Record, modes: Modes, origin: Origin | None, shipment: Shipment, more: int = 0
    ) -> tuple[int, Described]:
        name = CATALOG.names[record[0]]
        what = f"{name}, whose result has a shape that depends on values,"
        raise refused(what, origin, _ONE_HOT if name.endswith("one_hot") else WAY_OUT)

    def fetch(self, ids: Sequence[int]) -> list[torch.Tensor]:
        known = [self._sequences.get(id) for id in ids]
        if None in known:
            raise needs_value("a value")
        return [torch.tensor(each) for each in known]

    def sync(self) -> None:
        raise refused("sync")

    def flush(self) -> None:
        """There is nowhere to flush to."""

    def needs_value(self, what: str) -> Exception:
        return needs_value(f"{what}, which needs a value,")

    def hooked(self, pointer: torch.Tensor, hook: Callable[..., Any]) -> RemovableHandle | None:
        assert isinstance(pointer, Remote)
        return self._differentiation.hook(pointer, hook)

    def takes_no_hook(self) -> Exception | None:
        return refused("what keeps a gradient, or is called once a leaf has one,", None, TAKE)

    def meets_nothing(self) -> Exception | None:
        return refused(
            "a tensor that lives on a worker, or was kept from another batch",
            way_out="what a model keeps from batch to batch is a buffer: register_buffer(name, torch.zeros(...))",
        )

    def _check(self, modes: Modes, origin: Origin | None) -> None:
        if modes.autocast is not None and self.effects.device.type == "meta":
            raise AutocastMet
        if modes.default_dtype is not INITIAL.default_dtype:
            raise refused(f"a default dtype of {modes.default_dtype}", origin, "name the dtype of what is made there")

    def _write(self, id: int) -> None:
        self.mutated.add(self.base(id))
        self._values.write(id)

    def _without_history(self, record: Record, origin: Origin | None) -> Record:
        """An operation under no_grad: the same one on detached operands, because a record cannot say it otherwise."""
        operation, result, mask, arguments, *keywords = record
        arguments = [
            self._detached(argument, origin) if mask >> index & 1 else self._all_detached(argument, origin)
            for index, argument in enumerate(arguments)
        ]
        return (operation, result, mask, arguments, *[self._all_detached(each, origin) for each in keywords])

    def _detached(self, id: int, origin: Origin | None) -> int:
        detached = self.new_id()
        self.records.append((CATALOG.number(DETACH), detached, 1, [id]))
        self.lines.append(shown(origin))
        self.shares(detached, id)
        self._values.note(self.records[-1], self.constants)
        return detached

    def _all_detached(self, argument: Any, origin: Origin | None) -> Any:
        if isinstance(argument, list):
            return [self._all_detached(each, origin) for each in argument]
        if isinstance(argument, dict):
            if "p" in argument and len(argument) == 1:
                return {"p": self._detached(argument["p"], origin)}
            return {key: self._all_detached(each, origin) for key, each in argument.items()}
        return argument
