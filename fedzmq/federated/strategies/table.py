"""The strategies by the names that the command line and job files use."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fedzmq.data.own_code import names_a_function, one_line, own_function
from fedzmq.errors import FedzmqError, UsageError
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

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_WORDS = {"float": "a number", "int": "a whole number", "str": "a text", "bool": "true or false"}


def by_name(name: str, **options: float | str) -> Strategy:
    """The strategy of that name, or the caller's own `module:Class`, with its options; a number may be given as text.

    Raises UsageError.
    """
    is_own = names_a_function(name)
    if not is_own and name not in STRATEGIES:
        known = f"known: {', '.join(STRATEGIES)}; or module:Class of your own"
        raise UsageError(f"no strategy {name!r} ({known}){nearest(name, STRATEGIES)}")
    made: Callable[..., Any] = own_function(name, _refused) if is_own else STRATEGIES[name]
    kinds = _options(made)
    given: dict[str, Any] = {}
    for option, value in options.items():
        if option not in kinds:
            takes = f"known: {', '.join(kinds)}" if kinds else "it has none"
            raise UsageError(f"the strategy {name!r} has no option {option!r} ({takes}){nearest(option, kinds)}")
        try:
            read: Callable[[Any], object] = _READ.get(kinds[option], _literal)
            given[option] = read(value)
        except (ValueError, TypeError, KeyError, OverflowError):
            raise UsageError(
                f"the option {option!r} of the strategy {name!r} is {value!r}, and "
                f"{_WORDS.get(kinds[option], 'a finite number or a text')} is expected"
            ) from None
    try:
        strategy = made(**given)
    except Exception as error:
        if isinstance(error, FedzmqError) or not is_own:
            raise
        raise _refused(name, f"to make it failed with {one_line(error)}") from error
    if not isinstance(strategy, Strategy):
        raise _refused(name, f"a Strategy is expected, and it gives {strategy!r:.60}")
    return strategy


def options_of(name: str) -> dict[str, str]:
    """The options of a strategy by their names, each with its kind: "float", "int" or "str"."""
    return _options(STRATEGIES[name])


def _options(made: Callable[..., Any]) -> dict[str, str]:
    """By the arguments of what makes a strategy; the kind is "" where it is told of none."""
    try:
        arguments = inspect.signature(made).parameters
    except ValueError:  # some of what is not written in Python does not tell them
        return {}
    kinds = {name: each.annotation for name, each in arguments.items() if each.kind in _BY_NAME}
    return {name: kind if isinstance(kind, str) else _called(kind) for name, kind in kinds.items()}


def _called(kind: Any) -> str:
    return "" if kind is inspect.Parameter.empty else getattr(kind, "__name__", "")


def _refused(source: str, reason: str) -> UsageError:
    return UsageError(f"cannot use the strategy {source!r}: {reason}")


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


def _truth(value: Any) -> bool:
    return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]


def _literal(value: Any) -> Any:
    """For an argument of an own strategy that does not tell its kind: a number where it reads as one."""
    if not isinstance(value, str):
        return value
    with suppress(ValueError):
        return int(value)
    try:
        number = float(value)
    except ValueError:
        return value
    return _number(number)


_READ: Mapping[str, Callable[[Any], object]] = {"float": _number, "int": _whole, "str": _text, "bool": _truth}
