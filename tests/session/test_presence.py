"""Whether the medium answers, as a party sees it that is itself not always awake."""

from __future__ import annotations

from typing import cast

import pytest

from fedzmq.session.heartbeat import ROLL_CALL, WORKERS
from fedzmq.session.presence import ROLL_REST, Presence
from fedzmq.session.roster import Roster
from fedzmq.transports.connection import Connection, Delivery


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
