"""What training and evaluation have in common: which examples, which models, how far it is, and an end to it."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Count, Id, Real
from fedzmq.wire.messages.message import Command, Reply


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Which of a worker's examples are kept from training, to evaluate on: this share of them, by lot from the seed."""

    share: Real = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Local:
    """What a worker does beside plain training, and what of it stays there.

    proximal: how strongly the weights are pulled to those that came. ditto: the same for a second model, which is the
    worker's own and stays there; None is no such model. loss_before: tell the loss of the model that came, too.
    personal: parameters and buffers that keep the worker's own values, and do not travel back.
    gradient: the worker's new control variates are the gradients of all its data at the model that came, and what they
    grew by comes back after the state.
    What stays is kept under `run`. It goes on from what the training of round `basis` kept (0: from nothing), and is
    kept as that of `round`, so that a round that did not count leaves no trace.
    """

    proximal: Real = 0.0
    ditto: Real | None = None
    loss_before: bool = False
    personal: tuple[str, ...] = ()
    run: str = ""
    round: Count = 0
    basis: Count = 0
    gradient: bool = False


@dataclass(frozen=True, slots=True)
class Progress(Reply):
    """How far a Train or an Evaluate has come; `loss` is of the last step, NaN included."""

    epoch: Count
    step: Count
    steps: Count
    loss: float


@dataclass(frozen=True, slots=True)
class Cancel(Command):
    """Stop a request that still runs; it is answered by Failed."""

    request: Id
