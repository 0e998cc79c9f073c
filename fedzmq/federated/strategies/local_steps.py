"""What a strategy needs to know of the steps of a worker's optimizer, which is said before any worker takes one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fedzmq.errors import UsageError
from fedzmq.worker.training.optimizers.table import learning_rate

if TYPE_CHECKING:
    from fedzmq.federated.training_job import TrainingJob


def needs_sums_of_gradients(who: str, job: TrainingJob, way_out: str = "") -> None:
    """Raises UsageError for an optimizer whose steps are no sums of gradients with weights that are known before."""
    if job.optimizer != "sgd":
        raise UsageError(
            f"{who} divides by what a worker's gradients weigh in its way, which is known of 'sgd' alone (with "
            f"momentum, weight decay, schedules and clipping), and the optimizer is {job.optimizer!r}{way_out}"
        )


def needs_a_rate(who: str, job: TrainingJob) -> None:
    """Raises UsageError where no step would lead anywhere."""
    if not learning_rate(job.optimizer, job.options) > 0:
        raise UsageError(f"{who} needs a learning rate (lr) above 0, and it is {job.options['lr']:g}")
