from __future__ import annotations

from typing import Any

import pytest
import torch

from fedzmq.errors import PlanError
from fedzmq.plans.structure import assemble, flatten

A, B, C = torch.zeros(1), torch.zeros(2), torch.zeros(3)


@pytest.mark.parametrize(
    "value",
    [A, (A,), [A], {"a": A}, (A, [B, {"deep": (C,), "also": A}]), {"0": [A], "a b": (B, C)}, [(A, B), (C,)]],
)
def test_what_was_taken_apart_is_put_together(value: Any) -> None:
    paths, tensors = flatten(value)
    assert assemble(paths, tensors) == value


def test_a_tensor_by_itself_has_the_empty_path() -> None:
    assert flatten(A) == (["[]"], [A])


def test_a_named_tuple_comes_back_as_a_tuple() -> None:
    values = torch.max(torch.eye(2), 0)
    paths, tensors = flatten(values)
    assert type(assemble(paths, tensors)) is tuple


@pytest.mark.parametrize("value", [None, 3, (A, None), {"a": "b"}, {1: A}])
def test_what_is_no_tensor_is_refused(value: Any) -> None:
    with pytest.raises(PlanError, match="a plan gives back tensors, in tuples, lists and maps"):
        flatten(value)


@pytest.mark.parametrize(
    "paths",
    [
        ["loss"],
        ["[]", "[]"],
        ['[["tuple", 0]]', '[["list", 1]]'],
        ['[["tuple", 0]]', "[]"],
        ['[["set", 0]]'],
        ["[1]"],
        ['[["dict", []]]'],
        ['[["tuple", 0]]', '[["tuple", 0]]'],
        ["null"],
    ],
)
def test_paths_that_lead_nowhere_are_refused(paths: list[str]) -> None:
    with pytest.raises(PlanError, match="says no places"):
        assemble(paths, [A, B][: len(paths)])
