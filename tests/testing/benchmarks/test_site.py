from __future__ import annotations

from collections.abc import Callable

from fedzmq.errors import ClusterError
from fedzmq.testing.benchmarks.effort import Effort
from fedzmq.testing.benchmarks.outcome import Turns
from fedzmq.testing.benchmarks.site import Site


def counting(name: str, order: list[str], fails_at: int = 0) -> Callable[[], float]:
    def measure() -> float:
        order.append(name)
        if order.count(name) == fails_at:
            raise ClusterError("it is gone")
        return float(order.count(name))

    return measure


def test_both_sides_take_turns_and_the_first_counts_for_neither() -> None:
    order: list[str] = []
    turns = Site(Effort(repeats=2)).alternate(counting("ours", order), counting("theirs", order))

    assert order == ["ours", "theirs"] * 3
    assert turns == Turns((2.0, 3.0), (2.0, 3.0))


def test_a_peer_that_fails_in_any_turn_is_not_compared_with() -> None:
    order: list[str] = []
    turns = Site(Effort(repeats=3)).alternate(counting("ours", order), counting("theirs", order, fails_at=3))

    assert order.count("theirs") == 3
    assert turns == Turns((2.0, 3.0, 4.0), (), "it is gone")
