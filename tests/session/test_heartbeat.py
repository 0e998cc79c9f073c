from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.errors import ProtocolError
from fedzmq.session.heartbeat import MOST_OWED, Heartbeat, parse

BOOT = b"b" * 8


def test_a_heartbeat_comes_back_as_it_was() -> None:
    beat = Heartbeat(BOOT, "trains", owed=(("bob", 1 << 30), ("alice", 7)))

    assert parse(beat.frames()) == beat


def test_of_many_to_whom_something_is_on_its_way_those_are_told_that_wait_for_most() -> None:
    many = tuple((f"w{number}", number) for number in range(100))

    assert parse(Heartbeat(BOOT, owed=many).frames()).owed == many[: -MOST_OWED - 1 : -1]


def test_a_long_text_is_cut_where_a_letter_ends() -> None:
    assert parse(Heartbeat(BOOT, "ö" * 300).frames()).busy == "ö" * 128


@pytest.mark.parametrize(
    "fields",
    [
        (BOOT, "", False),
        (BOOT, "", False, ["bob"]),
        (BOOT, "", False, [1, "bob"]),
        (BOOT, "", False, ["bob", -1]),
        (BOOT, "", False, ["bob", True]),
        (BOOT, "", False, None),
        (b"short", "", False, []),
        (BOOT, 1, False, []),
        (BOOT, "", 0, []),
    ],
)
def test_another_form_is_refused(fields: tuple[object, ...]) -> None:
    with pytest.raises(ProtocolError):
        parse([msgpack.packb(fields)])


@given(st.binary(max_size=100))
def test_rubbish_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse([data])
