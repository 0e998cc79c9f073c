"""What is trained, and how: a model, its loss, and the plan that is all of it that workers see."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from fedzmq.client.client import Client
from fedzmq.data.data import Data, first_rows
from fedzmq.data.examples import Examples
from fedzmq.data.survey import MOST_CLASSES
from fedzmq.errors import DataError, ModelError
from fedzmq.federated.cohort import Cohort
from fedzmq.federated.evaluation.metrics import Metric, metric_for
from fedzmq.federated.evaluation.scoring import Scoring
from fedzmq.federated.losses import loss_for, named
from fedzmq.federated.models import check_model, load_model, suited
from fedzmq.recording.batch_plan import Loss
from fedzmq.recording.module_modes import evaluating
from fedzmq.recording.training_plan import training_plan
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.limits import check_shape, check_size

MOST_EXAMPLE_BYTES = 1 << 30
MOST_COLUMNS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """guesses: whether the model answers with one number for each class, so that it can be right."""

    model: torch.nn.Module
    loss: Loss
    plan: bytes
    guesses: bool
    sample: Data

    def scoring(self, metrics: Sequence[Metric]) -> Scoring:
        """How it is judged: by these, and by its accuracy where it guesses. Raises PlanError."""
        accuracy = metric_for("accuracy")
        if self.guesses and accuracy not in metrics:
            metrics = [accuracy, *metrics]
        *inputs, targets = self.sample.tensors
        return Scoring(self.model, self.loss, inputs, targets, metrics)


def recipe_for(model: torch.nn.Module | str, loss: Loss | None, examples: Examples, seed: int) -> Recipe:
    """The recipe for such examples. Raises ModelError, and PlanError for what cannot be recorded.

    A model by name is new, and drawn from `seed`. One with a loss of its own may answer as it likes.
    """
    sample = first_rows(examples)
    if isinstance(model, str):
        outputs = 1 if sample.classes is not None else sample.targets.shape[1]
        made = load_model(model, sample.features.shape[1:], sample.classes, seed, outputs)
        sample = first_rows(suited(sample, made))
        check_model(model, made, sample)
        made.train()
    else:
        made = model
        sample = first_rows(suited(sample, made))
    guesses = sample.classes is not None
    try:
        check_model(type(made).__name__, made, sample)
    except ModelError as error:
        if loss is None or error.__cause__ is not None:  # it answers with what its loss may know, or not at all
            raise
        guesses = False
    loss = loss or loss_for(sample)
    return Recipe(made, loss, _recorded(made, loss, sample), guesses, sample)


def _recorded(model: torch.nn.Module, loss: Loss, sample: Data) -> bytes:
    """The plan. Raises ModelError for a loss that does not take what the model answers with, and PlanError."""
    *inputs, targets = sample.tensors
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            plan = training_plan(model, loss, inputs, targets)
    except RuntimeError as error:  # torch's, of sizes that stand for the batch's and say nothing to the user
        with evaluating(model), torch.no_grad():
            answer = getattr(model(*inputs), "shape", "several tensors")
        found = tuple(answer) if isinstance(answer, torch.Size) else answer
        due = f"{tuple(targets.shape)} of {targets.dtype}"
        reason = f"for {len(targets)} examples it answers with {found}, the targets are {due}"
        way = f"to train it by the loss {named(loss)!r} failed; give a loss that takes these"
        raise ModelError(type(model).__name__, f"{reason}, and {way}") from error
    for each in warned:  # only now: of what is refused, they tell those sizes
        warnings.warn_explicit(each.message, each.category, each.filename, each.lineno, source=each.source)
    return plan


def sample_of(client: Client, dataset: str, workers: int, patience: float, say: Callable[[str], None]) -> Data:
    """Two examples of zeros in the form that the workers' data has, and as many classes as the one with most of them
    knows: another may have none of the last. Raises NotEnoughWorkers, DataError.
    """
    cohort = Cohort(client, dataset, say)
    infos = [cohort.info(handle) for handle in cohort.gather(workers, patience).values()]
    alike = [each for each in infos if (each.shapes, each.dtypes) == (infos[0].shapes, infos[0].dtypes)]
    info = max(alike, key=lambda each: each.classes or 0)
    if not 2 <= len(info.shapes) == len(info.dtypes) <= MOST_COLUMNS or (info.classes or 0) > MOST_CLASSES:
        raise DataError(dataset, "a worker describes it as something else than features and a target")
    for shape, dtype in zip(info.shapes, info.dtypes, strict=True):
        check_size("the bytes of an example", check_shape(dtype, shape), MOST_EXAMPLE_BYTES)
    features, *others, targets = (
        torch.zeros((2, *shape), dtype=dtype_of(dtype)) for shape, dtype in zip(info.shapes, info.dtypes, strict=True)
    )
    return Data(dataset, features, targets, info.classes, tuple(others))
