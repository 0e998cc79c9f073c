"""Makes the assignments of one run: what each worker is told beside the model, and what of it counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

from fedzmq.client.tasks import TrainingTask
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import FedzmqError
from fedzmq.federated.assignment import Assignment
from fedzmq.federated.edition import Edition
from fedzmq.federated.seeds import derive
from fedzmq.federated.shared_model import SharedModel
from fedzmq.federated.strategies.strategy import Instructions, Strategy
from fedzmq.federated.training_job import TrainingJob
from fedzmq.federated.updates.due import Due
from fedzmq.wire.messages import Course, Local, Progress


class Assigner:
    """`hear` is given the progress of each worker. `run` is the name under which workers keep what stays with them:
    one that nobody guesses, unless a run is taken up again under its old name.
    """

    def __init__(
        self,
        job: TrainingJob,
        shared: SharedModel,
        strategy: Strategy,
        hear: Callable[[str, Progress], None],
        run: str | None = None,
    ) -> None:
        self._job = job
        self._shared = shared
        self._strategy = strategy
        self._hear = hear
        self.run = run or os.urandom(8).hex()
        self._asked: dict[str, WorkerHandle] = {}
        self._courses: dict[int, Course] = {}  # of the last round
        self.counted: dict[str, int] = {}
        """The last round in which the answer of a worker counted: from there it goes on with what it kept."""

    def assign(self, handle: WorkerHandle, number: int, edition: Edition, due: Due) -> Assignment:
        """Have a worker train the model in this round, of which its random numbers follow. Raises a FedzmqError."""
        job, asked = self._job, self._strategy.ask(handle.name)
        local = self.local(handle.name, number, asked)
        task = TrainingTask(
            job.dataset,
            job.epochs,
            job.batch_size,
            job.optimizer,
            job.options,
            derive(job.seed, "train", number, handle.name),
            local=local,
            control=asked.control,
            course=self._course(number),
            model=edition.name,
            ahead=due.ahead,
            held_out=job.held_out(handle.name),
        )
        self._asked[handle.name] = handle
        return Assignment(handle, self._shared.form, edition, task, due, self._hear)

    def local(self, worker: str, number: int, asked: Instructions) -> Local:
        """What a worker does beside plain training in this round, and from what of its own it goes on."""
        return Local(
            float(asked.proximal),
            None if asked.ditto is None else float(asked.ditto),
            asked.loss_before,
            self._shared.personal,
            self.run,
            number,
            self.counted.get(worker, 0),
            asked.gradient,
        )

    def _course(self, number: int) -> Course:
        """The same for all that are asked in a round."""
        if number not in self._courses:
            self._courses = {number: self._job.course(number)}
        return self._courses[number]

    def release(self) -> None:
        """The run is over: no worker need keep what it has trained."""
        for handle in self._asked.values():
            with suppress(FedzmqError):  # it is gone, and so is what it kept
                handle.release(self.run)
