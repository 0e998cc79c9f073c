"""What a federated training is to do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral

from fedzmq.errors import UsageError
from fedzmq.federated.numbers import check_count, check_number
from fedzmq.federated.seeds import derive
from fedzmq.wire.messages import Course, HeldOut
from fedzmq.worker.training.optimizers.table import check_optimizer
from fedzmq.worker.training.options import Options
from fedzmq.worker.training.schedules import check_schedule, make_schedule

_NAMES = ("dataset", "optimizer", "schedule", "round_schedule")
_OPTIONS = ("options", "schedule_options", "round_schedule_options")
_COUNTS = ("rounds", "epochs", "batch_size", "workers", "least", "cohort", "quorum", "max_steps", "evaluate_every")
_NUMBERS = (
    *("patience", "fraction", "over_selection", "deadline"),
    *("clip_norm", "clip_value", "max_seconds", "holdout"),
)
_OPTIONAL = ("cohort", "fraction", "quorum", "deadline", "clip_norm", "clip_value", "max_steps", "max_seconds")


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """The numbers of a run, the same for every worker.

    `options` are the optimizer's, such as {"lr": 0.1}. `workers` have to be here before the first round; a later round
    goes on with `least`, and waits `patience` seconds for so many.

    A round asks `cohort` workers, or the `fraction` of those that are here, rounded up; without either, all of them.
    Who it is follows from the seed. `over_selection` of 1.3 asks 30 % more, and goes on when as many have answered as
    were wanted. Once `deadline` seconds are over, a round also goes on with `quorum` answers (default: 1). It drops
    what comes later.

    `schedule` is how the learning rate goes over a worker's steps of a round, and `round_schedule` over the rounds,
    each with its options: see `fedzmq.worker.training.schedules`. `clip_norm` and `clip_value` bound the gradients,
    `max_steps` and `max_seconds` a worker's training in a round; its update then counts as the examples that it came
    to. With a limit in seconds, the same seed does not give the same model.

    `holdout` is the share of its examples that each worker keeps from training, by lot from the seed, to evaluate on
    where it is asked to; of every `evaluate_every` rounds it is asked in one, and in the last.

    Raises UsageError for a number that makes no sense.
    """

    dataset: str
    rounds: int = 10
    epochs: int = 1
    batch_size: int = 32
    optimizer: str = "sgd"
    options: Options = field(default_factory=dict)
    seed: int = 0
    workers: int = 1
    least: int = 1
    patience: float = 30.0
    cohort: int | None = None
    fraction: float | None = None
    over_selection: float = 1.0
    quorum: int | None = None
    deadline: float | None = None
    schedule: str = "constant"
    schedule_options: Options = field(default_factory=dict)
    round_schedule: str = "constant"
    round_schedule_options: Options = field(default_factory=dict)
    clip_norm: float | None = None
    clip_value: float | None = None
    max_steps: int | None = None
    max_seconds: float | None = None
    holdout: float = 0.0
    evaluate_every: int = 1

    def __post_init__(self) -> None:
        for name in _NAMES:
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise UsageError(f"{name} is {getattr(self, name)!r}, and a name is expected")
        for name in _OPTIONS:
            if not isinstance(getattr(self, name), Mapping):
                raise UsageError(f"{name} is {getattr(self, name)!r}, and a map of names to numbers is expected")
        if not isinstance(self.seed, Integral) or isinstance(self.seed, bool):
            raise UsageError(f"seed is {self.seed!r}, and a whole number is expected")
        for name in (*_COUNTS, *_NUMBERS):
            number = getattr(self, name)
            if number is not None or name not in _OPTIONAL:
                (check_count if name in _COUNTS else check_number)(name, number)
        if self.patience < 0:
            raise UsageError(f"patience is {self.patience:g} s, and it cannot be negative")
        if self.cohort is not None and self.fraction is not None:
            raise UsageError("cohort and fraction both say how many workers a round asks; give one of them")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise UsageError(f"fraction is {self.fraction:g}, and a number above 0 and up to 1 is needed")
        if not 1 <= self.over_selection < math.inf:
            raise UsageError(f"over_selection is {self.over_selection:g}, and it is a factor of at least 1")
        if self.deadline is not None and not self.deadline >= 0:
            raise UsageError(f"deadline is {self.deadline:g} s, and it cannot be negative")
        if self.quorum is not None and self.deadline is None:
            raise UsageError("quorum needs a deadline in seconds; with 0, a round is over with its quorum")
        if self.quorum is not None and self.cohort is not None and self.quorum > self.cohort:
            raise UsageError(f"quorum is {self.quorum}, and a round asks a cohort of {self.cohort}")
        for name in ("clip_norm", "clip_value", "max_seconds"):
            bound = getattr(self, name)
            if bound is not None and not 0 < bound < math.inf:
                raise UsageError(f"{name} is {bound:g}, and a number above 0 is needed")
        if not 0 <= self.holdout < 1:
            raise UsageError(f"holdout is {self.holdout:g}, and a share from 0 to below 1 is needed")
        check_optimizer(self.optimizer, self.options)
        check_schedule(self.schedule, self.schedule_options)
        check_schedule(self.round_schedule, self.round_schedule_options)

    def held_out(self, worker: str) -> HeldOut:
        """What a worker does not train on: the same in every round."""
        return HeldOut(self.holdout, derive(self.seed, "held out", worker)) if self.holdout else HeldOut()

    def is_evaluated(self, number: int) -> bool:
        """Whether workers evaluate the model of this round."""
        return number % self.evaluate_every == 0 or number == self.rounds

    def course(self, number: int) -> Course:
        """How the workers' training goes from step to step in the round of this number, from 1."""
        rate = make_schedule(self.round_schedule, self.round_schedule_options, self.rounds)
        return Course(
            1.0 if rate is None else rate(number - 1),
            self.schedule,
            dict(self.schedule_options),
            self.clip_value,
            self.clip_norm,
            self.max_steps,
            self.max_seconds,
        )

    def wanted(self, present: int, needed: int = 1) -> int:
        """How many answers a round goes for, where so many workers are here, and `needed` at the least make a round."""
        size = present if self.cohort is None else self.cohort
        if self.fraction is not None:
            size = _up(self.fraction * present)
        return min(present, max(size, needed))

    def asked(self, present: int, needed: int = 1) -> int:
        """How many workers it asks for them."""
        return min(present, _up(self.wanted(present, needed) * self.over_selection))


def _up(number: float) -> int:
    """To the next integer, but for the error of a product: 0.1 * 30 is 3."""
    return math.ceil(round(number, 9))
