"""What runs were asked to do, by the names of a job file, and what of it tells them apart."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from fedzmq.errors import RunFolderError
from fedzmq.federated.ledger.run_history import RunHistory

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# What says what was trained, asked for or not.
_TOLD = {"strategy", "strategy-option", "model", "data", "dataset", "broker", "workers", "fraction", "epochs", "seed"}
# Nothing that the outcome depends on.
_APART = {"broker", "out", "log", "json", "silence", "wait", "patience", "no-evaluation", "evaluate-every"}


def options_of(history: RunHistory) -> dict[str, Any]:
    """What the run was asked to do, by the names of a job file. Raises RunFolderError."""
    try:
        options: dict[str, Any] = tomllib.loads(history.job)
    except tomllib.TOMLDecodeError as error:
        raise RunFolderError(str(history.path), f"the job in its record is not TOML: {error}") from error
    return options


def told_of(history: RunHistory, defaults: Mapping[str, Any]) -> dict[str, str]:
    """What says what was trained, and whatever else was asked for that is not the default, as it is shown."""
    options = _in_force(history)
    return {
        name: _shown(value)
        for name, value in options.items()
        if name in _TOLD or (name not in {*_APART, "rounds"} and _asks(value) and value != defaults.get(name))
    }


def labels_of(histories: Sequence[RunHistory]) -> list[str]:
    """Of each run, its name and the options that are not the same in all of them.

    What has no part in how good a model gets is left out, and so is an option that asks for nothing.
    """
    options = [_in_force(history) for history in histories]
    names = sorted({name for each in options for name in each} - _APART)
    differ = [name for name in names if len({repr(each.get(name)) for each in options}) > 1]
    labels = [", ".join(f"{name} {_shown(each[name])}" for name in differ if _asks(each.get(name))) for each in options]
    return [
        f"{history.name}: {label}" if label else history.name for label, history in zip(labels, histories, strict=True)
    ]


def _in_force(history: RunHistory) -> dict[str, Any]:
    """The options as they came true: a run may have been made longer, and a coordinator without data evaluates none."""
    options = options_of(history)
    if history.rounds:
        options["rounds"] = history.rounds
    if options.get("no-evaluation"):
        options.pop("data", None)
        if options.get("evaluate-at") == "coordinator":
            del options["evaluate-at"]
    return options


def _asks(value: Any) -> bool:
    """The number 0 does where it is whole: it is a seed then."""
    return type(value) is int or bool(value)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={each}" for name, each in value.items())
    return str(value)
