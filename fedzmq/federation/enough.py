"""Whether so many workers can ever make a round: where nobody else will come, that is known before anything begins."""

from __future__ import annotations

from fedzmq.errors import UsageError
from fedzmq.federated.strategies import Strategy
from fedzmq.federated.training_job import TrainingJob


def check_enough(strategy: Strategy, job: TrainingJob, workers: int) -> None:
    """Raises UsageError where `workers` are all that there will ever be, and are too few."""
    are = f"{workers} worker is" if workers == 1 else f"{workers} workers are"
    if strategy.least > workers:
        needs = f"{type(strategy).__name__} makes no round of fewer than {strategy.least} answers"
        fewer = f", or expect fewer 'attackers' than {strategy.attackers}" if strategy.attackers else ""
        raise UsageError(f"{needs}, and {are} all there will be: start {strategy.least} or more{fewer}")
    for name in ("quorum", "least", "workers"):
        needed = getattr(job, name)
        if needed is not None and needed > workers:
            raise UsageError(f"{name} is {needed}, and {are} all there will be: start {needed} or more, or lower it")
