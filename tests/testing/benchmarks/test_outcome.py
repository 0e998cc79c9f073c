from __future__ import annotations

import pytest

from fedzmq.testing.benchmarks.outcome import Bound, Outcome, beside


@pytest.mark.parametrize(("ours", "is_met"), [(10.0, True), (4.0, False)])
def test_what_should_be_more_is_met_by_more(ours: float, is_met: bool) -> None:
    outcome = beside("figure", "what", "unit", ours, "peer", 2.0, Bound(5.0, at_least=True))

    assert (outcome.compared, outcome.is_met) == (ours / 2, is_met)


@pytest.mark.parametrize(("ours", "is_met"), [(2.0, True), (4.0, False)])
def test_what_should_be_less_is_met_by_less(ours: float, is_met: bool) -> None:
    assert beside("figure", "what", "unit", ours, "peer", 2.0, Bound(1.5)).is_met is is_met


def test_without_a_peer_nothing_is_met_or_missed() -> None:
    outcome = beside("figure", "what", "unit", 1.0, "peer", None, Bound(1.5))

    assert (outcome.peer, outcome.compared, outcome.is_met) == ("", None, None)


def test_where_nothing_is_wanted_nothing_is_missed() -> None:
    assert Outcome("figure", "what", "unit", 1.0).is_met is None
