"""MLflow: a run of the experiment `fedzmq`, at the server that MLflow itself is set to (MLFLOW_TRACKING_URI)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedzmq.errors import MissingExtraError
from fedzmq.federated.report import RoundReport
from fedzmq.federation.loggers.round_logger import Outcome, RoundLogger, scalars

_STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
_LONGEST = 500  # characters of a parameter's value that every version of a server takes


class MLflow(RoundLogger):
    """`uri`: where to, in place of MLflow's own setting. Raises MissingExtraError without mlflow.

    It takes no part in the program's own use of `mlflow.start_run`.
    """

    def __init__(self, experiment: str = "fedzmq", *, uri: str | None = None) -> None:
        try:
            from mlflow import MlflowClient, entities
        except ImportError as error:
            raise MissingExtraError("mlflow", "mlflow", "logging to MLflow") from error
        self._client: Any = MlflowClient(uri)
        self._entities: Any = entities
        self._experiment = experiment
        self._run: str | None = None

    def begin(self, job: Mapping[str, Any], folder: Path | None) -> None:
        found = self._client.get_experiment_by_name(self._experiment)
        number = self._client.create_experiment(self._experiment) if found is None else found.experiment_id
        name = None if folder is None else folder.name
        self._run = self._client.create_run(number, run_name=name).info.run_id
        params = [self._entities.Param(key, str(value)[:_LONGEST]) for key, value in job.items()]
        self._client.log_batch(self._run, params=params)

    def round(self, report: RoundReport) -> None:
        now = int(time.time() * 1000)  # MLflow's own unit
        values = scalars(report).items()
        metrics = [self._entities.Metric(name, value, now, report.round) for name, value in values]
        self._client.log_batch(self._run, metrics=metrics)

    def end(self, outcome: Outcome) -> None:
        if self._run is not None:
            self._client.set_terminated(self._run, _STATUS[outcome])
            self._run = None
