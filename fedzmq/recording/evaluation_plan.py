"""A module, its loss and metrics as a plan: what is added up over the examples to tell how good a model is.

The plan gives sums over a batch, which add up over batches and over workers. A mean is a sum over the number of
examples, so that what all workers' examples have together is exactly what they would have in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from fedzmq.errors import PlanError
from fedzmq.plans.check import LOSS
from fedzmq.recording.batch_plan import Inputs, Loss, batch_plan
from fedzmq.recording.module_modes import evaluating
from fedzmq.recording.training_plan import one_number


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """Marks what a metric gives as a total over the examples: it is added up, and no mean is taken."""

    tensor: Tensor


Measure: TypeAlias = Callable[[Any, Any], Mapping[str, Tensor | Sum] | Tensor | Sum]
"""Gets what the module returns, and the targets. Gives by name one number, which is a mean over the batch; a number, or
several, for each example, of which the mean is taken; or a Sum of any shape. One alone is called as the function is.
"""

UNNAMED = "metric"  # what that of a lambda is called


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationPlan:
    """The plan as it travels, and its outputs in order: the loss, and then what every measure gives.

    names, shapes: of the outputs. totals: the names of those that are no means. groups: the names of each measure's.
    """

    body: bytes
    names: tuple[str, ...]
    shapes: tuple[torch.Size, ...]
    totals: frozenset[str]
    groups: tuple[tuple[str, ...], ...]


def evaluation_plan(
    module: torch.nn.Module, loss: Loss, inputs: Inputs, targets: Tensor, measures: Sequence[Measure] = ()
) -> EvaluationPlan:
    """Record the loss and all measures in evaluation mode; afterwards each part of the module is in the mode it was in.

    Raises PlanError, which names the user's line, where the module or a measure cannot be recorded, and where a measure
    gives what is no number.
    """
    totals: set[str] = set()
    names: list[str] = []
    groups: list[tuple[str, ...]] = []

    def outputs(output: Any, y: Tensor) -> dict[str, Tensor]:
        rows = len(y)
        found = {LOSS: one_number(loss(output, y)) * rows}
        groups.clear()
        for measure in measures:
            given = _by_name(measure, measure(output, y))
            groups.append(tuple(given))
            for name, value in given.items():
                if name in found:
                    raise PlanError(f"two metrics are called {name!r}; give one of them another name")
                found[name] = _total(name, value, rows)
                if isinstance(value, Sum):
                    totals.add(name)
        names[:] = found
        return found

    with evaluating(module):
        made = batch_plan(module, inputs, targets, outputs)
    return EvaluationPlan(made.plan.to_bytes(), tuple(names), made.shapes, frozenset(totals), tuple(groups))


def _by_name(measure: Measure, given: object) -> Mapping[str, object]:
    name = getattr(measure, "__name__", type(measure).__name__)
    if isinstance(given, Tensor | Sum):
        return {UNNAMED if name == "<lambda>" else name: given}
    if not isinstance(given, Mapping):
        raise PlanError(
            f"the metric {name} gives something of type {type(given).__name__}; give a tensor, a Sum of one, or "
            "several by name, as {'error': (outputs - targets).abs()}"
        )
    return given


def _total(name: str, value: object, rows: int) -> Tensor:
    tensor = value.tensor if isinstance(value, Sum) else value
    if not isinstance(tensor, Tensor):
        raise PlanError(
            f"the metric {name!r} is of type {type(tensor).__name__}, and a tensor was expected, or a Sum of one"
        )
    if isinstance(value, Sum):
        return tensor
    if tensor.dim() and tensor.shape[0] == rows:
        return tensor.sum(0)
    if tensor.dim():
        raise PlanError(
            f"the metric {name!r} has the shape {tuple(tensor.shape)} for {rows} examples; give one number, or one for "
            "each example, to have the mean, or fedzmq.Sum(...) to have all added up"
        )
    return tensor * rows
