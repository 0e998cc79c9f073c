"""Whether what a trainer is given is what it needs: said where it is given, and not by a worker in the first round."""

from __future__ import annotations

import torch

from fedzmq.client.client import Client
from fedzmq.errors import PlanError, ProtocolError, UsageError
from fedzmq.federated.evaluation.score import Score
from fedzmq.federated.ledger.ledger import Ledger
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.training_job import TrainingJob
from fedzmq.plans.plan import from_bytes

_MAKE = "make it of this model: training_plan(model, loss, features, targets)"


def check_arguments(
    client: object, model: object, plan: object, job: object, strategy: object, evaluate: object, ledger: object
) -> None:
    """Raises UsageError; PlanError where the plan is none, or another model's."""
    _check_kind("client", client, Client, "a Client is expected, as fedzmq.connect(address) gives it")
    _check_kind("model", model, torch.nn.Module, "a torch.nn.Module is expected")
    _check_kind("job", job, TrainingJob, "a TrainingJob is expected")
    _check_kind("strategy", strategy, Strategy, "an instance of a Strategy is expected, as FedAvg()")
    _check_kind("ledger", ledger, Ledger | None, "a Ledger is expected, as RunLedger(folder)")
    if evaluate is not None and not callable(evaluate):
        raise UsageError(f"evaluate is {evaluate!r:.60}, and a function from the model to its Score is expected")
    assert isinstance(model, torch.nn.Module)
    _check_plan(plan, model)


def checked_score(score: object) -> Score:
    """Raises UsageError for what a user's own evaluation gives in its place."""
    _check_kind("outcome of evaluate", score, Score, "a Score is expected: Score(loss, accuracy)")
    assert isinstance(score, Score)
    return score


def _check_kind(name: str, value: object, kind: type | object, wanted: str) -> None:
    if not isinstance(value, kind):  # type: ignore[arg-type]  # a union is one too
        what = f"the class {value.__name__}" if isinstance(value, type) else f"{value!r:.60}"
        raise UsageError(f"the {name} is {what}, and {wanted}")


def _check_plan(plan: object, model: torch.nn.Module) -> None:
    if not isinstance(plan, bytes):
        raise PlanError(f"the plan is {plan!r:.60}, and bytes are expected; {_MAKE}")
    try:
        read = from_bytes(plan)
    except ProtocolError as error:
        raise PlanError(f"these bytes are no plan ({error}); {_MAKE}") from error
    theirs = {slot.name: f"{slot.dtype}{list(slot.shape)}" for slot in read.state}
    tensors = (*model.named_parameters(), *model.named_buffers())
    ours = {name: f"{str(each.dtype).removeprefix('torch.')}{list(each.shape)}" for name, each in tensors}
    for name in {**ours, **theirs}:
        if ours.get(name) != theirs.get(name):
            raise PlanError(
                f"the plan is another model's: {name!r} is {theirs.get(name, 'not there')} in it, and "
                f"{ours.get(name, 'not there')} in the model; {_MAKE}"
            )
