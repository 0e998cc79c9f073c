"""The local cluster, for tests that look for it here."""

from __future__ import annotations

from fedzmq.cluster.local_cluster import BROKER, LocalCluster

__all__ = ["BROKER", "LocalCluster"]
