"""What client and worker say to each other: a closed set of commands and replies, each with a number.

The fields of a message are its wire form, in order: to add, move or retype one is to change the protocol. Ids of
tensors and numbers of requests are the client's own: they start at 1 and are never reused. A `Ref` of 0 is "none".
"""

from __future__ import annotations

from dataclasses import dataclass
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
    """One data set of a worker: its columns (features, then target) by the shape and dtype of one example."""

    name: str
    rows: Count
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]
    classes: Count | None


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
class Backward:
    """Run `root.backward()` and bind the `.grad` of `leaves[i]` to the id `grads[i]`."""

    root: Id
    gradient: Ref
    retain_graph: bool
    create_graph: bool
    leaves: tuple[Id, ...]
    grads: tuple[Id, ...]


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


@dataclass(frozen=True, slots=True)
class Probe:
    """Apply an operation whose outputs only its values tell: bind them to first, first + 1, ..., `room` at most."""

    request: Id
    first: Id
    room: Annotated[int, Between(1, MAX_OUTPUTS)]
    record: Apply


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
class Train:
    """Train a plan on the worker's own data; answered by Trained, Failed or PlanMissing, with Progress before.

    `plan` is the plan's hash, `state` its parameters and then its buffers in the plan's order, `report_every` the
    least time between two Progress.
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


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a request that still runs; it is answered by Failed."""

    request: Id


@dataclass(frozen=True, slots=True)
class Value:
    """The answer to Fetch."""

    request: Id
    tensor: TensorSpec


@dataclass(frozen=True, slots=True)
class Described:
    """The answer to Probe. `bare` says that the operation gave one tensor, and not a sequence of them."""

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
    """The answer to a Train whose plan this worker has not been given."""

    request: Id
    plan: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a Train has come; `loss` is of the last step, NaN included."""

    request: Id
    epoch: Count
    step: Count
    steps: Count
    loss: float


@dataclass(frozen=True, slots=True)
class Trained:
    """The answer to Train: the new state in the plan's order, and the mean loss over the last epoch."""

    request: Id
    state: Tensors
    examples: Count
    loss: float
    seconds: Seconds
    metrics: dict[str, float]


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
    | Fetch
    | Sync
    | DescribeData
    | DefinePlan
    | Train
    | Cancel
)
Reply: TypeAlias = Value | Described | Synced | Failed | DataDescribed | PlanMissing | Progress | Trained
Message: TypeAlias = Command | Reply

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
    32: Value,
    33: Described,
    34: Synced,
    35: Failed,
    36: DataDescribed,
    37: PlanMissing,
    38: Progress,
    39: Trained,
}
"""The number of each message on the wire, negated there. A number is never given to another message."""
