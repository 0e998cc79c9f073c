"""Whether the medium answers, as a party sees it that is itself not always awake."""

from __future__ import annotations

from typing import cast

import pytest

from fedzmq.session.heartbeat import CLIENTS, ROLL_CALL, WORKERS, Heartbeat
from fedzmq.session.presence import ROLL_REST, Presence
from fedzmq.session.roster import GRACE, Roster
from fedzmq.transports.connection import DEPARTURES, MEDIUM, Connection, Delivery


class Medium:
    """Says how long nothing was heard of it, and takes what is published."""

    def __init__(self) -> None:
        self.silence = 0.0
        self.published: list[str] = []

    def silent_for(self) -> float:
        return self.silence

    def publish(self, topic: str, frames: object) -> None:
        self.published.append(topic)


@pytest.fixture
def medium() -> Medium:
    return Medium()


@pytest.fixture
def presence(medium: Medium) -> Presence:
    presence = Presence(cast(Connection, medium), b"a" * 8, Roster(10.0), is_worker=True)
    presence.tick(0.0)
    assert not presence.away
    return presence


def test_a_medium_that_is_silent_is_away(medium: Medium, presence: Presence) -> None:
    for tenth in range(100):
        medium.silence = tenth / 10
        presence.tick(tenth / 10)
    assert presence.away


def test_a_party_that_slept_itself_first_listens_again(medium: Medium, presence: Presence) -> None:
    medium.silence = 60.0
    presence.tick(60.0)
    assert not presence.away
    for tenth in range(1, 100):
        medium.silence = 60.0 + tenth / 10
        presence.tick(60.0 + tenth / 10)
    assert presence.away


def test_roll_calls_without_end_are_answered_once_in_a_while_and_the_last_one_too(
    medium: Medium, presence: Presence
) -> None:
    medium.published.clear()
    for _ in range(1000):
        presence.hear(Delivery("mallory", ROLL_CALL, []), 0.5)
    assert medium.published == [WORKERS]
    presence.tick(0.5 + ROLL_REST)
    assert medium.published == [WORKERS, WORKERS]


BOOT = b"c" * 8
BROKEN = Delivery(MEDIUM, DEPARTURES, [b"client", b"tag", b"lost"])
BEAT = Delivery("client", CLIENTS, Heartbeat(BOOT).frames())


def test_what_a_party_sent_before_its_connection_broke_is_no_sign_of_life_though_it_comes_after_that(
    presence: Presence,
) -> None:
    presence.hear(BEAT, 0.0)
    presence.hear(BROKEN, 0.1)
    presence.roster.heard("client", 0.2)  # it came past the medium
    assert not presence.tick(0.3)
    assert [each.name for each in presence.tick(0.4 + GRACE)] == ["client"]


def test_a_party_that_came_back_before_all_was_heard_is_not_gone(presence: Presence) -> None:
    presence.hear(BEAT, 0.0)
    presence.hear(BROKEN, 0.1)
    presence.hear(BEAT, 0.2)
    assert not presence.tick(0.3)
    assert not presence.tick(0.4 + GRACE)
