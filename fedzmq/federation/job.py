"""The numbers of a training from what its user says: what is left out is the federation's, or a good beginning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from fedzmq.errors import UsageError
from fedzmq.federated.training_job import TrainingJob
from fedzmq.suggestion import nearest
from fedzmq.worker.training.optimizers.table import learning_rate
from fedzmq.worker.training.options import Options

SGD = "sgd"
SGD_LR = 0.1  # torch's own, 0.001, is meant for other models than those that one begins with


def job_for(where: Mapping[str, Any], lr: float | None, options: Options, given: Mapping[str, Any]) -> TrainingJob:
    """`options` are the optimizer's, `given` all that a TrainingJob takes, `where` what stands if it says no other.

    Raises UsageError.
    """
    known = [field.name for field in fields(TrainingJob)]
    for name in given:
        if name not in known:
            listed = f" (known: {', '.join(known)})"
            raise UsageError(f"a training has no option {name!r}{nearest(name, known) or listed}")
    rated = options if lr is None else {"lr": lr, **options}
    return TrainingJob(**{**where, **given, "options": _with_rate(given.get("optimizer", SGD), rated)})


def default_lr(optimizer: str, options: Options) -> float:
    """The learning rate where none is given beside the optimizer's options."""
    return learning_rate(optimizer, _with_rate(optimizer, options))


def _with_rate(optimizer: str, options: Options) -> Options:
    return {"lr": SGD_LR, **options} if optimizer == SGD else dict(options)
