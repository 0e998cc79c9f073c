"""What `fedzmq train` was asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedzmq.client.waiting import MOST_NAMES
from fedzmq.cluster.names import worker_names
from fedzmq.data.names import name_of
from fedzmq.data.split import Split
from fedzmq.errors import UsageError
from fedzmq.federation.federation import Federation


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """The options of the command line, by their names there."""

    broker: str | None
    workers: int
    rounds: int
    epochs: int
    batch_size: int
    loss: str | None
    loss_options: Mapping[str, float]
    lr: float | None
    optimizer: str
    optimizer_options: Mapping[str, float | int | bool]
    schedule: str
    schedule_options: Mapping[str, float | int | bool]
    round_schedule: str
    round_schedule_options: Mapping[str, float | int | bool]
    clip_norm: float | None
    clip_value: float | None
    max_steps: int | None
    max_seconds: float | None
    strategy: str
    strategy_options: Mapping[str, str]
    fraction: float | None
    deadline: float | None
    quorum: int | None
    seed: int
    data: str
    dataset: str | None
    no_evaluation: bool
    evaluate_at: str
    holdout: float
    evaluate_every: int
    metrics: tuple[str, ...]
    model: str
    how: str
    alpha: float
    per_worker: int
    exponent: float
    column: str | None
    split_seed: int
    out: str | None
    log: Sequence[str]
    as_json: bool
    silence: float
    wait: float
    patience: float

    def check(self) -> None:
        """Raises UsageError for options that do not go together."""
        if self.broker is None and (self.dataset is not None or self.no_evaluation):
            raise UsageError(
                "--dataset and --no-evaluation are for workers at a --broker; those started here get --data"
            )
        if self.no_evaluation and self.dataset is None:
            raise UsageError("--no-evaluation needs --dataset NAME: what the workers call their data")
        if self.no_evaluation and self.evaluate_at == "both":
            raise UsageError("--evaluate-at both needs data here, and --no-evaluation says that there is none")
        if self.loss_options and self.loss is None:
            raise UsageError("--loss-option is for a loss by its name: it needs --loss")
        if self.quorum is not None and self.deadline is None:
            raise UsageError("--quorum needs a --deadline in seconds; with 0, a round is over with its quorum")
        if self.broker is None and self.quorum is not None and self.quorum > self.workers:
            raise UsageError(
                f"--quorum {self.quorum} is more than --workers {self.workers}: no round would have so many answers"
            )

    def beginning(self) -> str:
        """What is waited for until the first round, in words."""
        workers = f"{self.workers} workers" if self.workers > 1 else "a worker"
        if self.broker is None:
            names = worker_names(self.workers)
            few = names if len(names) <= MOST_NAMES else (*names[:MOST_NAMES], "...")
            return f"starting a broker and {workers}: {', '.join(few)}"
        dataset = self.dataset or name_of(self.data)
        return f"waiting for {workers} with the data {dataset!r} at {self.broker}"

    def federation(self) -> Federation:
        """The workers to start on this machine, or those at the broker."""
        return Federation(
            self.broker,
            workers=self.workers,
            data=self.data,
            dataset=self.dataset,
            split=Split(self.how, self.alpha, self.per_worker, self.exponent, self.column, self.split_seed),
            silence=self.silence,
            wait=self.wait,
            patience=self.patience,
        )
