"""What client and worker say to each other: a closed set of commands and replies, each with a number.

The fields of a message are its wire form, in order: to add, move or retype one is to change the protocol. Ids of
tensors and numbers of requests are the client's own: they start at 1 and are never reused. A `Ref` of 0 is "none".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, TypeAlias

from fedzmq.wire.apply import check_apply
from fedzmq.wire.kinds import AtMost, Between, Checked, Finite
from fedzmq.wire.limits import MAX_BUFFERS, MAX_INT, MAX_OUTPUTS, MAX_PLAN, MAX_RANK

Positive: TypeAlias = Annotated[int, Between(1, MAX_INT)]
Id: TypeAlias = Positive
Ref: TypeAlias = Annotated[int, Between(0, MAX_INT)]
Count: TypeAlias = Annotated[int, Between(0, MAX_INT)]
Seconds: TypeAlias = Annotated[float, Finite()]
Shape: TypeAlias = Annotated[tuple[Count, ...], AtMost(MAX_RANK)]
Stride: TypeAlias = Annotated[tuple[int, ...], AtMost(MAX_RANK)]
Apply: TypeAlias = Annotated[list[Any], Checked(check_apply)]
"""`[operation, result, mask, arguments]` or the same with keyword arguments: see `fedzmq.wire.apply`."""
Boot: TypeAlias = Annotated[bytes, AtMost(64)]
"""Which incarnation of a party: another one for every process."""
Tags: TypeAlias = Annotated[tuple[str, ...], AtMost(64)]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor whose bytes are buffer number `buffer` of the same message, row-major and without gaps."""

    dtype: str
    shape: Shape
    buffer: Annotated[int, Between(0, MAX_BUFFERS - 1)]


Tensors: TypeAlias = Annotated[tuple[TensorSpec, ...], AtMost(MAX_BUFFERS)]


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong on a worker, as text. It never holds a value of a tensor.

    `command` is the 1-based position of the record in its client's stream to this worker, 0 when it has none. `error`
    is the name of the exception's type, and `shapes` says what the operands were, such as "float32[2, 3]".
    """

    command: Count
    operation: str
    error: str
    message: str
    traceback: str
    shapes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Description:
    """A tensor on a worker, without its values."""

    dtype: str
    shape: Shape
    stride: Stride
    requires_grad: bool


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """One data set of a worker: its columns (features, then target) by the shape and dtype of one example.

    labels: how many examples of each class it has, where the owner lets that be told; empty otherwise.
    """

    name: str
    rows: Count
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]
    classes: Count | None
    labels: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True)
class Put:
    """Store a new tensor."""

    id: Id
    tensor: TensorSpec
    requires_grad: bool


@dataclass(frozen=True, slots=True)
class Drop:
    """Forget tensors; an id that is not there is passed over."""

    ids: tuple[Id, ...]


@dataclass(frozen=True, slots=True)
class Mode:
    """The modes under which this client's later records run. `autocast` is a dtype, or None when it is off."""

    grad: bool
    autocast: str | None
    default_dtype: str


@dataclass(frozen=True, slots=True)
class Seed:
    """Seed the random numbers that this client's operations draw."""

    value: int


@dataclass(frozen=True, slots=True)
class RequireGrad:
    """`tensor.requires_grad_(value)`."""

    id: Id
    value: bool


@dataclass(frozen=True, slots=True)
class SetGrad:
    """`tensor.grad = grad`."""

    id: Id
    grad: Ref


@dataclass(frozen=True, slots=True)
class SetData:
    """`tensor.data = source`."""

    id: Id
    source: Id


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a hook of the client's made of the gradient of a tensor: it goes on in that one's place."""

    tensor: Id
    gradient: Id


@dataclass(frozen=True, slots=True)
class Backward:
    """Run `root.backward()` and bind the `.grad` of `leaves[i]` to the id `grads[i]`.

    One of the `leaves` that is none, but in the middle of the graph, has its gradient added to what that id holds.
    """

    root: Id
    gradient: Ref
    retain_graph: bool
    create_graph: bool
    leaves: tuple[Id, ...]
    grads: tuple[Id, ...]
    replaced: tuple[Replaced, ...] = ()


@dataclass(frozen=True, slots=True)
class Gradients:
    """Run `torch.autograd.grad` and bind its outcome to `results`, where 0 is not kept.

    `grad_outputs` is empty, or as long as `outputs` with 0 for None.
    """

    outputs: tuple[Id, ...]
    inputs: tuple[Id, ...]
    grad_outputs: tuple[Ref, ...]
    results: tuple[Ref, ...]
    retain_graph: bool
    create_graph: bool
    allow_unused: bool
    replaced: tuple[Replaced, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """Apply an operation whose outputs only its values tell: bind them to first, first + 1, ..., `room` at most."""

    request: Id
    first: Id
    room: Annotated[int, Between(1, MAX_OUTPUTS)]
    record: Apply


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function of the worker's owner by its name, and else as Probe: the record's operation means nothing."""

    request: Id
    name: str
    first: Id
    room: Annotated[int, Between(1, MAX_OUTPUTS)]
    record: Apply


@dataclass(frozen=True, slots=True)
class ListFunctions:
    """Ask which functions the worker's owner lets clients call; answered by FunctionsListed."""

    request: Id


@dataclass(frozen=True, slots=True)
class Describe:
    """Ask what stored gradients are like, answered by Described or Failed: one that is None has no dtype there."""

    request: Id
    ids: tuple[Id, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for a value; answered by Value or Failed."""

    request: Id
    id: Id


@dataclass(frozen=True, slots=True)
class Sync:
    """Ask for the failures that no one has been told of; answered by Synced once all before it has run."""

    request: Id


@dataclass(frozen=True, slots=True)
class DescribeData:
    """Ask which data sets the worker offers; answered by DataDescribed."""

    request: Id


@dataclass(frozen=True, slots=True)
class DefinePlan:
    """Make a plan known under the hash of its bytes."""

    plan: Annotated[bytes, AtMost(MAX_PLAN)]


@dataclass(frozen=True, slots=True)
class Local:
    """What a worker does beside plain training, and what of it stays there.

    proximal: how strongly the weights are pulled to those that came. ditto: the same for a second model, which is the
    worker's own and stays there; None is no such model. loss_before: tell the loss of the model that came, too.
    personal: parameters and buffers that keep the worker's own values, and do not travel back.
    What stays is kept under `run`. It goes on from what the training of round `basis` kept (0: from nothing), and is
    kept as that of `round`, so that a round that did not count leaves no trace.
    """

    proximal: Annotated[float, Finite()] = 0.0
    ditto: Annotated[float, Finite()] | None = None
    loss_before: bool = False
    personal: tuple[str, ...] = ()
    run: str = ""
    round: Count = 0
    basis: Count = 0


@dataclass(frozen=True, slots=True)
class Course:
    """How local training goes from step to step, beside the optimizer's own options.

    rate: the part of the learning rate that counts in this task. schedule: how it goes on from there in every step, see
    `fedzmq.worker.schedules`. clip_value, clip_norm: bounds of the gradients, see `fedzmq.worker.clipping`.
    max_steps, max_seconds: training is over after as many, and at least one step. None is no bound.
    """

    rate: Annotated[float, Finite()] = 1.0
    schedule: str = "constant"
    schedule_options: dict[str, bool | int | Annotated[float, Finite()]] = field(default_factory=dict)
    clip_value: Annotated[float, Finite()] | None = None
    clip_norm: Annotated[float, Finite()] | None = None
    max_steps: Positive | None = None
    max_seconds: Seconds | None = None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Which of a worker's examples are kept from training, to evaluate on: this share of them, by lot from the seed."""

    share: Annotated[float, Finite()] = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Train:
    """Train a plan on the worker's own data; answered by Trained, Failed, PlanMissing or ModelMissing, with Progress
    before.

    `plan` is the plan's hash, `state` its parameters and then its buffers in the plan's order, `report_every` the
    least time between two Progress. `control` is the global control variate of every parameter that is trained and not
    personal, or is empty: see `fedzmq.worker.corrections`. `model` names the state: the sha256 of its bytes in that
    order, or what else the run calls this state and no other. With it, and a run in `local`, a worker that has done the
    very same finds its result again. Where no state comes along, it is the one of that name that the client published.
    `ahead` is how many bytes of the result are to come along with the answer, as if they had been pulled.
    What is `held_out` is not trained on.
    """

    request: Id
    plan: str
    dataset: str
    state: Tensors
    epochs: Count
    batch_size: Positive
    optimizer: str
    options: dict[str, bool | int | Annotated[float, Finite()]]
    seed: int
    report_every: Seconds
    local: Local = field(default_factory=Local)
    control: Tensors = ()
    course: Course = field(default_factory=Course)
    model: str = ""
    ahead: Count = 0
    held_out: HeldOut = field(default_factory=HeldOut)


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Run a plan over the worker's examples, and add up what it gives for each batch; answered by Evaluated, Failed,
    PlanMissing or ModelMissing, with Progress before.

    `plan`, `state`, `model` and `report_every` are as in Train. Of the examples it is those that are `held_out`, or all
    where none are. `trained` is the plan whose training keeps here what is personal, after round `local.basis`; with
    `local.ditto`, the worker's own model is evaluated too. It is over after `max_steps` batches or `max_seconds`.
    """

    request: Id
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
class Listen:
    """Hear what this client publishes on its topic of that number, and on no other; 0 is none. Answered by Heard."""

    topic: Count


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a request that still runs; it is answered by Failed."""

    request: Id


@dataclass(frozen=True, slots=True)
class Pull:
    """Ask for a piece of what a Train of this client led to; answered by Pulled or Failed, while others train.

    start, stop: bytes of its tensors in a row, those that travel, in the plan's order; no element is split.
    """

    request: Id
    task: Id
    start: Count
    stop: Count


@dataclass(frozen=True, slots=True)
class Release:
    """A run is over: the result that the worker keeps of it can go."""

    run: str


@dataclass(frozen=True, slots=True)
class PutPlan:
    """Store a plan under an id of the client's, as tensors are stored, with the tensors that it keeps as its buffers.

    `writes` are the registers, of those that it is given, that it writes to: a run that fails spoils them.
    """

    id: Id
    plan: Annotated[bytes, AtMost(MAX_PLAN)]
    state: tuple[Id, ...]
    writes: tuple[Positive, ...]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """Run a stored plan once, without gradients: its parameters and then its columns are `arguments`.

    The outputs are bound to `results` in the plan's order, where 0 is not kept.
    """

    plan: Id
    arguments: tuple[Id, ...]
    results: tuple[Ref, ...]


@dataclass(frozen=True, slots=True)
class SharePlan:
    """Let other clients fetch a stored plan, by `key`, which nobody guesses, or by one of its tags."""

    plan: Id
    key: str
    tags: Annotated[tuple[str, ...], AtMost(64)]


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """Ask for a shared plan by its key or a tag; answered by PlanFetched, PlanMissing or Failed."""

    request: Id
    name: str


@dataclass(frozen=True, slots=True)
class Hand:
    """Post a tensor to another worker, to that incarnation of it, where the client claims it by `key`."""

    id: Id
    worker: str
    boot: Boot
    key: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Store what that incarnation of a worker posts here under `key`. What comes after this waits until it is here."""

    id: Id
    key: str
    worker: str
    boot: Boot
    requires_grad: bool


@dataclass(frozen=True, slots=True)
class Lost:
    """That incarnation of a worker is gone: what it has not posted will not come."""

    worker: str
    boot: Boot


@dataclass(frozen=True, slots=True)
class Label:
    """Give a tensor these tags and this description, in place of those that it had."""

    id: Id
    tags: Tags
    description: str


@dataclass(frozen=True, slots=True)
class Share:
    """Let other clients find a tensor: the named ones, or all where none is named."""

    id: Id
    clients: Annotated[tuple[str, ...], AtMost(64)]


@dataclass(frozen=True, slots=True)
class Restrict:
    """Let the value of a tensor, and of all that is computed from it, leave the worker for these clients alone."""

    id: Id
    users: Tags


@dataclass(frozen=True, slots=True)
class Search:
    """Find tensors to which every term fits; answered by Found. They are bound to first, first + 1 and so on.

    A term fits that is a tag, or part of the description. What is bound shares the memory, and is a tensor of its own.
    Where more is found than there is `room` for, nothing is bound.
    """

    request: Id
    terms: Tags
    first: Id
    room: Annotated[int, Between(0, MAX_OUTPUTS)]


@dataclass(frozen=True, slots=True)
class ListObjects:
    """Ask for all that this client stores; answered by Found, with its own ids."""

    request: Id


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget everything that this client stores."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """From worker to worker: a tensor that a client moves, for whoever of this name claims it."""

    key: str
    client: str
    tensor: TensorSpec


@dataclass(frozen=True, slots=True)
class Undelivered:
    """From worker to worker: why no tensor comes under that key."""

    key: str
    client: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Value:
    """The answer to Fetch."""

    request: Id
    tensor: TensorSpec


@dataclass(frozen=True, slots=True)
class FunctionsListed:
    """The answer to ListFunctions."""

    request: Id
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Described:
    """The answer to Probe, Call and Describe. `bare` says that an operation gave one tensor, and not several."""

    request: Id
    tensors: tuple[Description, ...]
    bare: bool


@dataclass(frozen=True, slots=True)
class Synced:
    """The answer to Sync: failures in the order of their commands."""

    request: Id
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer to any request that could not be met."""

    request: Id
    failure: Failure


@dataclass(frozen=True, slots=True)
class DataDescribed:
    """The answer to DescribeData."""

    request: Id
    datasets: tuple[DatasetInfo, ...]


@dataclass(frozen=True, slots=True)
class PlanMissing:
    """The answer to a Train, or a FetchPlan, whose plan this worker does not have."""

    request: Id
    plan: str


@dataclass(frozen=True, slots=True)
class ModelMissing:
    """The answer to a Train or an Evaluate whose state neither came along nor came whole on the client's topic."""

    request: Id
    model: str


@dataclass(frozen=True, slots=True)
class Heard:
    """This worker listens to that topic of the client's (0: to none), and has come so far in what it publishes."""

    topic: Count
    position: Count


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a Train or an Evaluate has come; `loss` is of the last step, NaN included."""

    request: Id
    epoch: Count
    step: Count
    steps: Count
    loss: float


@dataclass(frozen=True, slots=True)
class Trained:
    """The answer to Train: the mean loss over the last epoch, and how many steps were done.

    `examples` counts those that the model was trained on: a training that a limit ended may not have come to all. The
    new state stays where it is, to be pulled: in the plan's order, without what is personal. `parts` are its first
    bytes, where the task asked for them.
    """

    request: Id
    examples: Count
    loss: float
    seconds: Seconds
    metrics: dict[str, float]
    steps: Count = 0
    parts: Tensors = ()


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The answer to Evaluate: the sums over so many examples, in the order of the plan's outputs and in float64; then
    the same again for the worker's own model, where it has one.
    """

    request: Id
    examples: Count
    sums: Tensors
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Pulled:
    """The answer to Pull: what lies in that range of each tensor that it touches, flattened."""

    request: Id
    parts: Tensors


@dataclass(frozen=True, slots=True)
class PlanFetched:
    """The answer to FetchPlan: the plan, under its key, and the values that its buffers have now."""

    request: Id
    key: str
    plan: Annotated[bytes, AtMost(MAX_PLAN)]
    state: Tensors


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """A stored tensor, without its values: `owner` is the client that stores it."""

    id: Id
    tensor: Description
    tags: Tags
    description: str
    owner: str


@dataclass(frozen=True, slots=True)
class Found:
    """The answer to Search and to ListObjects. `total` counts what the room was too small for, too."""

    request: Id
    total: Count
    objects: tuple[ObjectInfo, ...]


Command: TypeAlias = (
    Put
    | Drop
    | Mode
    | Seed
    | RequireGrad
    | SetGrad
    | SetData
    | Backward
    | Gradients
    | Probe
    | Describe
    | Fetch
    | Sync
    | DescribeData
    | DefinePlan
    | Train
    | Evaluate
    | Listen
    | Cancel
    | Pull
    | Release
    | PutPlan
    | RunPlan
    | SharePlan
    | FetchPlan
    | Hand
    | Claim
    | Lost
    | Label
    | Share
    | Restrict
    | Call
    | ListFunctions
    | Search
    | ListObjects
    | Clear
    | Deliver
    | Undelivered
)
Reply: TypeAlias = (
    Value
    | Described
    | Synced
    | Failed
    | DataDescribed
    | PlanMissing
    | ModelMissing
    | Progress
    | Trained
    | Evaluated
    | PlanFetched
    | Pulled
    | Found
    | FunctionsListed
)
Message: TypeAlias = Command | Reply | Heard

TAGS: dict[int, type] = {
    1: Put,
    2: Drop,
    3: Mode,
    4: Seed,
    5: RequireGrad,
    6: SetGrad,
    7: SetData,
    8: Backward,
    9: Gradients,
    10: Probe,
    11: Fetch,
    12: Sync,
    13: DescribeData,
    14: DefinePlan,
    15: Train,
    16: Cancel,
    17: PutPlan,
    18: RunPlan,
    19: SharePlan,
    20: FetchPlan,
    21: Pull,
    22: Release,
    23: Describe,
    24: Listen,
    25: Evaluate,
    32: Value,
    33: Described,
    34: Synced,
    35: Failed,
    36: DataDescribed,
    37: PlanMissing,
    38: Progress,
    39: Trained,
    40: PlanFetched,
    41: Pulled,
    42: Evaluated,
    44: ModelMissing,
    45: Heard,
    64: Hand,
    65: Claim,
    66: Lost,
    67: Label,
    68: Share,
    69: Search,
    70: ListObjects,
    71: Clear,
    72: Deliver,
    73: Undelivered,
    74: Restrict,
    75: Call,
    76: ListFunctions,
    96: Found,
    97: FunctionsListed,
}
"""The number of each message on the wire, negated there. A number is never given to another message."""
