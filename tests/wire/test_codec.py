from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import LimitExceeded, ProtocolError
from fedzmq.wire import limits
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import (
    TAGS,
    Drop,
    Failure,
    Mode,
    Probe,
    Progress,
    Pulled,
    Put,
    RequireGrad,
    Seed,
    Synced,
    TensorSpec,
    Train,
    Trained,
)
from tests.wire.strategies import ARGUMENTS, PLAIN_MESSAGES, operations

GOOD = [(3, 7, 0b01, [5, 1.5]), Drop((1, 2)), Mode(True, None, "float32"), Probe(1, 2, 3, [4, 0, 1, [9]])]


def decodes(body: bytes) -> bool:
    try:
        records = decode(body)
    except ProtocolError:
        return False
    assert all(type(record) is list or type(record) in TAGS.values() for record in records)
    return True


@given(st.lists(PLAIN_MESSAGES | operations(), max_size=4))
@settings(max_examples=150)
def test_records_come_back_as_they_were(records: list[Any]) -> None:
    assert repr(decode(encode(records))) == repr(records)  # repr, because NaN differs from itself


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_any_bytes_give_records_or_a_protocol_error(body: bytes) -> None:
    decodes(body)


@given(st.lists(ARGUMENTS | st.lists(st.integers(-40, 40) | ARGUMENTS, max_size=8), max_size=4))
@settings(max_examples=300)
def test_any_msgpack_gives_records_or_a_protocol_error(rows: list[Any]) -> None:
    decodes(msgpack.packb(rows))


@given(st.lists(PLAIN_MESSAGES | operations(), min_size=1, max_size=3), st.data())
@settings(max_examples=200)
def test_damaged_messages_give_records_or_a_protocol_error(records: list[Any], data: st.DataObject) -> None:
    body = bytearray(encode(records))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    decodes(bytes(body[: data.draw(st.integers(0, len(body)))]))


@pytest.mark.parametrize("count", range(len(encode(GOOD))))
def test_a_truncated_body_is_a_protocol_error(count: int) -> None:
    assert not decodes(encode(GOOD)[:count])


def test_bytes_after_the_body_are_a_protocol_error() -> None:
    assert not decodes(encode(GOOD) + b"\x00")


def test_deep_nesting_is_a_protocol_error() -> None:
    assert not decodes(b"\x91" * 100_000)
    assert not decodes(b"\x91\x94\x01\x02\x00" + b"\x91" * 2000 + b"\x01")


def test_an_extension_type_is_a_protocol_error() -> None:
    assert not decodes(msgpack.packb([[0, 1, 0, [msgpack.ExtType(5, b"")]]]))
    assert not decodes(msgpack.packb([[0, 1, 0, [msgpack.Timestamp(1)]]]))


def test_a_text_that_is_not_utf8_is_a_protocol_error() -> None:
    assert not decodes(b"\x91\x94\x01\x02\x00\x91\xa2\xff\xfe")


def test_a_body_that_claims_more_than_it_has_allocates_nothing() -> None:
    assert not decodes(b"\xdd\xff\xff\xff\xff")
    assert not decodes(b"\x91\x92\x01\xdb\xff\xff\xff\xff")
    assert not decodes(b"\x91\x92\x01\xdf\x7f\xff\xff\xff")


def test_a_body_over_the_limit_is_not_unpacked() -> None:
    with pytest.raises(LimitExceeded, match="bytes of a body"):
        decode(b"\xff" * (limits.MAX_BODY + 1))


def test_a_body_over_the_limit_is_not_sent() -> None:
    with pytest.raises(LimitExceeded, match="bytes of a body"):
        encode([(1, 2, 0, ["x" * 4000] * 60)] * 30)


def test_too_many_records_are_refused_on_both_sides() -> None:
    records = [(1, 2, 0, [])] * (limits.MAX_RECORDS + 1)
    with pytest.raises(LimitExceeded, match="number of records"):
        encode(records)
    with pytest.raises(LimitExceeded, match="number of records"):
        decode(msgpack.packb(records))


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (Drop((0,)), "Drop.ids"),
        (Drop((1, True)), "Drop.ids"),
        (RequireGrad(True, True), "RequireGrad.id"),
        (RequireGrad(1, 1), "RequireGrad.value"),
        (Seed(1 << 63), "Seed.value"),
        (Seed(1.0), "Seed.value"),  # type: ignore[arg-type]
        (Mode(True, 3, "float32"), "Mode.autocast"),  # type: ignore[arg-type]
        (Put(1, TensorSpec("float32", (2, -1), 0), False), "Put.tensor.shape"),
        (Put(1, TensorSpec("float32", (1,) * 65, 0), False), "Put.tensor.shape"),
        (Train(1, "p", "d", (), 1, 0, "sgd", {}, 0, 1.0), "Train.batch_size"),
        (Train(1, "p", "d", (), 1, 8, "sgd", {"lr": float("inf")}, 0, 1.0), "Train.options"),
        (Train(1, "p", "d", (), 1, 8, "sgd", {"lr": "fast"}, 0, 1.0), "Train.options"),  # type: ignore[dict-item]
        (Train(1, "p", "d", (), 1, 8, "sgd", {}, 0, float("nan")), "Train.report_every"),
        (Synced(1, (Failure(-1, "", "", "", "", ()),)), "Synced.failures.command"),
        (Synced(1, (Failure(1, "x" * 5000, "", "", "", ()),)), "Synced.failures.operation"),
    ],
)
def test_a_bad_field_is_named(message: Any, field: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{field} is "):
        encode([message])


@pytest.mark.parametrize(
    "row",
    [
        [-2],
        [-2, [1], 3],
        [-2, 5],
        [-2, {"a": 1}],
        [-3, 1, None, "float32"],
        [-3, True, None, None],
        [-1, 1, 2, True],
        [-1, 1, ["float32", [2], 0, 0], True],
        [-4, 1.0],
        [-31],
        [-(1 << 63)],
        [0],
        [0, 1, 0],
        [0, 1, 0, [], {}, 0],
        [0, -1, 0, []],
        [0, True, 0, []],
        [0, [1, -1], 0, []],
        [0, {}, 0, []],
        [0, 1, 1, []],
        [0, 1, -1, [1]],
        [0, 1, False, [1]],
        [0, 1, 0, {}],
        [0, 1, 0, [0] * 65],
        [0, 1, 0, [], []],
        [True, 1, 0, []],
        ["x"],
        [],
        7,
    ],
)
def test_a_row_of_the_wrong_shape_is_a_protocol_error(row: Any) -> None:
    assert not decodes(msgpack.packb([row]))


def test_keywords_have_text_keys() -> None:
    assert not decodes(msgpack.packb([[0, 1, 0, [], {1: 2}]]))
    assert not decodes(msgpack.packb([[0, 1, 0, [], {b"a": 2}]]))


def test_a_loss_may_be_nan() -> None:
    assert repr(decode(encode([Progress(1, 0, 0, 1, float("nan"))]))[0].loss) == "nan"


def test_an_int_is_taken_for_a_float_by_the_sender_alone() -> None:
    trained = Trained(1, 10, 2, 1, {"accuracy": 1})
    assert decode(encode([trained])) == [Trained(1, 10, 2.0, 1.0, {"accuracy": 1.0})]
    assert not decodes(msgpack.packb([[-39, 1, 10, 2, 1, {}]]))


def test_a_tensor_that_does_not_fill_its_buffer_is_a_protocol_error() -> None:
    body = encode([Put(1, TensorSpec("float32", (2, 3), 0), False)])
    assert decode(body, [bytes(24)]) == [Put(1, TensorSpec("float32", (2, 3), 0), False)]
    for buffers in ([], [bytes(23)], [bytes(25)], [memoryview(bytes(28))]):
        with pytest.raises(ProtocolError):
            decode(body, buffers)


def test_two_tensors_never_share_a_buffer() -> None:
    spec = TensorSpec("uint8", (1,), 0)
    with pytest.raises(ProtocolError, match="two tensors are in buffer 0"):
        decode(encode([Put(1, spec, False), Put(2, spec, False)]), [b"x"])


def test_each_of_many_tensors_is_checked() -> None:
    body = encode([Pulled(1, (TensorSpec("uint8", (1,), 0), TensorSpec("uint8", (2,), 1)))])
    assert len(decode(body, [b"x", b"xx"])) == 1
    with pytest.raises(ProtocolError, match="takes 2 bytes"):
        decode(body, [b"x", b"x"])


def test_a_foreign_object_is_no_message() -> None:
    with pytest.raises(ProtocolError, match="object is no message"):
        encode([object()])


def test_what_msgpack_cannot_pack_is_a_protocol_error() -> None:
    for value in (object(), 1 << 70, "\ud800"):
        with pytest.raises(ProtocolError, match="cannot be packed"):
            encode([(1, 2, 0, [value])])
