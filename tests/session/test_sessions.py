"""Sessions begin and end together on all lanes, and those that ended are remembered."""

from __future__ import annotations

import pytest

from fedzmq.session import sessions as module
from fedzmq.session.packet import Lane
from fedzmq.session.session import Peer, Session
from fedzmq.session.sessions import Sessions

OWN, THEIRS = b"a" * 8, b"b" * 8


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(lambda peer, lane: Session(peer, lane, OWN))


def test_a_peer_has_a_session_on_every_lane_until_it_ends(sessions: Sessions) -> None:
    peer = sessions.open("bob", THEIRS)
    assert peer in sessions
    assert [session.lane for session in sessions] == list(Lane)
    commands = sessions.get(peer)
    assert commands is not None
    assert sessions.of_inlet("bob", commands.inlet) is commands

    assert sessions.end(peer, "enough")
    assert list(sessions) == sessions.peers == []
    assert sessions.of_inlet("bob", commands.inlet) is None
    assert sessions.has_ended(peer)
    assert sessions.why_ended(peer) == "enough"
    assert not sessions.end(peer, "again")


def test_a_session_that_is_opened_again_is_another(sessions: Sessions) -> None:
    assert sessions.open("bob", THEIRS).epoch == 1
    assert sessions.open("bob", THEIRS).epoch == 2


def test_whoever_reaches_for_a_peer_gets_the_session_that_it_opened(sessions: Sessions) -> None:
    sessions.begin(Peer("bob", THEIRS, 1))
    assert sessions.reach("bob", THEIRS) == (Peer("bob", THEIRS, 1), False)
    assert sessions.reach("alice", THEIRS) == (Peer("alice", THEIRS, 1), True)


def test_a_peer_that_is_reached_after_the_end_is_another(sessions: Sessions) -> None:
    sessions.begin(Peer("bob", THEIRS, 5))
    sessions.end(Peer("bob", THEIRS, 5), "enough")
    assert sessions.reach("bob", THEIRS) == (Peer("bob", THEIRS, 6), True)


def test_what_is_remembered_is_bounded(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    peers = [sessions.open("bob", THEIRS) for _ in range(3)]
    for peer in peers:
        sessions.end(peer, "enough")
    assert [sessions.has_ended(peer) for peer in peers] == [False, True, True]
