"""The figures by name, in the order in which they are measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

from fedzmq.testing.benchmarks import (
    broadcast,
    coordinator,
    endurance,
    fold,
    operations,
    plan,
    round_trip,
    rounds,
    training,
    transfer,
)
from fedzmq.testing.benchmarks.outcome import Outcome
from fedzmq.testing.benchmarks.site import Site

FIGURES: Mapping[str, Callable[[Site], Iterator[Outcome]]] = MappingProxyType(
    {
        "operations": operations.measure,
        "training": training.measure,
        "virtual": training.measure_virtual,
        "plan": plan.measure,
        "get": round_trip.measure,
        "transfer": transfer.measure,
        "fold": fold.measure,
        "round": rounds.measure,
        "crowd": rounds.measure_crowd,
        "broadcast": broadcast.measure,
        "coordinator": coordinator.measure,
        "endurance": endurance.measure,
    }
)
ON_REQUEST = frozenset({"crowd", "broadcast", "coordinator"})
"""These take dozens of processes, or gigabytes."""
OF_ITS_OWN = frozenset({"round", "crowd", "broadcast", "coordinator"})
"""These start a broker and workers themselves."""
