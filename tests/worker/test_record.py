from __future__ import annotations

from typing import Any

import pytest

from fedzmq.errors import ProtocolError
from fedzmq.operations.arguments import Scope, unpack
from fedzmq.worker.record import operands


def nested(kind: str, depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"t": [inner]} if kind == "tuple" else [inner]
    return inner


@pytest.mark.parametrize("kind", ["tuple", "list"])
def test_every_tensor_that_an_argument_may_hold_is_found(kind: str) -> None:
    deepest = 0
    for depth in range(20):
        value = nested(kind, depth, {"p": 5})
        try:
            unpack(value, Scope(lambda id: id))
        except ProtocolError:
            continue
        deepest = depth
        assert list(operands([0, 1, 0, [value]])) == list(operands([0, 1, 0, [], {"other": value}])) == [5]
    assert deepest


def test_what_nests_without_end_is_not_followed() -> None:
    assert list(operands([0, 1, 0, [nested("list", 100_000, [])]])) == []
