"""What is measured of a model beside its loss, by name: what each adds up over the examples, and what follows from it.

Workers add up, and the coordinator concludes: of every worker's sums for its own figures, and of all sums together, so
that a figure such as R2 is exactly that of all examples, and no mean of the workers' figures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fedzmq.data.own_code import names_a_function, own_function
from fedzmq.errors import ModelError, UsageError
from fedzmq.recording.evaluation_plan import Measure, Sum
from fedzmq.suggestion import nearest

Figure: TypeAlias = float | list[Any]
"""A number, or several in lists."""


def as_it_is(values: Mapping[str, Tensor]) -> dict[str, Figure]:
    """Means and sums are the figures."""
    return {name: value.tolist() for name, value in values.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """`measure` is traced to a plan and runs where the data is. `conclude` runs here, on the means and sums that it led
    to, in float64.
    """

    measure: Measure
    conclude: Callable[[Mapping[str, Tensor]], Mapping[str, Figure]] = as_it_is


def metric_for(asked: Metric | Measure | str) -> Metric:
    """One of a name below, the caller's own `module:function`, a function, or a metric. Raises UsageError."""
    if isinstance(asked, Metric):
        return asked
    if not isinstance(asked, str):
        return Metric(asked)
    if asked in METRICS:
        return METRICS[asked]
    if names_a_function(asked):
        found = own_function(asked, ModelError)
        return found if isinstance(found, Metric) else Metric(found)
    known = f"known: {', '.join(sorted(METRICS))}, or module:function"
    raise UsageError(f"no metric {asked!r} ({known}){nearest(asked, METRICS)}")


def check_kind(metrics: Sequence[Metric], are_classes: bool) -> None:
    """Raises UsageError for one of the metrics below that is for targets of the other kind."""
    fit, others = (OF_CLASSES, OF_MEASUREMENTS) if are_classes else (OF_MEASUREMENTS, OF_CLASSES)
    for name in others:
        if METRICS[name] in metrics:
            kind, have = ("measurements", "classes") if are_classes else ("classes", "measurements")
            raise UsageError(
                f"the metric {name!r} is for {kind}, and these data have {have}: {', '.join(fit)} are for those"
            )


def _accuracy(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {"accuracy": outputs.argmax(1) == targets}


def _top(count: int) -> Measure:
    def measure(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return {f"top{count}": (outputs.topk(count, 1).indices == targets.unsqueeze(1)).any(1)}

    return measure


def _absolute(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {"mae": (outputs - targets).abs().flatten(1).mean(1)}


def _squared(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    return {"rmse": (outputs - targets).square().flatten(1).mean(1)}


def _spread(outputs: Tensor, targets: Tensor) -> dict[str, Sum]:
    outputs, targets = outputs.double().flatten(1), targets.double().flatten(1)
    return {
        "r2 left": Sum((outputs - targets).square().sum(0)),
        "r2 sum": Sum(targets.sum(0)),
        "r2 squares": Sum(targets.square().sum(0)),
        "r2 count": Sum(torch.ones_like(targets[:, 0]).sum()),
    }


def _r2(values: Mapping[str, Tensor]) -> dict[str, Figure]:
    """The mean over the outputs, as scikit-learn has it."""
    spread = values["r2 squares"] - values["r2 sum"].square() / values["r2 count"]
    return {"r2": float((1 - values["r2 left"] / spread).mean())}


def _confusion(name: str) -> Measure:
    def measure(outputs: Tensor, targets: Tensor) -> dict[str, Sum]:
        """[true class][guessed class]"""
        classes = outputs.shape[1]
        true, guessed = (one_hot(each, classes).double() for each in (targets, outputs.argmax(1)))
        return {name: Sum(true.T @ guessed)}

    return measure


def _counts(values: Mapping[str, Tensor]) -> dict[str, Figure]:
    return {"confusion": values["confusion"].long().tolist()}


def _of_classes(name: str, rate: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Metric:
    """The mean over the classes that there are of a rate of: right guesses, all guesses, all examples of a class."""

    def conclude(values: Mapping[str, Tensor]) -> dict[str, Figure]:
        counts = values[name]
        right, guessed, true = counts.diagonal(), counts.sum(0), counts.sum(1)
        there = guessed + true > 0
        return {name: float(rate(right, guessed, true)[there].nan_to_num(0.0).mean())}

    return Metric(_confusion(name), conclude)


OF_CLASSES = ("accuracy", "top3", "top5", "precision", "recall", "f1", "confusion")
OF_MEASUREMENTS = ("mae", "rmse", "r2")

METRICS: Mapping[str, Metric] = {
    "accuracy": Metric(_accuracy),
    "top3": Metric(_top(3)),
    "top5": Metric(_top(5)),
    "precision": _of_classes("precision", lambda right, guessed, true: right / guessed),
    "recall": _of_classes("recall", lambda right, guessed, true: right / true),
    "f1": _of_classes("f1", lambda right, guessed, true: 2 * right / (guessed + true)),
    "confusion": Metric(_confusion("confusion"), _counts),
    "mae": Metric(_absolute),
    "rmse": Metric(_squared, lambda values: {"rmse": float(values["rmse"].sqrt())}),
    "r2": Metric(_spread, _r2),
}
