"""The programs beside this file run to their end and learn, on virtual workers and on processes alike."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import fedzmq
from fedzmq.client.hook import install
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.cluster.local_cluster import LocalCluster

HERE = Path(__file__).parent
# The cluster of the tests has three workers, who take any part.
PLAYED_BY = {"secure_worker": "carol"}

Sy = ModuleType | SimpleNamespace


@pytest.fixture(params=["virtual workers", "processes"])
def sy(request: pytest.FixtureRequest) -> Iterator[Sy]:
    """What stands for fedzmq in the programs."""
    if request.param == "virtual workers":
        yield fedzmq
        return
    site: LocalCluster = request.getfixturevalue("site")
    with site.connect() as client:

        def worker(hook: object, id: str) -> WorkerHandle:
            return client.worker(PLAYED_BY.get(id, id))

        names = {name: getattr(fedzmq, name) for name in fedzmq.__all__}
        yield SimpleNamespace(**{**names, "TorchHook": lambda torch: install(), "VirtualWorker": worker})


def ran(name: str, sy: Sy, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setitem(sys.modules, "fedzmq", sy)
    names = runpy.run_path(str(HERE / name))
    if names["hook"] is not None:
        names["hook"].close()
    return names


def test_part_2_learns_with_either_optimizer(sy: Sy, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ran("part02_intro.py", sy, monkeypatch)
    for losses in (names["sgd_losses"], names["adam_losses"]):
        assert sum(losses[-2:]) < 0.1 * sum(losses[:2])


def test_part_4_averages_on_the_worker_whom_all_trust(sy: Sy, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ran("part04_trusted_aggregator.py", sy, monkeypatch)
    assert names["loss"].item() < 0.2
    assert names["model"].location is None


def test_part_6_tells_digits_apart(sy: Sy, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ran("part06_cnn.py", sy, monkeypatch)["accuracy"] > 0.6


def test_part_7_learns_from_what_a_search_found(sy: Sy, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ran("part07_federated_dataset.py", sy, monkeypatch)
    assert names["dataset"].workers == ["bob", "alice"]
    assert names["total_losses"][-1] < 0.8 * names["total_losses"][0]
