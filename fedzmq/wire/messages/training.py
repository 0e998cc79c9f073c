"""A plan is trained on a worker's own data."""

from __future__ import annotations

from dataclasses import dataclass, field

from fedzmq.wire.messages.fields import Count, Positive, Real, Seconds
from fedzmq.wire.messages.message import Reply, Request
from fedzmq.wire.messages.tasks import HeldOut, Local
from fedzmq.wire.messages.tensors import Tensors


@dataclass(frozen=True, slots=True)
class Course:
    """How local training goes from step to step, beside the optimizer's own options.

    rate: the part of the learning rate that counts in this task. schedule: how it goes on from there in every step, see
    `fedzmq.worker.training.schedules`. clip_value, clip_norm: bounds of the gradients, see its `clipping`. max_steps,
    max_seconds: training is over after as many, and at least one step. None is no bound.
    """

    rate: Real = 1.0
    schedule: str = "constant"
    schedule_options: dict[str, bool | int | Real] = field(default_factory=dict)
    clip_value: Real | None = None
    clip_norm: Real | None = None
    max_steps: Positive | None = None
    max_seconds: Seconds | None = None


@dataclass(frozen=True, slots=True)
class Train(Request):
    """Train a plan on the worker's own data; answered by Trained, Failed, PlanMissing or ModelMissing, with Progress
    before.

    `plan` is the plan's hash, `state` its parameters and then its buffers in the plan's order, `report_every` the least
    time between two Progress. `control` is the global control variate of every parameter that is trained and not
    personal, or is empty: see `fedzmq.worker.training.corrections`. `model` names the state: the sha256 of its bytes in
    that order, or what else the run calls this state and no other. With it, and a run in `local`, a worker that has
    done the very same finds its result again. Where no state comes along, it is the one of that name that the client
    published. `ahead` is how many bytes of the result are to come along with the answer, as if they had been pulled.
    What is `held_out` is not trained on.
    """

    plan: str
    dataset: str
    state: Tensors
    epochs: Count
    batch_size: Positive
    optimizer: str
    options: dict[str, bool | int | Real]
    seed: int
    report_every: Seconds
    local: Local = field(default_factory=Local)
    control: Tensors = ()
    course: Course = field(default_factory=Course)
    model: str = ""
    ahead: Count = 0
    held_out: HeldOut = field(default_factory=HeldOut)


@dataclass(frozen=True, slots=True)
class Trained(Reply):
    """The answer to Train: the mean loss over the last epoch, and how many steps were done.

    `examples` counts those that the model was trained on: a training that a limit ended may not have come to all. The
    new state stays where it is, to be pulled: in the plan's order, without what is personal. `parts` are its first
    bytes, where the task asked for them. `way` is how far a gradient of one in every step would have led: the sum of
    the learning rates where neither momentum nor a pull makes another one of it, see `fedzmq.worker.training.way`.
    `fingerprint` tells the data set from what it was, see `fedzmq.worker.fingerprints`.
    """

    examples: Count
    loss: float
    seconds: Seconds
    metrics: dict[str, float]
    steps: Count = 0
    parts: Tensors = ()
    way: float = 0.0
    fingerprint: str = ""
