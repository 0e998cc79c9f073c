"""A function run once on pointers that lead nowhere: its operations are recorded instead of sent.

Same pointers, same effects, same records as on a worker: only the stream is another. Ids are given in order, so that
two recordings of one function on inputs of different sizes differ in nothing but sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from traceback import walk_tb
from typing import Any

import torch

from fedzmq.errors import OperationRefused, PlanError, TensorsNotCollocatedException
from fedzmq.plans.plan import BackwardBody
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.meeting import HERE
from fedzmq.pointers.metadata import Meta, meta_of
from fedzmq.pointers.origins import LIBRARY
from fedzmq.pointers.outbox import Record
from fedzmq.pointers.own_functions import follow_own_functions
from fedzmq.pointers.pointer import Pointer
from fedzmq.recording.makers import Makers
from fedzmq.recording.refusal import WAY_OUT
from fedzmq.recording.suppositions import Suppositions, Unknown
from fedzmq.recording.tape import Tape


@dataclass(frozen=True, slots=True)
class Recording:
    """What a function does, as operations on numbered tensors.

    Inputs are numbered 1, 2, ... in order. `outputs` are the ids of the tensors that the function returned, flattened;
    an input that is returned as it came is among them. `mutated` are the inputs that were written to, if only through a
    view. Local tensors that the function used are among the arguments as `{"x": [dtype, shape, n]}` with their bytes in
    `constants[n]`. `origins` says for each record which line of the user's program it comes from. `unknown` are the
    sizes that only values tell, in the order in which they came up. `lowered` says for each record to which dtype
    autocast lowers it. `backwards` are those of the program's own functions.
    """

    records: tuple[Record, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_metas: tuple[Meta, ...]
    mutated: tuple[int, ...]
    constants: tuple[bytes, ...]
    origins: tuple[str, ...]
    unknown: tuple[Unknown, ...] = ()
    lowered: tuple[str | None, ...] = ()
    backwards: tuple[BackwardBody, ...] = ()


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
    line, where the function needs a value, or does anything else that a list of operations cannot say.
    """
    follow_own_functions()
    tape = Tape(effects, suppositions)
    metas = [each if isinstance(each, Meta) else meta_of(each) for each in inputs]
    pointers = [tape.input(meta) for meta in metas]
    inputs_ids = tuple(pointer._ref.id for pointer in pointers)
    try:
        with makers.onto(tape) if makers is not None else nullcontext():
            returned = _flat(function(*pointers))
    except TensorsNotCollocatedException as error:
        if HERE not in error.places:
            raise PlanError(f"{error}{at_line(error)}") from error
        raise PlanError(
            f"{error.operation}{at_line(error)} computes with a tensor of the program's own that requires grad or is "
            "written to: a plan brings along the parameters and buffers of its module, and its state; .detach() makes "
            "the present value a part of it"
        ) from error
    except OperationRefused as error:
        raise PlanError(f"{error}{at_line(error)}") from error
    except KeyError as error:
        if f" on {tape.worker}, #" not in str(error):
            raise
        raise PlanError(
            f"a key made of a pointer{at_line(error)} cannot be part of a plan ({error}); {WAY_OUT}"
        ) from error
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
    return Recording(
        tuple(tape.records),
        inputs_ids,
        tuple(ids),
        tuple(outputs),
        tuple(id for id in inputs_ids if id in tape.mutated),
        tuple(tape.constants),
        tuple(tape.lines),
        tuple(tape.unknown),
        tuple(tape.lowered),
        tuple(tape.backwards.found),
    )


def at_line(error: Exception) -> str:
    """Where in the user's program an error came from, in words; empty where that is not known."""
    frames = [frame for frame, _ in walk_tb(error.__traceback__) if not frame.f_code.co_filename.startswith(LIBRARY)]
    return f" at {frames[-1].f_code.co_filename}:{frames[-1].f_lineno}" if frames else ""


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [each for part in value for each in _flat(part)]
    if isinstance(value, dict):
        return [each for part in value.values() for each in _flat(part)]
    return [] if value is None else [value]
