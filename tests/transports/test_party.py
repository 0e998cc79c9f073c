from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.errors import ProtocolError
from fedzmq.transports.party import Party, parse


def test_a_party_comes_back_as_it_was() -> None:
    party = Party("bob", 12.5, 0.25, 3, frozenset({"roll-call", "grüße\0"}))

    assert parse(party.frame()) == party


@given(st.binary(max_size=64))
def test_anything_else_is_refused(data: bytes) -> None:
    try:
        party = parse(data)
    except ProtocolError:
        return
    assert party.here >= 0
    assert party.silent >= 0


@pytest.mark.parametrize("seconds", [(-1.0, 0.0), (float("nan"), 0.0), (0.0, float("inf"))])
def test_a_time_that_is_none_is_refused(seconds: tuple[float, float]) -> None:
    with pytest.raises(ProtocolError):
        parse(struct.pack(">ddQ", *seconds, 0) + b"\3bob")
