from __future__ import annotations

from fedzmq.session.audience import AHEAD_BYTES, STALL, Audience
from fedzmq.session.session import Peer

ALICE, BOB, CAROL = (Peer(name, b"boot", 1) for name in ("alice", "bob", "carol"))
MIB = 1 << 20


def listening(*peers: Peer) -> Audience:
    audience = Audience()
    for peer, topic in audience.invite(peers).items():
        audience.heard(peer, topic, 0, 0.0)
    return audience


def test_everybody_is_told_once() -> None:
    audience = Audience()
    assert audience.invite([ALICE, BOB]) == {ALICE: 1, BOB: 1}
    assert audience.invite([ALICE, BOB, CAROL]) == {CAROL: 1}


def test_who_did_not_say_so_does_not_listen() -> None:
    audience = Audience()
    audience.invite([ALICE, BOB])
    audience.heard(BOB, 1, 0, 0.0)
    assert audience.listening([ALICE, BOB]) == {BOB}
    assert not audience.is_gathered([ALICE, BOB])
    assert audience.is_gathered([BOB])


def test_who_is_not_wanted_is_told_to_stop() -> None:
    audience = listening(ALICE, BOB)
    assert audience.invite([ALICE]) == {BOB: 0}
    assert audience.listening([ALICE, BOB]) == {ALICE}
    assert audience.invite([ALICE]) == {}
    assert not audience.is_gathered([BOB])
    audience.heard(BOB, 0, 0, 0.0)
    assert audience.is_gathered([BOB])


def test_who_was_told_to_stop_can_be_told_again() -> None:
    audience = listening(ALICE, BOB)
    audience.invite([ALICE])
    assert audience.invite([ALICE, BOB]) == {BOB: 1}
    assert audience.listening([BOB]) == set()
    audience.heard(BOB, 1, 0, 0.0)
    assert audience.listening([BOB]) == {BOB}


def test_nobody_is_sent_more_than_a_bound_ahead() -> None:
    audience = listening(ALICE, BOB)
    audience.published = AHEAD_BYTES
    audience.heard(ALICE, 1, AHEAD_BYTES, 1.0)
    assert not audience.may_publish(1)
    audience.heard(BOB, 1, MIB, 1.0)
    assert audience.may_publish(MIB)
    assert not audience.may_publish(MIB + 1)


def test_a_newcomer_is_not_behind() -> None:
    audience = listening(ALICE)
    audience.published = 100 * MIB
    audience.heard(ALICE, 1, 100 * MIB, 1.0)
    audience.invite([ALICE, BOB])
    audience.heard(BOB, 1, 0, 1.0)
    assert audience.may_publish(AHEAD_BYTES)


def test_who_makes_progress_is_waited_for() -> None:
    audience = listening(ALICE, BOB)
    audience.published = 2 * AHEAD_BYTES
    for second in range(100):
        audience.heard(BOB, 1, AHEAD_BYTES + second, float(second))
        audience.heard(ALICE, 1, second, float(second))
        assert not audience.stalled(MIB, 0.0, second + 0.9)


def test_who_makes_none_is_left_behind() -> None:
    audience = listening(ALICE, BOB)
    audience.published = AHEAD_BYTES
    audience.heard(ALICE, 1, AHEAD_BYTES, 1.0)
    assert not audience.stalled(MIB, 1.0, 1.0 + STALL)
    assert audience.stalled(MIB, 1.0, 1.1 + STALL)
    audience.leave_behind(MIB, 1.0, 1.1 + STALL)
    assert audience.invite([ALICE, BOB]) == {ALICE: 2, BOB: 2}
    assert not audience.is_gathered([ALICE, BOB])
    audience.heard(ALICE, 2, AHEAD_BYTES, 3.2)
    assert audience.is_gathered([ALICE, BOB])  # nobody waits for bob
    assert audience.listening([ALICE, BOB]) == {ALICE}
    assert audience.may_publish(MIB)


def test_the_time_before_somebody_was_waited_for_does_not_count() -> None:
    audience = listening(ALICE, BOB)
    audience.published = AHEAD_BYTES
    assert not audience.stalled(MIB, 1000.0, 1000.0 + STALL)


def test_who_was_left_behind_listens_again_once_it_answers() -> None:
    audience = listening(ALICE, BOB)
    audience.published = AHEAD_BYTES
    audience.heard(ALICE, 1, AHEAD_BYTES, 1.0)
    audience.leave_behind(MIB, 0.0, 10.0)
    audience.invite([ALICE, BOB])
    audience.heard(BOB, 1, MIB, 11.0)  # late, about the topic that is over
    assert audience.listening([BOB]) == set()
    audience.heard(BOB, 2, MIB, 11.0)
    assert audience.listening([BOB]) == {BOB}
    assert audience.may_publish(AHEAD_BYTES)


def test_keeping_pace_is_not_forgotten_on_a_new_topic() -> None:
    audience = listening(ALICE, BOB, CAROL)
    audience.published = AHEAD_BYTES
    audience.heard(ALICE, 1, 4 * MIB, 9.0)
    audience.heard(CAROL, 1, AHEAD_BYTES, 9.0)
    audience.leave_behind(MIB, 0.0, 10.0)
    audience.invite([ALICE, BOB, CAROL])
    audience.heard(ALICE, 2, 5 * MIB, 10.0)
    audience.heard(CAROL, 2, 0, 10.0)
    assert audience.may_publish(5 * MIB)
    assert not audience.may_publish(5 * MIB + 1)


def test_after_an_outage_everybody_begins_anew() -> None:
    audience = listening(ALICE, BOB)
    audience.published = AHEAD_BYTES
    audience.renew()
    assert audience.listening([ALICE, BOB]) == set()
    assert audience.invite([ALICE, BOB]) == {ALICE: 2, BOB: 2}
    for peer in (ALICE, BOB):
        audience.heard(peer, 2, 0, 1.0)
    assert audience.may_publish(AHEAD_BYTES)


def test_a_position_that_was_never_reached_is_not_believed() -> None:
    audience = listening(ALICE, BOB)
    audience.published = AHEAD_BYTES
    audience.heard(ALICE, 1, AHEAD_BYTES, 1.0)
    audience.heard(BOB, 1, 1 << 60, 1.0)
    assert not audience.may_publish(1)


def test_who_is_gone_holds_up_nobody() -> None:
    audience = listening(ALICE, BOB)
    audience.published = AHEAD_BYTES
    audience.heard(ALICE, 1, AHEAD_BYTES, 1.0)
    audience.lose(BOB)
    assert audience.may_publish(MIB)
    audience.heard(BOB, 1, MIB, 1.0)
    assert audience.listening([BOB]) == set()
