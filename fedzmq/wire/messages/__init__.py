"""What client and worker say to each other: a closed set of messages, each with a number.

Every message lives in the file of what it is about. This is the index: what it imports is what it offers.
"""

# ruff: noqa: F401
# mypy: implicit-reexport

from __future__ import annotations

from fedzmq.wire.messages.data import DataDescribed, DatasetInfo, DescribeData
from fedzmq.wire.messages.evaluation import Evaluate, Evaluated
from fedzmq.wire.messages.failures import Failed, Failure, Sync, Synced
from fedzmq.wire.messages.fields import Apply, Positive, Shape
from fedzmq.wire.messages.gradients import Backward, Describe, Gradients, Replaced, RequireGrad, SetGrad
from fedzmq.wire.messages.message import Command, Message, Reply, Request
from fedzmq.wire.messages.objects import Clear, Found, Label, ListObjects, ObjectInfo, Restrict, Search, Share
from fedzmq.wire.messages.operations import (
    Call,
    Described,
    FunctionsListed,
    ListFunctions,
    LoadRandomState,
    Mode,
    Probe,
    SaveRandomState,
    Seed,
)
from fedzmq.wire.messages.plans import (
    DefinePlan,
    FetchPlan,
    Interrupt,
    PlanFetched,
    PlanMissing,
    PutPlan,
    RunPlan,
    SharePlan,
)
from fedzmq.wire.messages.publishing import Heard, Listen, ModelMissing
from fedzmq.wire.messages.results import Pull, Pulled, Release
from fedzmq.wire.messages.tasks import Cancel, HeldOut, Local, Progress
from fedzmq.wire.messages.tensors import Description, Drop, Fetch, Put, SetData, TensorSpec, Value
from fedzmq.wire.messages.training import Course, Train, Trained
from fedzmq.wire.messages.transfers import Claim, Deliver, Hand, Lost, Undelivered

TAGS: dict[int, type[Message]] = {
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
    26: Interrupt,
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
    77: SaveRandomState,
    78: LoadRandomState,
    96: Found,
    97: FunctionsListed,
}
"""The number of each message on the wire, negated there. A number is never given to another message."""
