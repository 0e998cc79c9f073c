"""Options that were typed and would do nothing: each is refused with what it needs.

Only what was typed, and is not the default: a job file holds every option, and says the same to whatever uses it.
"""

from __future__ import annotations

import click
from click.core import ParameterSource

from fedzmq.data.split import AUTO
from fedzmq.errors import UsageError

_OF = {"alpha": (AUTO, "dirichlet", "quantity"), "per_worker": ("shards", "classes"), "exponent": ("powerlaw",)}
_SPLITS = ("how", *_OF)
_AT_WORKERS = ("holdout", "evaluate_every")


def check_split_options(ctx: click.Context) -> None:
    """Raises UsageError for a number of another way to split than the one that is chosen."""
    how = ctx.params["how"]
    for name, ways in _OF.items():
        if how not in ways and _is_asked_for(ctx, name):
            raise UsageError(f"{_typed(name)} is for --how {' or '.join(ways)}, and it is {how}")


def check_training_options(ctx: click.Context) -> None:
    """Raises UsageError for what only workers elsewhere, or only those that evaluate, have a use for."""
    for name in _SPLITS:
        if ctx.params["broker"] is not None and _is_asked_for(ctx, name):
            raise UsageError(f"{_typed(name)} is for workers that are started here: those at a --broker hold theirs")
    for name in _AT_WORKERS:
        if ctx.params["evaluate_at"] == "coordinator" and _is_asked_for(ctx, name):
            raise UsageError(f"{_typed(name)} is for workers that evaluate: it needs --evaluate-at workers or both")
    check_split_options(ctx)


def _is_asked_for(ctx: click.Context, name: str) -> bool:
    if ctx.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
        return False
    return any(param.name == name and param.default != ctx.params[name] for param in ctx.command.params)


def _typed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
