"""A function run once on pointers that lead nowhere: its operations are recorded instead of sent.

Same pointers, same effects, same records as on a worker: only the stream is another. Ids are given in order, so that
two recordings of one function on inputs of different sizes differ in nothing but sizes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from traceback import walk_tb
from types import FrameType
from typing import Any, NoReturn

import torch

from fedzmq.errors import OperationRefused, PlanError, TensorsNotCollocatedException
from fedzmq.operations.catalog import CATALOG
from fedzmq.pointers.call import Call
from fedzmq.pointers.effects import Effect, Effects
from fedzmq.pointers.line import Line
from fedzmq.pointers.metadata import CONSTANT, Kind, Meta, meta_of
from fedzmq.pointers.modes import INITIAL, Modes
from fedzmq.pointers.origins import LIBRARY, Origin, origin, shown
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.reference import Reference
from fedzmq.pointers.remote import Remote
from fedzmq.pointers.shipment import Shipment
from fedzmq.pointers.stream import Record, Stream
from fedzmq.recording.makers import Makers
from fedzmq.recording.suppositions import Suppositions, Unknown, choice_of, stand_in
from fedzmq.recording.values import Values
from fedzmq.tensors.buffers import export
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import Command, Described

DETACH = torch.Tensor.detach
_ONE_HOT = "say sizes that values would tell, such as the number of classes of one_hot"
_WAY_OUT = "use torch.where and masks instead of branches, and take gradients and values outside"
_APPLY = torch.autograd.Function.apply.__func__.__code__  # type: ignore[attr-defined]  # a class method's


@dataclass(frozen=True, slots=True)
class Recording:
    """What a function does, as operations on numbered tensors.

    Inputs are numbered 1, 2, ... in order. `outputs` are the ids of the tensors that the function returned, flattened;
    an input that is returned as it came is among them. `mutated` are the inputs that were written to, if only through a
    view. Local tensors that the function used are among the arguments as `{"x": [dtype, shape, n]}` with their bytes in
    `constants[n]`. `origins` says for each record which line of the user's program it comes from. `unknown` are the
    sizes that only values tell, in the order in which they came up.
    """

    records: tuple[Record, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_metas: tuple[Meta, ...]
    mutated: tuple[int, ...]
    constants: tuple[bytes, ...]
    origins: tuple[str, ...]
    unknown: tuple[Unknown, ...] = ()


def record(
    function: Callable[..., Any],
    inputs: Sequence[Meta | torch.Tensor],
    effects: Effects | None = None,
    makers: Makers | None = None,
    suppositions: Suppositions | None = None,
) -> Recording:
    """Call `function(*pointers)`, one pointer for each input, and record what it does.

    An input is metadata, or a tensor whose metadata is meant (a leaf that requires grad is one in the recording).
    `makers` says which of the tensors that the function makes itself are made on the tape, and `suppositions` what is
    supposed of sizes that values would tell; without them such a size is an error. Raises PlanError, which names the
    line, where the function needs a value, takes a gradient itself, or does anything else that a list of operations
    cannot say.
    """
    tape = Tape(effects, suppositions)
    metas = [each if isinstance(each, Meta) else meta_of(each) for each in inputs]
    pointers = [tape.input(meta) for meta in metas]
    try:
        with makers.onto(tape) if makers is not None else nullcontext():
            returned = _flat(function(*pointers))
    except (OperationRefused, TensorsNotCollocatedException) as error:
        raise PlanError(f"{error}{at_line(error)}") from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise PlanError(
                f"a function that torch.jit compiled{at_line(error)} cannot be recorded: call the one that it was made "
                "from, without the decorator"
            ) from error
        if tape.unknown and suppositions is not None and suppositions.is_bold:
            raise PlanError(
                f"{error}{at_line(error)}: how much masks choose only values tell, and what is to fit together in a "
                "plan is chosen by one mask"
            ) from error
        if "meta tensor" not in str(error):
            raise
        raise PlanError(
            f"something that needs a value{at_line(error)} cannot be part of a plan ({error}); say sizes that values "
            "would tell, such as the number of classes of one_hot"
        ) from error
    ids: list[int] = []
    outputs: list[Meta] = []
    for tensor in returned:
        if not isinstance(tensor, Pointer) or tensor._ref.stream is not tape:
            raise PlanError(f"the function returns {tensor!r:.80}, which does not depend on its inputs")
        ids.append(tensor._ref.id)
        outputs.append(tensor._ref.meta)
    inputs_ids = tuple(pointer._ref.id for pointer in pointers)
    return Recording(
        tuple(tape.records),
        inputs_ids,
        tuple(ids),
        tuple(outputs),
        tuple(id for id in inputs_ids if id in tape.mutated),
        tuple(tape.constants),
        tuple(tape.lines),
        tuple(tape.unknown),
    )


class Nowhere:
    """The line of a recording: there is no worker at the end of it."""

    worker = "plan"

    def post(self, frames: list[Buffer]) -> None:
        """Nothing is ever flushed."""

    def request(self) -> int:
        raise _refused("a value")

    def wait(self, request: int) -> NoReturn:
        raise _refused("a value")


class Tape(Stream):
    """A stream that keeps its records."""

    is_recording = True

    def __init__(self, effects: Effects | None = None, suppositions: Suppositions | None = None) -> None:
        line: Line = Nowhere()
        super().__init__(line, effects=effects)
        self.records: list[Record] = []
        self.lines: list[str] = []
        self.constants: list[bytes] = []
        self.mutated: set[int] = set()
        self.unknown: list[Unknown] = []
        self._suppositions = suppositions
        self._supposed: tuple[int, int, int] | None = None  # of the next record: which output, dimension and size
        self._bases: dict[int, int] = {}
        self._values = Values(lambda id: self._bases.get(id, id))

    def input(self, meta: Meta) -> Pointer:
        kind: Kind = meta.kind
        reference = Reference(self, self.new_id(), meta.of_kind(CONSTANT))
        if kind:
            reference.become_leaf()
        reference.kept = True
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
        if self._supposed is not None:
            place_of, dimension, size = self._supposed
            ids = record[1] if isinstance(record[1], list) else [record[1]]
            self.unknown.append(Unknown(ids[place_of], dimension, size))
            self._supposed = None

    def supposed(self, call: Call) -> Effect | None:
        choice = None if self._suppositions is None else choice_of(call.func, call.args, call.kwargs)
        if self._suppositions is None or choice is None:
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
                self._supposed = (place, differ[0], size)
                break
        return effect

    def _effect_of(self, call: Call, size: int) -> Effect:
        function = stand_in(call.func, size)
        return self.effects.learn(call.number, call.metas, lambda operands: call.by(function, operands))

    def _keep(self, record: Record, modes: Modes, origin: Origin | None) -> None:
        if not modes.grad:
            record = self._without_history(record, origin)
        self.records.append(record)
        self.lines.append(shown(origin))
        self._values.note(record, self.constants)

    def noticed(self, written: Sequence[Reference], views: Sequence[tuple[Reference, Reference]]) -> None:
        for view, base in views:
            self._bases[view.id] = self._bases.get(base.id, base.id)
        for reference in written:
            self._write(reference.id)

    def command(self, command: Command, origin: Origin | None) -> None:
        raise _refused(f"{type(command).__name__}, which is no operation on tensors,", origin)

    def put(self, tensor: torch.Tensor, kind: Kind = CONSTANT) -> Reference:
        raise _refused("send: a local tensor that the function uses becomes a constant of the plan by itself;")

    def probe(self, record: Record, modes: Modes, origin: Origin | None, shipment: Shipment) -> tuple[int, Described]:
        name = CATALOG.names[record[0]]
        what = f"{name}, whose result has a shape that depends on values,"
        raise _refused(what, origin, _ONE_HOT if name.endswith("one_hot") else _WAY_OUT)

    def fetch(self, ids: Sequence[int]) -> list[torch.Tensor]:
        raise _refused("a value")

    def sync(self) -> None:
        raise _refused("sync")

    def flush(self) -> None:
        """There is nowhere to flush to."""

    def needs_value(self, what: str) -> Exception:
        return _refused(f"{what}, which needs a value,")

    def takes_no_hook(self) -> Exception | None:
        return _refused("a hook on a gradient")

    def meets_nothing(self) -> Exception | None:
        return _refused(
            "a tensor that lives on a worker, or was kept from another batch",
            way_out="what a model keeps from batch to batch is a buffer: register_buffer(name, torch.zeros(...))",
        )

    def _check(self, modes: Modes, origin: Origin | None) -> None:
        if modes.autocast is not None:
            raise _refused("autocast", origin)
        if modes.default_dtype is not INITIAL.default_dtype:
            raise _refused(f"a default dtype of {modes.default_dtype}", origin)

    def _write(self, id: int) -> None:
        self.mutated.add(self._bases.get(id, id))
        self._values.write(id)

    def _without_history(self, record: Record, origin: Origin | None) -> Record:
        """An operation under no_grad: the same one on detached operands, because a record cannot say it otherwise."""
        if _in_a_function_of_autograd():
            raise PlanError(
                f"a torch.autograd.Function at {shown(origin)} cannot be part of a plan, which has no backward of "
                "yours: f(x).detach() + g(x) - g(x).detach() has the value of f and the gradient of g"
            )
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
        self._bases[detached] = self._bases.get(id, id)
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


def at_line(error: Exception) -> str:
    """Where in the user's program an error came from, in words; empty where that is not known."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__) if not frame.f_code.co_filename.startswith(LIBRARY)]
    return f" at {frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else ""


def _in_a_function_of_autograd() -> bool:
    """The forward of a `torch.autograd.Function` runs, whose backward no recording would hear of."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is _APPLY:
            return True
        frame = frame.f_back
    return False


def _refused(what: str, where: Origin | None = None, way_out: str = _WAY_OUT) -> PlanError:
    line = shown(where or origin())
    at = f" at {line}" if line else ""
    return PlanError(f"{what}{at} cannot be part of a plan: a plan is a fixed list of operations on tensors; {way_out}")


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [each for part in value for each in _flat(part)]
    if isinstance(value, dict):
        return [each for part in value.values() for each in _flat(part)]
    return [] if value is None else [value]
