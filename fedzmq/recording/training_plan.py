"""A module and its loss as a plan: the training step that travels in place of the module's code."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.func import functional_call

from fedzmq.errors import PlanError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.check import LOSS, check
from fedzmq.plans.plan import Output, Plan, Slot
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.metadata import CONSTANT, LEAF, Meta
from fedzmq.recording.batch_rows import generalise
from fedzmq.recording.registers import Registers
from fedzmq.recording.tracing import Recording, record
from fedzmq.tensors.dtypes import name_of

CORRECT = "accuracy"  # the second output: how many classes were guessed, of which a worker takes the mean
ROWS = (7, 11)  # two primes: a number that is a multiple of both by chance is not to be expected

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def training_plan(module: torch.nn.Module, loss: Loss, features: torch.Tensor, targets: torch.Tensor) -> bytes:
    """Record `loss(module(features), targets)` in the module's present mode, for batches of any size.

    Of `features` and `targets`, shaped (rows, ...), only the form counts. The module is not changed. Targets that are
    one integer each are classes, and then the plan also counts the examples whose class was guessed. Raises PlanError,
    which names the user's line, for a module that does something else than operations on tensors.
    """
    parameters, buffers = dict(module.named_parameters()), dict(module.named_buffers())
    names = [*parameters, *buffers]
    state = [*parameters.values(), *buffers.values()]
    guesses = targets.dim() == 1 and not targets.is_floating_point()

    def step(*given: torch.Tensor) -> list[torch.Tensor]:
        *held, x, y = given
        with torch.enable_grad():  # whatever the caller is in: a plan is there to be trained
            output = functional_call(module, dict(zip(names, held, strict=True)), (x,))
            outputs = [_one_number(loss(output, y))]
            if guesses and output.dim() == 2:
                outputs.append((output.argmax(1) == y).sum())
            return outputs

    effects = Effects("meta")  # where no import of torch's compiler makes the first round wait
    recordings = [
        record(step, [*(_meta(each) for each in state), _rows(features, rows), _rows(targets, rows)], effects)
        for rows in ROWS
    ]
    plan = _plan(recordings, parameters, buffers, features, targets)
    check(plan)
    return plan.to_bytes()


def _plan(
    recordings: Sequence[Recording],
    parameters: dict[str, torch.nn.Parameter],
    buffers: dict[str, torch.Tensor],
    features: torch.Tensor,
    targets: torch.Tensor,
) -> Plan:
    first, second = recordings
    registers = Registers(first, second)
    records = tuple(registers.records(generalise(first, ROWS[0], second, ROWS[1]), first.origins))
    names = (LOSS, CORRECT)
    return Plan(
        CATALOG.digest(),
        tuple(_slot(name, each, each.requires_grad) for name, each in parameters.items()),
        tuple(_slot(name, each, False) for name, each in buffers.items()),
        (_column("features", features), _column("targets", targets)),
        tuple(registers.constants),
        records,
        tuple(Output(name, registers.register(id)) for name, id in zip(names, first.outputs, strict=False)),
    )


def _one_number(loss: object) -> torch.Tensor:
    if not isinstance(loss, torch.Tensor):
        raise PlanError(f"the loss is of type {type(loss).__name__}, and a tensor was expected")
    if loss.dim() != 0:
        raise PlanError(f"the loss has the shape {tuple(loss.shape)}, and one number is needed: take its mean")
    return loss


def _meta(tensor: torch.Tensor) -> Meta:
    return Meta(tensor.shape, tensor.dtype, tensor.contiguous().stride(), LEAF if tensor.requires_grad else CONSTANT)


def _rows(tensor: torch.Tensor, rows: int) -> Meta:
    shape = torch.Size((rows, *tensor.shape[1:]))
    return Meta(shape, tensor.dtype, torch.empty(shape, device="meta").stride(), CONSTANT)


def _slot(name: str, tensor: torch.Tensor, trained: bool) -> Slot:
    return Slot(name, name_of(tensor.dtype), tuple(tensor.shape), trained)


def _column(name: str, tensor: torch.Tensor) -> Slot:
    return Slot(name, name_of(tensor.dtype), tuple(tensor.shape[1:]), False)
