"""What is trained, and how: a model, its loss, and the plan that is all of it that workers see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from fedzmq.client.client import Client
from fedzmq.data.data import Data, first_of
from fedzmq.data.examples import Examples
from fedzmq.errors import DataError, ModelError
from fedzmq.federated.cohort import Cohort
from fedzmq.federated.models import Loss, check_model, load_model, loss_for
from fedzmq.recording.training_plan import training_plan
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.limits import check_shape, check_size

MOST_CLASSES = 1 << 20  # of what a worker says of its data: a model is made by it
MOST_EXAMPLE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True, eq=False)
class Recipe:
    """guesses: whether the model answers with one number for each class, so that it can be right."""

    model: torch.nn.Module
    loss: Loss
    plan: bytes
    guesses: bool


def recipe_for(model: torch.nn.Module | str, loss: Loss | None, examples: Examples, seed: int) -> Recipe:
    """The recipe for such examples. Raises ModelError, and PlanError for what cannot be recorded.

    A model by name is new, and drawn from `seed`. One with a loss of its own may answer as it likes.
    """
    sample = first_of(examples)
    if isinstance(model, str):
        outputs = 1 if sample.classes is not None else sample.targets.shape[1]
        made = load_model(model, sample.features.shape[1:], sample.classes, seed, outputs)
        check_model(model, made, sample)
        made.train()
    else:
        made = model
    guesses = sample.classes is not None
    try:
        check_model(type(made).__name__, made, sample)
    except ModelError:
        if loss is None:
            raise
        guesses = False
    loss = loss or loss_for(sample)
    return Recipe(made, loss, training_plan(made, loss, sample.features, sample.targets), guesses)


def sample_of(client: Client, dataset: str, workers: int, patience: float, say: Callable[[str], None]) -> Data:
    """Two examples of zeros in the form that the workers' data has. Raises NotEnoughWorkers, DataError."""
    cohort = Cohort(client, dataset, say)
    info = cohort.info(next(iter(cohort.gather(workers, patience))))
    if len(info.shapes) != 2 or len(info.dtypes) != 2 or (info.classes or 0) > MOST_CLASSES:
        raise DataError(dataset, "a worker describes it as something else than features and a target")
    for shape, dtype in zip(info.shapes, info.dtypes, strict=True):
        check_size("the bytes of an example", check_shape(dtype, shape), MOST_EXAMPLE_BYTES)
    features, targets = (
        torch.zeros((2, *shape), dtype=dtype_of(dtype)) for shape, dtype in zip(info.shapes, info.dtypes, strict=True)
    )
    return Data(dataset, features, targets, info.classes)
