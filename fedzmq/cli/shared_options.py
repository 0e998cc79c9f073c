"""Options that mean the same to more than one command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fedzmq.cli.values import Number
from fedzmq.session.roster import SILENCE

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

split_seed_option: Decorator = click.option(
    "--split-seed", type=int, default=0, show_default=True, help="Which split: the same for all workers."
)
wait_option: Decorator = click.option(
    "--wait",
    type=Number(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the broker has to answer for the first time.",
)
data_memory_option: Decorator = click.option(
    "--data-memory",
    type=click.IntRange(min=0),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="Hold a data set of up to so many MiB in memory. A larger one is read as it is needed, where its form allows.",
)


def alpha_option(what: str) -> Decorator:
    """`--alpha`; `what` begins its help: how even is what."""
    return click.option(
        "--alpha",
        type=Number(min=0, min_open=True),
        default=1.0,
        show_default=True,
        help=f"{what}: the Dirichlet parameter. 0.1 skews much, 100 hardly at all.",
    )


def silence_option(consequence: str) -> Decorator:
    """`--silence`; `consequence` ends its help: who is gone then, and what follows."""
    return click.option(
        "--silence",
        type=Number(min=1),
        default=SILENCE,
        show_default=True,
        metavar="SECONDS",
        help=f"After so long without a sign of life, {consequence}",
    )
