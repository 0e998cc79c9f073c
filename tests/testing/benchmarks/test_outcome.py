from __future__ import annotations

import pytest

from fedzmq.testing.benchmarks.outcome import Bound, Outcome, Turns, beside


@pytest.mark.parametrize(("ours", "is_met"), [(10.0, True), (4.0, False)])
def test_what_should_be_more_is_met_by_more(ours: float, is_met: bool) -> None:
    outcome = beside("figure", "what", "unit", Turns((ours,), (2.0,)), "peer", Bound(5.0, at_least=True))

    assert (outcome.compared, outcome.is_met) == (ours / 2, is_met)


@pytest.mark.parametrize(("ours", "is_met"), [(2.0, True), (4.0, False)])
def test_what_should_be_less_is_met_by_less(ours: float, is_met: bool) -> None:
    assert beside("figure", "what", "unit", Turns((ours,), (2.0,)), "peer", Bound(1.5)).is_met is is_met


def test_without_a_peer_nothing_is_met_or_missed() -> None:
    outcome = beside("figure", "what", "unit", Turns((1.0,)), "peer", Bound(1.5))

    assert (outcome.peer, outcome.compared, outcome.is_met) == ("", None, None)


def test_where_nothing_is_wanted_nothing_is_missed() -> None:
    assert Outcome("figure", "what", "unit", 1.0).is_met is None


def test_a_peer_that_was_to_be_there_is_named_with_the_reason() -> None:
    outcome = beside("figure", "what", "unit", Turns((1.0,), why="it is gone"), "peer", Bound(1.5))

    assert (outcome.peer, outcome.theirs, outcome.why, outcome.is_met) == ("peer", None, "it is gone", None)


def test_medians_are_compared_and_the_ratio_is_told_from_turn_to_turn() -> None:
    turns = Turns((1.0, 2.0, 9.0), (1.0, 1.0, 3.0)).to(lambda seconds: 10 * seconds)
    outcome = beside("figure", "what", "unit", turns, "peer")

    assert (outcome.ours, outcome.theirs, outcome.compared, outcome.spread) == (20.0, 10.0, 2.0, (1.0, 3.0))
