from __future__ import annotations

from collections import namedtuple
from contextlib import suppress
from typing import Any

import msgpack
import numpy
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import FedzmqError, OperationRefused, ProtocolError
from fedzmq.operations.arguments import Scope, inline, pack, reference, unpack
from fedzmq.wire.limits import MAX_INT, MIN_INT
from fedzmq.wire.messages import TensorSpec
from tests.wire.strategies import ARGUMENTS

STORED = torch.ones(2)
Pair = namedtuple("Pair", "first second")


def scope() -> Scope:
    return Scope({7: STORED}.__getitem__)


def attach(tensor: torch.Tensor) -> dict[str, Any]:
    return reference(7)


PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(MIN_INT, MAX_INT)
    | st.floats()
    | st.text(st.characters(exclude_categories=("Cs",)), max_size=64)
    | st.sampled_from([torch.float32, torch.bool, torch.channels_last, torch.strided, torch.device("cpu"), ...])
    | st.complex_numbers()
    | st.builds(slice, st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9), st.none() | st.integers(1, 3))
)
VALUES = st.recursive(PLAIN, lambda v: st.lists(v, max_size=3) | st.lists(v, max_size=3).map(tuple), max_leaves=10)


@given(VALUES)
@settings(max_examples=200)
def test_values_come_back_as_they_were(value: Any) -> None:
    packed = msgpack.unpackb(msgpack.packb(pack(value, attach)))
    assert repr(unpack(packed, scope())) == repr(value)


@given(ARGUMENTS)
@settings(max_examples=200)
def test_any_wire_value_gives_a_value_or_an_error_of_the_package(value: Any) -> None:
    with suppress(FedzmqError):
        unpack(value, Scope(lambda id: STORED))


def test_a_tensor_is_what_its_reference_looks_up() -> None:
    packed = pack([STORED, (STORED, None)], attach)
    assert packed == [{"p": 7}, {"t": [{"p": 7}, None]}]
    assert unpack(packed, scope())[1][0] is STORED


def test_a_tensor_inline_is_given_to_the_scope() -> None:
    spec = TensorSpec("float32", (2,), 0)
    seen: list[TensorSpec] = []
    unpack(inline(spec), Scope(lambda id: None, seen.append))
    assert seen == [spec]


def test_subclasses_travel_as_what_they_are_subclasses_of() -> None:
    assert pack(torch.Size((2, 3)), attach) == {"t": [2, 3]}
    assert pack(Pair(1, 2), attach) == {"t": [1, 2]}
    assert pack(torch.nn.Parameter(STORED), attach) == {"p": 7}
    assert pack(numpy.float32(0.5), attach) == 0.5
    assert type(pack(numpy.float64(0.5), attach)) is float
    assert type(pack(numpy.int64(3), attach)) is int


@pytest.mark.parametrize(
    "value",
    [len, 1 << 63, -(1 << 63) - 1, {"a": 1}, {1}, torch.Generator(), torch.sparse_coo, "x" * 257, b"bytes", object()],
)
def test_what_has_no_form_on_the_wire_is_refused(value: Any) -> None:
    with pytest.raises(OperationRefused):
        pack([value], attach)


def test_values_that_nest_too_deep_are_refused_on_both_sides() -> None:
    value: Any = 1
    for _ in range(10):
        value = [value]
    with pytest.raises(OperationRefused):
        pack(value, attach)
    with pytest.raises(ProtocolError):
        unpack(value, scope())


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"p": 7, "t": []},
        {"z": 1},
        {"p": 0},
        {"p": True},
        {"p": "7"},
        {"t": 3},
        {"d": "qint8"},
        {"d": ["float32"]},
        {"s": [1, 2]},
        {"s": 3},
        {"e": 1},
        {"m": "__class__"},
        {"m": []},
        {"l": "sparse_coo"},
        {"c": [1, 2]},
        {"c": [1.0]},
        {"x": ["float32", [2], 0]},
        {"x": ["float32", 2, 0]},
        {"x": []},
        {"b": 1},
        {"b": 0},
        b"bytes",
        1 << 63,
        "x" * 257,
    ],
    ids=str,
)
def test_a_hostile_value_is_a_protocol_error(value: Any) -> None:
    with pytest.raises(ProtocolError):
        unpack(value, scope())


@pytest.mark.parametrize("device", ["cuda", "meta", "cpu:0", "", 3])
def test_a_device_that_the_worker_has_not_is_refused(device: Any) -> None:
    with pytest.raises(OperationRefused, match="this worker has cpu"):
        unpack({"v": device}, scope())


def test_a_multiple_of_the_batch_is_what_the_scope_makes_of_it() -> None:
    assert unpack({"b": 3}, Scope(lambda id: None, batch=lambda times: times * 32)) == 96
