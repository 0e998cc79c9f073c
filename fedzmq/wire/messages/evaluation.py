"""A plan is evaluated on a worker's own data."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedzmq.wire.messages.fields import Count, Positive, Seconds
from fedzmq.wire.messages.message import Reply, Request
from fedzmq.wire.messages.tasks import HeldOut, Local
from fedzmq.wire.messages.tensors import Tensors


@dataclass(frozen=True, slots=True)
class Evaluate(Request):
    """Run a plan over the worker's examples, and add up what it gives for each batch; answered by Evaluated, Failed,
    PlanMissing or ModelMissing, with Progress before.

    `plan`, `state`, `model` and `report_every` are as in Train. Of the examples it is those that are `held_out`, or all
    where none are. `trained` is the plan whose training keeps here what is personal, after round `local.basis`; with
    `local.ditto`, the worker's own model is evaluated too. It is over after `max_steps` batches or `max_seconds`.
    """

    plan: str
    dataset: str
    state: Tensors
    batch_size: Positive
    seed: int
    report_every: Seconds
    trained: str = ""
    local: Local = field(default_factory=Local)
    model: str = ""
    held_out: HeldOut = field(default_factory=HeldOut)
    max_steps: Positive | None = None
    max_seconds: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Evaluated(Reply):
    """The answer to Evaluate: the sums over so many examples, in the order of the plan's outputs and in float64; then
    the same again for the worker's own model, where it has one.
    """

    examples: Count
    sums: Tensors
    seconds: Seconds
