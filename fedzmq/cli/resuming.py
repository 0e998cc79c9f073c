"""`--resume`: a run's own options, as they were when it began, take the place of the command's defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from fedzmq.cli.job_file import take_over
from fedzmq.data.names import name_of
from fedzmq.errors import RunLocked, UsageError
from fedzmq.federated.ledger.run_history import RUNNING, RunHistory, find_run, read_history
from fedzmq.files.folder_lock import owner_of

# What may be another one than when the run began: none of it is a part of what is computed. How many workers, only at
# a broker: those that are started here split the data between them.
FREE = frozenset({"resume", "force", "broker", "workers", "rounds", "as_json", "silence", "wait", "patience"})


def resumed_run(ctx: click.Context, param: click.Parameter, value: str | None) -> RunHistory | None:
    """The run of that folder or name: a callback. Raises RunNotFound, RunLocked, RunFolderError and JobFileError."""
    if value is None:
        return None
    history = read_history(find_run(value))
    if history.state == RUNNING:
        raise RunLocked(str(history.path), owner_of(history.path))
    if not history.job:
        raise UsageError(
            f"the run {value!r} was not begun by `fedzmq train`: the program that began it goes on with it"
        )
    take_over(ctx, str(history.path / "job.toml"), history.job)
    if history.rounds:  # it may have been made longer since
        ctx.default_map = {**(ctx.default_map or {}), "rounds": history.rounds}
    return history


def as_it_began(ctx: click.Context, history: RunHistory) -> dict[str, Any]:
    """The command's options, of which those that are the run's own are as they were when it began.

    Raises UsageError for one that would make it another run.
    """
    chosen = dict(ctx.params)
    began = click.Context(ctx.command, default_map=ctx.default_map)
    ctx.command.parse_args(began, [])
    for param in ctx.command.params:
        name = str(param.name)
        is_free = name in FREE and (name != "workers" or ctx.params["broker"] is not None)
        if is_free or ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        change = ""
        if name in ctx.params:  # all but a job file
            before, now = _used(name, began.params), ctx.params[name]
            if now == before:
                chosen[name] = began.params[name]
                continue
            if name == "loss" and before is None:  # what fits data that are not here: the plan will tell
                continue
            change = f", from {_told(before)} to {_told(now)}"
        raise UsageError(
            f"--{name.replace('_', '-')} cannot be changed in a run that is resumed{change}: it goes on as it began "
            f"(see {history.path / 'job.toml'}); free are --broker, --workers with it, --rounds, --json, --silence, "
            "--wait and --patience"
        )
    return chosen


def nothing_left(history: RunHistory, rounds: int) -> str | None:
    """What to say of a run that has all its rounds and files; None where something is left to do.

    Raises UsageError for fewer rounds than are done.
    """
    history.check_rounds(rounds)
    if history.done < rounds or not history.is_complete:
        return None
    accuracy = history.last.accuracy if history.last is not None else None
    good = "" if accuracy is None else f", accuracy {accuracy:.4f}"
    rounds_done = "1 round" if history.done == 1 else f"{history.done} rounds"
    return (
        f"the run {str(history.path)!r} is finished: {rounds_done}{good}; "
        f"--rounds {2 * history.done} would make it longer"
    )


def _used(name: str, params: Mapping[str, Any]) -> Any:
    """What an option was in the run. One that nobody gave may follow from others, as the run will find it again."""
    if params[name] is not None:
        return params[name]
    if name == "lr":
        from fedzmq.federation.job import default_lr  # which brings torch, as the run will

        return default_lr(params["optimizer"], params["optimizer_options"])
    if name == "dataset":
        return name_of(params["data"])
    if name == "loss" and not params["no_evaluation"]:
        from fedzmq.data.load import load
        from fedzmq.federated.losses import loss_for, named

        return named(loss_for(load(params["data"], without=params["column"])))
    return None


def _told(value: Any) -> str:
    return "unset" if value in (None, (), {}) else f"{value}"
