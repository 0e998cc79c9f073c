"""A round of federated training that costs nothing but the round, against pyzmq that moves the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from fedzmq.testing.benchmarks.federation import Federation
from fedzmq.testing.benchmarks.outcome import Bound, Outcome, beside
from fedzmq.testing.benchmarks.site import Site

SIZE = 1 << 20  # bytes of the model
OF_TWO, OF_MANY = Bound(3.0), Bound(2.0)


def measure(site: Site) -> Iterator[Outcome]:
    yield from _rounds(site, "round", 2, site.effort.rounds, OF_TWO)


def measure_crowd(site: Site) -> Iterator[Outcome]:
    yield from _rounds(site, "crowd", site.effort.crowd, max(1, site.effort.rounds // 4), OF_MANY)


def _rounds(site: Site, figure: str, workers: int, count: int, bound: Bound) -> Iterator[Outcome]:
    peer = site.peer("raw_rounds")
    if peer is None:
        return
    with Federation(workers, SIZE) as federation:
        took, floor = site.alternate(lambda: federation.time(count), lambda: peer.ask("rounds", workers, SIZE, count))
    assert floor is not None
    yield beside(
        figure,
        f"a round of {workers} workers, 1 MiB",
        "ms",
        took * 1e3,
        "raw pyzmq, the same bytes",
        floor * 1e3,
        bound,
    )
