"""How the learning rate goes: which part of it counts in every step, or in every round, as a closed form.

Each computes what the class of torch.optim.lr_scheduler beside its name computes. Those are not used, because they need
an optimizer of torch's own, and that imports torch's compiler; a closed form is also the same after a restart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from fedzmq.errors import UsageError
from fedzmq.suggestion import check_named
from fedzmq.worker.training.options import Options, check_number

Rate = Callable[[int], float]
"""The part of the learning rate that counts in a step, numbered from 0."""

_WARM_UP = {"warmup": 0, "warmup_start": -1.0}

DEFAULTS: Mapping[str, Options] = {
    "constant": {},
    "cosine": {"length": 0, "floor": 0.0},  # CosineAnnealingLR
    "exponential": {"gamma": 0.95},  # ExponentialLR
    "inverse": {"decay": 0.01},  # 1 / (1 + decay * step), under which FedAvg converges (Li et al. 2020)
    "linear": {"start": 1.0, "end": 0.0, "length": 0},  # LinearLR
    "polynomial": {"power": 1.0, "length": 0},  # PolynomialLR
    "restarts": {"length": 10, "multiple": 1, "floor": 0.0},  # CosineAnnealingWarmRestarts
    "step": {"step_size": 10, "gamma": 0.1},  # StepLR
}
"""The schedules by name. A length of 0 is the whole training. Any of them may begin with `warmup` steps in which the
rate grows evenly from `warmup_start`, or from the first of as many even steps."""

_OPTIONS = {name: {**own, **_WARM_UP} for name, own in DEFAULTS.items()}
_WHOLE = {"length": 0, "warmup": 0, "multiple": 1, "step_size": 1}  # whole numbers, and the least of each


def check_schedule(name: str, options: Options) -> None:
    """Raises UsageError, which names the known names and options."""
    check_named("schedule", name, _OPTIONS, options)
    for option, value in options.items():
        check_number("a schedule", option, value)
        if option in _WHOLE and (value != int(value) or value < _WHOLE[option]):
            raise UsageError(
                f"the option {option!r} of a schedule is {value:g}, and a whole number from {_WHOLE[option]} is needed"
            )
    if name == "restarts" and options.get("length") == 0:
        raise UsageError("the option 'length' of the schedule 'restarts' is 0, and at least 1 is needed")


def make_schedule(name: str, options: Options, steps: int) -> Rate | None:
    """The rate over so many steps in all; None where it is 1 throughout. Raises UsageError."""
    check_schedule(name, options)
    given = {key: float(value) for key, value in {**DEFAULTS[name], **_WARM_UP, **options}.items()}
    warmup = int(given["warmup"])
    if name == "constant" and not warmup:
        return None
    if not given.get("length", 1):
        given["length"] = max(1, steps - warmup)
    after = _RATES[name](given)
    start = given["warmup_start"] if given["warmup_start"] >= 0 else 1 / (warmup + 1)
    return lambda step: start + (1 - start) * step / warmup if step < warmup else after(step - warmup)


def _cosine(options: Mapping[str, float]) -> Rate:
    length, floor = options["length"], options["floor"]
    return lambda step: _falling(min(step, length) / length, floor)


def _restarts(options: Mapping[str, float]) -> Rate:
    length, multiple, floor = options["length"], options["multiple"], options["floor"]

    def rate(step: int) -> float:
        place, period = float(step), length
        if multiple == 1:
            place %= period
        while place >= period:
            place -= period
            period *= multiple
        return _falling(place / period, floor)

    return rate


def _falling(share: float, floor: float) -> float:
    return floor + (1 - floor) * (1 + math.cos(math.pi * share)) / 2


def _linear(options: Mapping[str, float]) -> Rate:
    start, way, length = options["start"], options["end"] - options["start"], options["length"]
    return lambda step: start + way * min(step, length) / length


_RATES: Mapping[str, Callable[[Mapping[str, float]], Rate]] = {
    "constant": lambda options: lambda step: 1.0,
    "cosine": _cosine,
    "exponential": lambda options: lambda step: options["gamma"] ** step,
    "inverse": lambda options: lambda step: 1 / (1 + options["decay"] * step),
    "linear": _linear,
    "polynomial": lambda options: lambda step: (1 - min(step / options["length"], 1)) ** options["power"],
    "restarts": _restarts,
    "step": lambda options: lambda step: options["gamma"] ** (step // options["step_size"]),
}
