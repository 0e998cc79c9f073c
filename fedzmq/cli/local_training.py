"""The options of `fedzmq train` that say how each worker trains in a round."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import click

from fedzmq.cli.values import Count, Number, Word, named_numbers

# The names of tables that are not read here: they bring torch, and --help does without.
LOSSES = (
    *("cross_entropy", "bce", "bce_with_logits", "huber", "l1", "mse", "multi_margin", "nll", "poisson_nll"),
    "smooth_l1",
)
OPTIMIZERS = ("sgd", "adadelta", "adagrad", "adam", "adamax", "adamw", "nadam", "radam", "rmsprop")
SCHEDULES = ("constant", "cosine", "exponential", "inverse", "linear", "polynomial", "restarts", "step")

_OPTIONS = (
    click.option(
        "--loss",
        type=Word(LOSSES),
        help="What is minimised, each torch's loss of that name (default: cross_entropy for classes, and mse for "
        "measurements).",
    ),
    click.option(
        "--loss-option",
        "loss_options",
        multiple=True,
        callback=named_numbers,
        metavar="NAME=VALUE",
        help="An option of the loss, such as label_smoothing=0.1 for cross_entropy; a wrong one lists all. Repeatable.",
    ),
    click.option("--lr", type=Number(min=0), help="Learning rate (default: 0.1 for sgd, and torch's for all others)."),
    click.option(
        "--optimizer",
        type=Word(OPTIMIZERS),
        default="sgd",
        show_default=True,
        help="The workers' optimizer. It begins anew in every round.",
    ),
    click.option(
        "--optimizer-option",
        "optimizer_options",
        multiple=True,
        callback=named_numbers,
        metavar="NAME=VALUE",
        help="An option of the optimizer, such as momentum=0.9 for sgd; a wrong one lists all. Repeatable.",
    ),
    click.option(
        "--schedule",
        type=Word(SCHEDULES),
        default="constant",
        show_default=True,
        help="How the learning rate goes over the steps of a round.",
    ),
    click.option(
        "--schedule-option",
        "schedule_options",
        multiple=True,
        callback=named_numbers,
        metavar="NAME=VALUE",
        help="An option of the schedule: step_size, gamma, length, floor, ...; warmup=20 for any. Repeatable.",
    ),
    click.option(
        "--round-schedule",
        type=Word(SCHEDULES),
        default="constant",
        show_default=True,
        help="How the learning rate goes over the rounds. It multiplies that over the steps.",
    ),
    click.option(
        "--round-schedule-option",
        "round_schedule_options",
        multiple=True,
        callback=named_numbers,
        metavar="NAME=VALUE",
        help="An option of the schedule over rounds. Repeatable.",
    ),
    click.option("--clip-norm", type=Number(min=0, min_open=True), help="Greatest length of all gradients together."),
    click.option("--clip-value", type=Number(min=0, min_open=True), help="Greatest size of any number in a gradient."),
    click.option("--max-steps", type=Count(), metavar="N", help="A worker's round is over after so many steps."),
    click.option(
        "--max-seconds",
        type=Number(min=0, min_open=True),
        metavar="SECONDS",
        help="A worker's round is over after so long, and at least one step; the same seed then gives another model.",
    ),
)


def local_training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """All of them, in their order."""
    return reduce(lambda decorated, option: option(decorated), reversed(_OPTIONS), command)
