from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fedzmq.federation.loggers.mlflow import MLflow
from tests.federation.loggers.recorded import trained


class FakeServer:
    """Stands for the package: what its client was told, by run."""

    def __init__(self) -> None:
        self.experiments: dict[str, SimpleNamespace] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.uris: list[str | None] = []
        self.entities = SimpleNamespace(Param=lambda *values: values, Metric=lambda *values: values)

    def MlflowClient(self, uri: str | None) -> FakeServer:  # noqa: N802 - as it is called there
        self.uris.append(uri)
        return self

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return self.experiments.get(name)

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = SimpleNamespace(experiment_id=f"number {len(self.experiments)}")
        return str(self.experiments[name].experiment_id)

    def create_run(self, experiment: str, run_name: str | None) -> SimpleNamespace:
        name = f"run {len(self.runs)}"
        self.runs[name] = {"experiment": experiment, "name": run_name, "params": {}, "metrics": [], "status": None}
        return SimpleNamespace(info=SimpleNamespace(run_id=name))

    def log_batch(self, run: str, params: Any = (), metrics: Any = ()) -> None:
        self.runs[run]["params"] |= dict(params)
        self.runs[run]["metrics"] += [(name, step, value) for name, value, _, step in metrics]

    def set_terminated(self, run: str, status: str) -> None:
        self.runs[run]["status"] = status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setitem(sys.modules, "mlflow", fake)  # type: ignore[arg-type]
    return fake


def test_a_training_is_a_run_of_the_experiment(server: FakeServer, tmp_path: Path) -> None:
    history = trained("mlflow", tmp_path / "mine")
    (run,) = server.runs.values()

    assert (run["experiment"], run["name"], run["status"]) == ("number 0", "mine", "FINISHED")
    assert (run["params"]["seed"], run["params"]["options"]) == ("7", "{'lr': 0.1}")
    assert [each for each in run["metrics"] if each[0] == "loss"] == [
        ("loss", report.round, report.loss) for report in history
    ]


def test_a_second_run_is_in_the_same_experiment(server: FakeServer) -> None:
    trained(MLflow("mine"), rounds=1)
    trained(MLflow("mine", uri="http://there"), rounds=1)

    assert [run["experiment"] for run in server.runs.values()] == ["number 0", "number 0"]
    assert server.uris == [None, "http://there"]


def test_the_real_one_takes_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # newer ones want a database, which the client alone has not
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    connect: Callable[[str], Any] = pytest.importorskip("mlflow").MlflowClient
    history = trained(MLflow(uri=tmp_path.as_uri()))
    client = connect(tmp_path.as_uri())
    (run,) = client.search_runs([client.get_experiment_by_name("fedzmq").experiment_id])

    assert run.info.status == "FINISHED"
    assert run.data.params["rounds"] == "3"
    assert [each.value for each in client.get_metric_history(run.info.run_id, "loss")] == [x.loss for x in history]
