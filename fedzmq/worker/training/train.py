"""Local training of one task: what is done with the model that came, what stays here, and what goes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from fedzmq.data.examples import Examples
from fedzmq.errors import UsageError
from fedzmq.plans.compiled import Look
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.wire.messages import Train
from fedzmq.worker.training.corrections import Correction
from fedzmq.worker.training.epochs import Epochs, Means, Report
from fedzmq.worker.training.fit import fitted
from fedzmq.worker.training.isolation import isolated
from fedzmq.worker.training.layout import Layout, copied, layout
from fedzmq.worker.training.memory import Kept

LOSS_BEFORE = "loss_before"  # the metric that tells the loss of the model that came
CONTROL_LOST = "control_lost"  # the metric that tells that an earlier round's own control variates are gone
PERSONAL = "personal_"  # before the loss and the metrics of the worker's own model


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """The state after training, in the plan's order without what is personal, then what control variates grew by where
    that was asked for.

    `loss` and `metrics` are means over the last epoch, and NaN without one; `examples` are those that it was trained
    on. `kept` is for the next round here. `way` is how far the optimizer went, see `fedzmq.worker.training.way`.
    """

    state: list[torch.Tensor]
    loss: float
    metrics: dict[str, float]
    steps: int
    kept: Kept
    examples: int
    way: float


def train(
    task: Train,
    compiled: CompiledPlan,
    state: Sequence[torch.Tensor],
    data: Examples,
    *,
    report: Report,
    look: Look,
    control: Sequence[torch.Tensor] = (),
    kept: Kept | None = None,
) -> Outcome:
    """Train `state`, which is the task's own, on `data` as `task` says, whatever modes of torch are in force around it.

    It is trained where it lies: only a task that goes back to what came has a copy made of that.
    Dropout and the like draw from the task's seed, and the process's own random state is left as it was. `kept` is
    what an earlier round kept. Raises DataError, PlanError or UsageError where plan, state, data and task do not fit
    together, and Cancelled.
    """
    data = fitted(compiled.plan, state, data)
    local, kept = task.local, kept or Kept()
    places = layout(compiled.plan, local.personal)
    _check(task, control, [state[place] for place in places.pulled])
    epochs = Epochs(task, compiled, data, report, look)
    metrics: dict[str, float] = {}
    if control and local.basis and not kept.control:
        metrics[CONTROL_LOST] = 1.0
    if local.loss_before:
        with isolated(task.seed):
            metrics[LOSS_BEFORE] = epochs.loss(places.fill(state, kept.personal))
    gradient: dict[str, torch.Tensor] = {}
    if local.gradient:
        with isolated(task.seed):
            whole = places.copy(state, kept.personal)
            moving = [whole[place] for place in places.pulled]
            gradient = dict(zip(places.pulled_names, epochs.gradient(whole, moving), strict=True))
    with isolated(task.seed):
        goes_back = local.proximal or control or local.ditto is not None
        came = [copied(each) for each in state] if goes_back else state
        trained = places.fill(state, kept.personal)
        drift = _drift(places, control, kept.control) if control else []
        means = _train(epochs, places, trained, came, local.proximal, drift)
        own: list[torch.Tensor] = []
        if local.ditto is not None:
            own = places.copy(came, kept.model or kept.personal)
            own_means = _train(epochs, places, own, came, local.ditto, ())
            metrics |= {PERSONAL + "loss": own_means.loss}
            metrics |= {PERSONAL + name: value for name, value in own_means.metrics.items()}
        still_kept = Kept(
            gradient or (drift and _control(places, came, trained, drift, means.way)) or kept.control,
            places.by_name(trained, places.personal),
            places.by_name(own, range(len(own))),
        )
    grown = _grown(gradient, kept.control) if gradient else []
    return Outcome(
        [*(trained[place].detach() for place in places.shared), *grown],
        means.loss,
        means.metrics | metrics,
        means.steps,
        still_kept,
        means.examples,
        means.way,
    )


def _train(
    epochs: Epochs,
    places: Layout,
    state: Sequence[torch.Tensor],
    came: Sequence[torch.Tensor],
    strength: float,
    drift: Sequence[torch.Tensor],
) -> Means:
    """Train a state in place, pulled to the one that came; what is personal is not pulled."""
    pulled = [state[place] for place in places.pulled]
    moving = [*pulled, *(state[place] for place in places.free)]
    correction: Correction | None = None
    if strength or drift:
        correction = Correction(pulled, [came[place].detach() for place in places.pulled], strength, drift)
    return epochs.fit(state, moving, correction, strength)


@torch.no_grad()
def _drift(places: Layout, control: Sequence[torch.Tensor], own: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """The global control variates less the worker's own, which are zero in the beginning."""
    return [
        everybodys - own[name] if name in own else everybodys.clone()
        for name, everybodys in zip(places.pulled_names, control, strict=False)
    ]


@torch.no_grad()
def _grown(new: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
    """What the worker's control variates grow by, which are zero in the beginning."""
    return [each - own[name] if name in own else each for name, each in new.items()]


@torch.no_grad()
def _control(
    places: Layout,
    came: Sequence[torch.Tensor],
    trained: Sequence[torch.Tensor],
    drift: Sequence[torch.Tensor],
    way: float,
) -> dict[str, torch.Tensor]:
    """The worker's new control variates, by option II of SCAFFOLD (Karimireddy et al. 2020, algorithm 1, line 12):
    its old one, less the global one, plus how far it went in all per step and unit of the learning rate.
    """
    if not way:
        return {}
    return {
        name: (came[place] - trained[place]) / way - each
        for name, place, each in zip(places.pulled_names, places.pulled, drift, strict=False)
    }


def _check(task: Train, control: Sequence[torch.Tensor], pulled: Sequence[torch.Tensor]) -> None:
    local = task.local
    for name, strength in (("proximal", local.proximal), ("ditto", local.ditto or 0.0)):
        if strength < 0:
            raise UsageError(f"the strength {name!r} of local training is {strength:g}, and it cannot be negative")
    if control and [each.shape for each in control] != [each.shape for each in pulled]:
        raise UsageError(
            f"{len(control)} control variates came, and each of the {len(pulled)} parameters that are trained and "
            "shared needs one of its shape"
        )
