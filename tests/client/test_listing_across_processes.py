from __future__ import annotations

from types import SimpleNamespace

import pytest

from fedzmq.client.client import connect
from fedzmq.client.hook import install
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.cluster.local_cluster import LocalCluster
from tests.client.listing import assert_figures, run_listing


def test_the_listing_leaves_the_same_figures_with_worker_processes(
    site: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(site.address) as client:

        def worker(hook: object, id: str) -> WorkerHandle:
            return client.worker(id)

        sy = SimpleNamespace(TorchHook=lambda torch: install(), VirtualWorker=worker)
        assert_figures(run_listing(sy, monkeypatch))
