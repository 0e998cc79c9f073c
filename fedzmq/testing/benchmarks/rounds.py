"""A round of federated training that costs nothing but the round, against pyzmq that moves the same bytes."""

from __future__ import annotations

from collections.abc import Iterator

from fedzmq.testing.benchmarks.federation import Federation
from fedzmq.testing.benchmarks.outcome import THROUGH_THE_BROKER, Bound, Outcome, beside, milliseconds
from fedzmq.testing.benchmarks.site import Site

SIZE = 1 << 20  # bytes of the model
OF_TWO, OF_MANY = Bound(3.0), Bound(2.0)


def measure(site: Site) -> Iterator[Outcome]:
    what = "a round of 2 workers, 1 MiB"
    yield from _rounds(site, "round", what, 2, site.effort.rounds, OF_TWO)
    yield from _rounds(site, "round", THROUGH_THE_BROKER, 2, site.effort.rounds, direct=False)


def measure_crowd(site: Site) -> Iterator[Outcome]:
    workers = site.effort.crowd
    what = f"a round of {workers} workers, 1 MiB"
    yield from _rounds(site, "crowd", what, workers, max(1, site.effort.rounds // 4), OF_MANY)


def _rounds(
    site: Site, figure: str, what: str, workers: int, count: int, bound: Bound | None = None, *, direct: bool = True
) -> Iterator[Outcome]:
    peer = site.peer("raw_rounds")
    assert peer is not None
    with Federation(workers, SIZE, direct=direct) as federation:
        turns = site.alternate(lambda: federation.time(count), lambda: peer.ask("rounds", workers, SIZE, count))
    yield beside(figure, what, "ms", turns.to(milliseconds), "raw pyzmq, the same bytes", bound)
