"""How a model is judged: its loss and metrics, as a plan that runs wherever the examples are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fedzmq.data.examples import Examples
from fedzmq.errors import UpdateRefused
from fedzmq.federated.evaluation.metrics import Figure, Metric
from fedzmq.federated.evaluation.score import BATCH, Score
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.plans.plan import from_bytes
from fedzmq.recording.batch_plan import Inputs, Loss
from fedzmq.recording.evaluation_plan import evaluation_plan
from fedzmq.worker.training.evaluate import add_up

ACCURACY = "accuracy"


class Scoring:
    """Records the plan when it is made, of which only the form of `inputs` and `targets` counts. Raises PlanError."""

    def __init__(
        self, module: torch.nn.Module, loss: Loss, inputs: Inputs, targets: Tensor, metrics: Sequence[Metric] = ()
    ) -> None:
        self._metrics = tuple(metrics)
        self._plan = evaluation_plan(module, loss, inputs, targets, [metric.measure for metric in metrics])
        self._compiled = CompiledPlan(from_bytes(self._plan.body))

    @property
    def plan(self) -> bytes:
        """What a worker runs."""
        return self._plan.body

    @property
    def width(self) -> int:
        """How many sums it gives."""
        return len(self._plan.names)

    def check(self, sums: Sequence[Tensor], examples: int) -> None:
        """Raises UpdateRefused for sums that this plan does not give."""
        if examples < 1:
            raise UpdateRefused(f"it evaluated {examples} examples, and at least 1 was expected")
        shapes, due = ([tuple(each) for each in of] for of in ([each.shape for each in sums], self._plan.shapes))
        if shapes != due or any(each.dtype != torch.float64 for each in sums):
            raise UpdateRefused(f"it gave sums of the shapes {shapes}, and float64 of {due} is due")

    def score(self, sums: Sequence[Tensor], examples: int) -> Score:
        """What sums over so many examples say of the model."""
        values = {
            name: total if name in self._plan.totals else total / examples
            for name, total in zip(self._plan.names, sums, strict=True)
        }
        figures: dict[str, Figure] = {}
        for metric, names in zip(self._metrics, self._plan.groups, strict=True):
            figures |= metric.conclude({name: values[name] for name in names})
        accuracy = figures.pop(ACCURACY, None)
        return Score(float(values["loss"]), accuracy if isinstance(accuracy, float) else None, figures)

    def here(self, model: torch.nn.Module, data: Examples) -> Score:
        """Of a model of this process, on examples of this process."""
        named: Mapping[str, Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        state = [each.detach().clone() for each in named.values()]
        with torch.no_grad():
            for found in add_up(self._compiled, state, data.in_order(BATCH)):
                last = found
        return self.score(last.sums, last.examples)
