"""The roster: who is here, told by what was heard and when."""

from __future__ import annotations

from fedzmq.session.roster import Roster

OLD, NEW = b"o" * 8, b"n" * 8


def test_a_party_that_gives_signs_of_life_stays() -> None:
    roster = Roster(silence=10)
    for now in range(0, 100, 5):
        roster.beat("bob", OLD, "", now)
        assert roster.overdue(now) == []
    assert [member.name for member in roster.members()] == ["bob"]


def test_a_silent_party_departs_once_with_the_seconds_of_its_silence() -> None:
    roster = Roster(silence=10)
    roster.beat("bob", OLD, "", 0)
    (departure,) = roster.overdue(10.5)
    assert (departure.name, departure.boot) == ("bob", OLD)
    assert "10 s" in departure.reason
    assert roster.overdue(11) == []


def test_any_message_is_as_good_as_a_heartbeat() -> None:
    roster = Roster(silence=10)
    roster.beat("bob", OLD, "", 0)
    roster.heard("bob", 8)
    assert roster.overdue(15) == []


def test_nobody_is_called_silent_while_the_medium_is() -> None:
    roster = Roster(silence=10)
    roster.beat("bob", OLD, "", 0)
    roster.excuse(60)
    assert roster.overdue(69) == []
    assert len(roster.overdue(71)) == 1


def test_a_broken_connection_shortens_the_wait() -> None:
    roster = Roster(silence=10, grace=2)
    roster.beat("bob", OLD, "", 0)
    roster.broken("bob", 1)
    (departure,) = roster.overdue(3.5)
    assert "connection broke" in departure.reason


def test_a_party_that_comes_back_in_time_was_never_away() -> None:
    roster = Roster(silence=10, grace=2)
    roster.beat("bob", OLD, "", 0)
    roster.broken("bob", 1)
    roster.beat("bob", OLD, "", 2)
    assert roster.overdue(5) == []


def test_another_incarnation_is_the_departure_of_the_first() -> None:
    roster = Roster()
    assert roster.beat("bob", OLD, "", 0) is None
    departure = roster.beat("bob", NEW, "", 1)
    assert departure is not None
    assert departure.boot == OLD
    assert "started anew" in departure.reason


def test_only_the_present_incarnation_can_leave() -> None:
    roster = Roster()
    roster.beat("bob", NEW, "", 0)
    assert roster.leave("bob", OLD) is None
    assert roster.leave("bob", NEW) is not None
    assert len(roster) == 0
