"""Routes: what is encoded is decoded, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.errors import ProtocolError
from fedzmq.transports.route import (
    BOOT_BYTES,
    INSTANCE_BYTES,
    MOST_ROUTE_BYTES,
    VERSION,
    Bye,
    Channel,
    Hello,
    Mail,
    Ping,
    Pong,
    Publish,
    Reason,
    Refuse,
    Route,
    Subscribe,
    Topic,
    Unsubscribe,
    Verb,
    Welcome,
    Who,
    decode,
    encode,
)

INSTANCE = bytes(range(INSTANCE_BYTES))
ROUTES: list[Route] = [
    Hello("alice", INSTANCE, Channel.CONTROL),
    Hello("not checked here", INSTANCE, Channel.BULK),
    Welcome(bytes(BOOT_BYTES)),
    Refuse(Reason.NAME_TAKEN),
    Refuse(Reason.VERSION, 7),
    Who(),
    Mail("a.b-c_d"),
    Publish("workers"),
    Topic("w\u00f6rkers", "alice"),
    Subscribe("departures"),
    Unsubscribe("workers"),
    Ping(),
    Pong(),
    Bye(),
]


@pytest.mark.parametrize("route", ROUTES, ids=repr)
def test_what_is_encoded_is_decoded(route: Route) -> None:
    assert decode(encode(route)) == route


@pytest.mark.parametrize("route", ROUTES, ids=repr)
def test_a_view_decodes_like_bytes(route: Route) -> None:
    assert decode(memoryview(bytearray(encode(route)))) == route


def test_there_is_a_route_for_every_verb() -> None:
    assert {encode(route)[0] for route in ROUTES} == {int(verb) for verb in Verb}


@given(st.one_of(st.binary(max_size=64), st.tuples(st.sampled_from(Verb), st.binary(max_size=64))))
def test_any_bytes_are_a_route_or_a_protocol_error(data: bytes | tuple[Verb, bytes]) -> None:
    raw = data if isinstance(data, bytes) else bytes([data[0]]) + data[1]
    try:
        route = decode(raw)
    except ProtocolError:
        return
    if not (isinstance(route, Hello) and route.version != VERSION):
        assert encode(route) == raw


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"X",
        b"M",
        b"Mno spaces",
        b"Mbroker",
        b"M\xff",
        b"P",
        b"Pdepartures",
        b"S" + b"x" * 201,
        b"p extra",
        b"H",
        bytes([ord("H"), VERSION]),
        bytes([ord("H"), VERSION, 0]) + b"short",
        bytes([ord("H"), VERSION, 2]) + INSTANCE + b"alice",
        b"W",
        b"R\x01",
        b"R\x09\x01",
        b"T",
        b"T\xffname",
        b"M" + b"x" * MOST_ROUTE_BYTES,
    ],
    ids=repr,
)
def test_bytes_of_no_known_form_are_a_protocol_error(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(data)


def test_a_hello_of_another_version_says_so_and_nothing_else() -> None:
    assert decode(b"H\x63whatever comes then") == Hello("", b"", Channel.CONTROL, 0x63)
