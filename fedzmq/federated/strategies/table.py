"""The strategies by the names that the command line and job files use."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from fedzmq.errors import UsageError
from fedzmq.federated.strategies.asynchronous import FedAsync, FedBuff
from fedzmq.federated.strategies.ditto import Ditto
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.strategies.fedavgm import FedAvgM
from fedzmq.federated.strategies.fedbn import FedBN
from fedzmq.federated.strategies.fednova import FedNova
from fedzmq.federated.strategies.fedopt import FedAdagrad, FedAdam, FedYogi
from fedzmq.federated.strategies.fedper import FedPer
from fedzmq.federated.strategies.fedprox import FedProx
from fedzmq.federated.strategies.qfedavg import QFedAvg
from fedzmq.federated.strategies.robust.bulyan import Bulyan
from fedzmq.federated.strategies.robust.geometric_median import GeometricMedian
from fedzmq.federated.strategies.robust.krum import Krum, MultiKrum
from fedzmq.federated.strategies.robust.median import Median
from fedzmq.federated.strategies.robust.trimmed_mean import TrimmedMean
from fedzmq.federated.strategies.scaffold import Scaffold
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.suggestion import nearest

STRATEGIES: Mapping[str, type[Strategy]] = {
    "fedavg": FedAvg,
    "fedavgm": FedAvgM,
    "fedadagrad": FedAdagrad,
    "fedadam": FedAdam,
    "fedyogi": FedYogi,
    "fedprox": FedProx,
    "scaffold": Scaffold,
    "fednova": FedNova,
    "fedbn": FedBN,
    "fedper": FedPer,
    "ditto": Ditto,
    "qfedavg": QFedAvg,
    "fedasync": FedAsync,
    "fedbuff": FedBuff,
    "median": Median,
    "trimmedmean": TrimmedMean,
    "geometricmedian": GeometricMedian,
    "krum": Krum,
    "multikrum": MultiKrum,
    "bulyan": Bulyan,
}

_WORDS = {"float": "a number", "int": "a whole number", "str": "a text"}


def by_name(name: str, **options: float | str) -> Strategy:
    """The strategy of that name with its numbers; a number may be given as text. Raises UsageError."""
    known = STRATEGIES.get(name)
    if known is None:
        raise UsageError(f"no strategy {name!r} (known: {', '.join(STRATEGIES)}){nearest(name, STRATEGIES)}")
    kinds = options_of(name)
    given: dict[str, Any] = {}
    for option, value in options.items():
        if option not in kinds:
            takes = f"known: {', '.join(kinds)}" if kinds else "it has none"
            raise UsageError(f"the strategy {name!r} has no option {option!r} ({takes}){nearest(option, kinds)}")
        try:
            given[option] = _READ[kinds[option]](value)
        except (ValueError, TypeError, OverflowError):
            raise UsageError(
                f"the option {option!r} of the strategy {name!r} is {value!r}, and {_WORDS[kinds[option]]} is expected"
            ) from None
    return known(**given)


def options_of(name: str) -> dict[str, str]:
    """The options of a strategy by their names, each with its kind: "float", "int" or "str"."""
    return {field.name: str(field.type) for field in fields(STRATEGIES[name]) if field.init}  # type: ignore[arg-type]


def _number(value: Any) -> float:
    number = float(value)
    if isinstance(value, bool) or not math.isfinite(number):
        raise ValueError
    return number


def _whole(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (not isinstance(value, str) and number != value):
        raise ValueError
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_READ: Mapping[str, Callable[[Any], object]] = {"float": _number, "int": _whole, "str": _text}
