from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from torch import nn

from fedzmq.errors import PlanError, UsageError
from fedzmq.federated.async_trainer import AsyncTrainer
from fedzmq.federated.strategies.asynchronous import FedAsync
from fedzmq.federated.strategies.fedavg import FedAvg
from fedzmq.federated.trainer import Trainer
from fedzmq.federated.training_job import TrainingJob
from fedzmq.recording.training_plan import training_plan
from tests.recording.recorded import MODULES, Made
from tests.worker.hub import Meeting
from tests.worker.training.trained import data_of

JOB = TrainingJob("data", rounds=1, options={"lr": 0.1})


@pytest.fixture
def meeting() -> Iterator[Meeting]:
    with Meeting() as meeting:
        yield meeting


def plan_of(made: Made) -> bytes:
    return training_plan(made.module, made.loss, made.features, made.targets)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"client": "tcp://127.0.0.1:5555"}, "the client is 'tcp://127.0.0.1:5555', and a Client is expected"),
        ({"model": "mlp"}, "the model is 'mlp', and a torch.nn.Module is expected"),
        ({"model": nn.Linear}, "the model is the class Linear, and a torch.nn.Module is expected"),
        ({"job": {"rounds": 3}}, "the job is {'rounds': 3}, and a TrainingJob is expected"),
        ({"strategy": "fedavg"}, "the strategy is 'fedavg', and an instance of a Strategy is expected"),
        ({"strategy": FedAvg}, "the strategy is the class FedAvg, and an instance"),
        ({"evaluate": 0.5}, "evaluate is 0.5, and a function from the model to its Score is expected"),
        ({"ledger": "runs/mine"}, "the ledger is 'runs/mine', and a Ledger is expected"),
        ({"plan": None}, "the plan is None, and bytes are expected"),
        ({"plan": b"no plan"}, r"these bytes are no plan \(.*\); make it of this model: training_plan"),
    ],
)
def test_what_is_of_another_kind_is_refused_before_a_worker_is_asked(
    meeting: Meeting, given: dict[str, Any], reason: str
) -> None:
    made = MODULES["linear"]()
    right = {"client": meeting.client("c"), "model": made.module, "plan": plan_of(made), "job": JOB}
    for kind, strategy in ((Trainer, FedAvg()), (AsyncTrainer, FedAsync())):
        with pytest.raises(UsageError, match=reason):
            kind(**{**right, "strategy": strategy, **given})


def test_a_plan_of_another_model_is_refused_with_what_differs(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    with pytest.raises(PlanError, match=r"the plan is another model's: 'weight' is .* in it, and .* in the model"):
        Trainer(meeting.client("c"), nn.Linear(2, 7), plan_of(made), JOB)
    with pytest.raises(PlanError, match=r"'0.weight' is not there in it, and float32\[3, 6\] in the model"):
        Trainer(meeting.client("d"), nn.Sequential(copy.deepcopy(made.module), nn.Linear(2, 2)), plan_of(made), JOB)


@pytest.mark.parametrize("name", MODULES)
def test_a_plan_of_the_model_itself_is_taken(meeting: Meeting, name: str) -> None:
    made = MODULES[name]()
    Trainer(meeting.client("c"), made.module, plan_of(made), JOB)


def test_a_strategy_of_rounds_is_for_the_other_trainer(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    with pytest.raises(UsageError, match="FedAvg works in rounds: it needs a Trainer"):
        AsyncTrainer(meeting.client("c"), made.module, plan_of(made), JOB, strategy=FedAvg())  # type: ignore[arg-type]


def test_an_evaluation_that_gives_no_score_is_told(meeting: Meeting) -> None:
    made = MODULES["linear"]()
    meeting.worker("bob", [data_of(made)])
    evaluate: Any = lambda model: 0.5  # noqa: E731
    trainer = Trainer(meeting.client("c"), made.module, plan_of(made), JOB, evaluate=evaluate)
    with pytest.raises(UsageError, match=r"the outcome of evaluate is 0.5, and a Score is expected: Score\(loss"):
        list(trainer.rounds())
