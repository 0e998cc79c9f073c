from __future__ import annotations

from dataclasses import replace

from fedzmq.federated.ledger.terms import differences, terms_of
from fedzmq.federated.strategies.fedopt import FedAdam
from fedzmq.federated.strategies.strategy import Strategy
from fedzmq.federated.training_job import TrainingJob

JOB = TrainingJob("data", rounds=5, options={"lr": 0.1})


def changed(job: TrainingJob = JOB, plan: bytes = b"plan", strategy: Strategy | None = None) -> list[str]:
    now = terms_of(job, plan, strategy or FedAdam())
    return [name for name, _, _ in differences(terms_of(JOB, b"plan", FedAdam()), now)]


def test_the_same_run_has_the_same_terms() -> None:
    assert changed() == []


def test_what_decides_the_outcome_is_a_term() -> None:
    assert changed(replace(JOB, seed=1)) == ["seed"]
    assert changed(replace(JOB, options={"lr": 0.2})) == ["options"]
    assert changed(plan=b"other") == ["the model or its loss"]
    assert changed(strategy=FedAdam(lr=0.5)) == ["strategy.lr"]


def test_who_is_waited_for_is_none() -> None:
    assert changed(replace(JOB, workers=7, least=2, patience=1.0)) == []


def test_the_number_of_rounds_is_one_only_where_a_schedule_goes_by_it() -> None:
    assert changed(replace(JOB, rounds=9)) == []
    cosine = replace(JOB, round_schedule="cosine")
    then, now = (terms_of(job, b"plan", FedAdam()) for job in (cosine, replace(cosine, rounds=9)))

    assert [name for name, _, _ in differences(then, now)] == ["rounds"]
