"""Who says how good a model is, and of which data: the workers of theirs, and the coordinator of what is held out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from fedzmq.data.data import Data, first_rows
from fedzmq.data.lazy import Lazy
from fedzmq.data.streamed import Streamed
from fedzmq.errors import DataError, UsageError
from fedzmq.federated.evaluation.score import Score, evaluate
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.models import suited
from fedzmq.federated.trainer import Evaluate
from fedzmq.federation.recipe import Recipe
from fedzmq.tensors.row import digest_of

if TYPE_CHECKING:
    from fedzmq.data.examples import Examples

Judge = Evaluate

WORKERS, COORDINATOR, BOTH = PLACES = ("workers", "coordinator", "both")


def check_place(place: str | None) -> None:
    """Raises UsageError for a place that there is not; None is for whoever has data."""
    if place is not None and place not in PLACES:
        raise UsageError(f"evaluate_at is {place!r}, and {', '.join(PLACES[:-1])} or {PLACES[-1]} is expected")


def check_alike(judged: Examples, theirs: Data) -> None:
    """Raises DataError where the workers' examples are of another form than those here, for which the model is made."""
    here, there = list(first_rows(judged).features.shape[1:]), list(theirs.features.shape[1:])
    if here != there:
        raise DataError(
            judged.name,
            f"an example of it has features of {here}, and the workers' {theirs.name!r} have {there}: give data of "
            "the same form (--data), or evaluate nothing here (--no-evaluation, evaluate=False)",
        )


def digest(judged: Examples) -> str:
    """What tells the data from other data; of data that is not in memory, no more than how much there is."""
    return digest_of(judged.tensors) if isinstance(judged, Data) else f"{len(judged)} examples"


def judge_on(judged: Examples, recipe: Recipe, scoring: Scoring | None) -> Judge:
    """By the loss and the accuracy on that data, or by what `scoring` measures."""
    if not recipe.guesses and isinstance(judged, Data | Lazy | Streamed):
        judged = replace(judged, classes=None)
    fit = suited(judged, recipe.model)
    if scoring is not None:
        return lambda model: scoring.here(model, fit)

    def judge(model: torch.nn.Module) -> Score:
        return evaluate(model, recipe.loss, fit)

    return judge
