"""Workers that train together, as a user holds them: in a program, in a notebook, and behind `fedzmq train`.

Importing this imports no torch, so that the workers' processes can be on their way before it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import WeakSet

from fedzmq.cluster.local_cluster import LocalCluster
from fedzmq.data.names import name_of
from fedzmq.data.split import Split
from fedzmq.errors import UsageError
from fedzmq.federation.sites import Inside, Remote, Site, Started
from fedzmq.session.roster import SILENCE
from fedzmq.suggestion import nearest

if TYPE_CHECKING:
    import os

    import torch

    from fedzmq.client.client import Client
    from fedzmq.data.examples import Examples
    from fedzmq.data.load import Given
    from fedzmq.federated.evaluation.metrics import Metric
    from fedzmq.federated.strategies.strategy import Strategy
    from fedzmq.federation.display import Display
    from fedzmq.federation.judging import Judge
    from fedzmq.federation.loggers import RoundLogger
    from fedzmq.federation.training import Training
    from fedzmq.recording.batch_plan import Loss
    from fedzmq.recording.evaluation_plan import Measure


class Federation:
    """`with Federation(workers=3, data="digits") as federation: ...`

    With the `address` of a broker, the workers are those there, and `workers` is how many a training waits for. Without
    it they are started on this machine: `workers` is how many, or their names. They split `data`, which is what
    `fedzmq worker --data` takes, between them, but for a tenth that is held out to evaluate on. At a broker only the
    tenth is used, and `dataset` is what the workers call theirs, where it has another name or there is none here.

    `workers` may also hold each worker's own data by its name, a pair of features and targets or a torch Dataset: they
    are then inside this process.

    `alpha`, `split_seed`, `split`: see `LocalCluster`. In seconds: `silence`, after which a party counts as gone; what
    a broker has to answer, `wait`; and what missing workers have to come, `patience`.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        workers: int | Sequence[str] | Mapping[str, Given] | None = None,
        data: str | None = None,
        dataset: str | None = None,
        alpha: float = 1.0,
        split_seed: int = 0,
        split: Split | None = None,
        silence: float = SILENCE,
        wait: float = 10.0,
        patience: float = 60.0,
        threads: int = 1,
        **unknown: NoReturn,
    ) -> None:
        for name in unknown:
            known = [each for each in inspect.signature(Federation).parameters if each != "unknown"]
            raise UsageError(f"a federation has no option {name!r} (known: {', '.join(known)}){nearest(name, known)}")
        self.data = data
        self.split = split or Split(alpha=alpha, seed=split_seed)
        self.patience = patience
        self._dataset = dataset
        self._client: Client | None = None
        self._held: Examples | None = None
        self._trainings: WeakSet[Training] = WeakSet()
        self.site: Site
        if isinstance(workers, Mapping):
            if address is not None or data is not None:
                raise UsageError("workers with data of their own are in this process: leave the address and data out")
            self._dataset = dataset or "data"
            self.site = Inside(workers, self._dataset)
        elif address is not None:
            if workers is not None and not isinstance(workers, int):
                raise UsageError("at a broker, workers is how many to wait for; their names are their own")
            if data is None and dataset is None:
                raise UsageError("say what the workers at the broker call their data: dataset='...'")
            self.site = Remote(address, workers or 1, silence, wait)
        else:
            if data is None:
                raise UsageError("workers that are started here need data: data='digits', a file, or module:function")
            names = 2 if workers is None else workers
            self.site = Started(
                LocalCluster(names, data=data, split=self.split, silence=silence, threads=threads, keeps=True)
            )

    @property
    def dataset(self) -> str:
        """What the workers call their data."""
        if self._dataset is None:
            assert self.data is not None
            return name_of(self.data)
        return self._dataset

    @property
    def held_out(self) -> Examples | None:
        """The part of `data` that no worker trains on; None where there is no data here. Raises DataError."""
        if self._held is None and self.data is not None:
            from fedzmq.data.load import load
            from fedzmq.data.partition import hold_out

            self._held = hold_out(load(self.data, without=self.split.column), seed=self.split.seed)[1]
        return self._held

    @property
    def client(self) -> Client:
        """A client of the workers: `federation.client.worker("bob")`. Raises UnavailableError."""
        if self._client is None:
            self._client = self.site.connect()
        return self._client

    def train(
        self,
        model: torch.nn.Module | str,
        loss: Loss | str | None = None,
        *,
        loss_options: Mapping[str, float] | None = None,
        strategy: Strategy | str = "fedavg",
        strategy_options: Mapping[str, float | str] | None = None,
        lr: float | None = None,
        options: Mapping[str, float | int | bool] | None = None,
        evaluate: Judge | Given | bool = True,
        evaluate_at: str | None = None,
        metrics: Sequence[Metric | Measure | str] = (),
        out: str | os.PathLike[str] | bool | None = None,
        resume: str | os.PathLike[str] | None = None,
        force: bool = False,
        log: str | RoundLogger | Sequence[str | RoundLogger] = (),
        progress: bool | Display | None = None,
        record: str | None = None,
        then: Callable[[], None] = lambda: None,
        **job: Any,
    ) -> Training:
        """A training of the model, in place, that goes on as its reports are taken: `for report in ...`.

        `loss(model(features), targets)` is one number; the default is cross-entropy for classes and squared error for
        measurements. `model` may be what `fedzmq train --model` takes, and `loss` what `--loss` takes, as "huber" with
        `loss_options={"delta": 0.5}`. `lr` and `options` are the optimizer's.
        `job`: whatever `TrainingJob` takes, such as rounds=20, epochs=2, batch_size=16, fraction=0.5, seed=1.

        `evaluate` says how good the model is after each round: on the held-out data (True), not at all, on data of
        your own, or by a function from the model to a `Score`. With `evaluate_at` "workers" or "both", each worker says
        it of its own examples, of those that `holdout=0.2` keeps from training where that is given. Without it the
        coordinator does, and the workers where there is nothing held out here. `metrics` are
        measured beside the loss: names, as "accuracy", "f1" or "r2", or functions of the model's answers and the
        targets that give numbers by name; see `fedzmq.federated.evaluation.metrics`.
        `out`: a new folder for what the run leaves behind (True: one in runs/). `record` is kept in it as the job.
        `resume`: such a folder, or its name in runs/, of a run that goes on from its last round; by `force`, although
        what decides its outcome is something else now.
        `log`: loggers, each by name, "tensorboard" or "mlflow", or a `RoundLogger` of your own.
        `progress`: whether to show it; by default where somebody may be looking, in a terminal or a notebook.
        `then` is called when the workers are needed no more.

        Leaving the loop, by `break` or an error, tells the workers to stop and leaves the model as it is. Raises a
        UsageError for what does not fit together, and UnavailableError where workers are missing.
        """
        from fedzmq.federation.start_training import start_training

        training = start_training(
            self,
            model,
            loss,
            loss_options=loss_options or {},
            strategy=strategy,
            strategy_options=strategy_options or {},
            lr=lr,
            options=options or {},
            evaluate=evaluate,
            evaluate_at=evaluate_at,
            metrics=metrics,
            out=out,
            resume=resume,
            force=force,
            log=log,
            progress=progress,
            record=record,
            then=then,
            job=job,
        )
        self._trainings.add(training)
        return training

    def start(self) -> Federation:
        """Begin to start the workers, without waiting for them. Raises ClusterError."""
        self.site.start()
        return self

    def stop(self) -> None:
        """Say goodbye to the workers, and have those that were started here end, without waiting for it."""
        if self._client is not None:
            self._client.close()
        self.site.stop()

    def close(self) -> None:
        """End the trainings that go on, and the workers that were started here. Twice is fine."""
        try:
            for training in tuple(self._trainings):
                training.close()
        finally:
            self.stop()
            self.site.close()

    def __enter__(self) -> Federation:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
