"""Options that mean the same to more than one command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from fedzmq.cli.values import Count, Number, Seed, Word, broker_address
from fedzmq.data.split import ALPHA, AUTO, WAYS
from fedzmq.session.roster import SILENCE

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

broker_option: Decorator = click.option(
    "--broker",
    callback=broker_address,
    default="tcp://127.0.0.1:5555",
    show_default=True,
    metavar="ADDRESS",
    help="Where the broker listens.",
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
    type=Count(least=0),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="Hold a data set of up to so many MiB in memory. A larger one is read as it is needed, where its form allows.",
)


def split_options(what: str, seed: str = "--split-seed") -> Decorator:
    """`--how` and the numbers that go with it; `what` begins its help: how what is split."""
    options = (
        click.option(
            "--how",
            type=Word(WAYS),
            default=AUTO,
            show_default=True,
            help=f"{what}: at random (iid), by label skew (dirichlet), in shards of sorted labels, by so many classes "
            "each, in unequal sizes (quantity, powerlaw), or by a column of the file. Auto is dirichlet for classes, "
            "and iid for measurements.",
        ),
        click.option(
            "--alpha",
            type=Number(min=0, min_open=True),
            default=ALPHA,
            show_default=True,
            help="Of dirichlet and quantity: 0.1 skews much, 100 hardly at all.",
        ),
        click.option(
            "--per-worker",
            type=Count(),
            default=2,
            show_default=True,
            help="Of shards and classes: how many each worker gets.",
        ),
        click.option(
            "--exponent",
            type=Number(min=0, max=100),
            default=1.0,
            show_default=True,
            help="Of powerlaw: the k-th largest part is as large as k to the power of minus this.",
        ),
        click.option(
            "--column",
            metavar="NAME",
            help="Of column: rows that agree in it stay together. It is no feature, and may be text.",
        ),
        click.option(seed, type=Seed(), default=0, show_default=True, help="Which split: the same for all workers."),
    )

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


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
