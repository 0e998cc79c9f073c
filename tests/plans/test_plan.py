from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import FedzmqError, LimitExceeded, ProtocolError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.check import check
from fedzmq.plans.compiled import compile_plan
from fedzmq.plans.plan import Constant, Output, Plan, from_bytes, name_of
from fedzmq.wire.limits import MAX_PLAN
from tests.plans.listing import W, X, op, plan
from tests.wire.strategies import ARGUMENTS, operations

PRODUCT = op("torch.mul", 3, 0b11, 1, 2)
CALLS = st.tuples(
    st.integers(0, len(CATALOG) - 1), ARGUMENTS, st.dictionaries(st.text(max_size=9), ARGUMENTS, max_size=2)
)
PLANS = st.builds(
    Plan,
    catalog=st.text(max_size=8),
    parameters=st.lists(st.sampled_from([W, X]), max_size=2).map(tuple),
    buffers=st.just(()),
    columns=st.lists(st.sampled_from([W, X]), max_size=2).map(tuple),
    constants=st.lists(st.just(Constant("int16", (2,), b"abcd")), max_size=2).map(tuple),
    records=st.lists(operations(), max_size=4).map(tuple),
    outputs=st.lists(st.builds(Output, st.just("loss"), st.integers(1, 9)), max_size=2).map(tuple),
)


@settings(max_examples=60)
@given(PLANS)
def test_a_plan_is_bytes_and_back(original: Plan) -> None:
    assert from_bytes(original.to_bytes()).to_bytes() == original.to_bytes()


def test_what_comes_back_is_equal() -> None:
    original = plan(PRODUCT, constants=(Constant("float32", (1,), b"\0\0\0\0"),))

    assert from_bytes(original.to_bytes()) == original


def test_a_plan_is_named_by_the_hash_of_its_bytes() -> None:
    body = plan(PRODUCT).to_bytes()

    assert name_of(body) == hashlib.sha256(body).hexdigest()


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_plan_or_a_protocol_error(body: bytes) -> None:
    with suppress(ProtocolError):
        assert isinstance(from_bytes(body), Plan)


@settings(max_examples=60)
@given(st.data())
def test_a_plan_with_changed_bytes_is_a_plan_or_a_protocol_error(data: st.DataObject) -> None:
    body = bytearray(plan(PRODUCT, constants=(Constant("float32", (1,), b"abcd"),)).to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    with suppress(ProtocolError):
        assert isinstance(from_bytes(bytes(body)), Plan)


@settings(max_examples=60)
@given(st.lists(CALLS, min_size=1, max_size=4))
def test_whatever_its_arguments_are_a_plan_compiles_or_is_refused(calls: list[tuple[int, Any, dict[str, Any]]]) -> None:
    records = [[number, 3 + n, 0b1, [1, given], named] for n, (number, given, named) in enumerate(calls)]

    with suppress(FedzmqError):
        written = from_bytes(plan(*records).to_bytes())
        check(written)
        assert callable(compile_plan(written))


@pytest.mark.parametrize("row", [[], [1], [2, []], {}, 3, [1, [], 3], [True, []]])
def test_a_plan_of_another_version_is_refused(row: object) -> None:
    with pytest.raises(ProtocolError, match="plan"):
        from_bytes(msgpack.packb(row))


def test_a_plan_over_the_limit_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitExceeded, match="the bytes of a plan is"):
        from_bytes(b"\xc1" * (MAX_PLAN + 1))


def test_a_plan_that_no_worker_would_take_does_not_leave() -> None:
    with pytest.raises(LimitExceeded, match="the bytes of a plan is"):
        plan(PRODUCT, constants=(Constant("int8", (MAX_PLAN,), bytes(MAX_PLAN)),)).to_bytes()


def test_a_constant_whose_bytes_do_not_fit_its_shape_is_refused() -> None:
    body = plan(PRODUCT, constants=(Constant("float32", (2,), b"abcd"),)).to_bytes()

    with pytest.raises(ProtocolError, match="takes 8 bytes, and its buffer has 4"):
        from_bytes(body)
