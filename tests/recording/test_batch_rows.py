from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from fedzmq.errors import PlanError, ProtocolError
from fedzmq.operations.arguments import Scope, unpack
from fedzmq.operations.rules import of_size
from fedzmq.recording.batch_rows import check_alike, generalise
from fedzmq.recording.fitting import SIZES
from fedzmq.recording.tracing import Recording


def recording(*arguments: Any, number: int = 0, times: int = 1) -> Recording:
    records = ((number, 2, 0b1, [1, *arguments]),) * times
    return Recording(records, (1,), (2,), (), (), (), ("model.py:3",) * times)


def merged(one: Any, other: Any) -> Any:
    return generalise([(recording(one), 7), (recording(other), 11)])[0][3][1]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (7, 11, {"b": 1}),
        (28, 44, {"b": 4}),
        (7, 7, 7),
        (0, 0, 0),
        (-1, -1, -1),
        ([7, 3], [11, 3], [{"b": 1}, 3]),
        (
            {"t": [7, {"s": [0, 14, None]}]},
            {"t": [11, {"s": [0, 22, None]}]},
            {"t": [{"b": 1}, {"s": [0, {"b": 2}, None]}]},
        ),
        ("mean", "mean", "mean"),
        (True, True, True),
        (0.5, 0.5, 0.5),
    ],
)
def test_what_grows_with_the_batch_is_a_multiple_of_its_rows(one: Any, other: Any, expected: Any) -> None:
    assert merged(one, other) == expected


def test_a_number_that_is_none_is_equal_to_itself() -> None:
    assert merged(float("nan"), float("nan")) != merged(float("nan"), float("nan"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (8, 12),
        (3, 5),
        (-7, -11),
        (7.0, 11.0),
        (7, 11.0),
        (True, False),
        ("a", "b"),
        ([7], [11, 11]),
        ({"t": [7]}, {"s": [11, 11, 1]}),
        (7, 22),
    ],
)
def test_what_differs_in_another_way_is_refused_with_its_line(one: Any, other: Any) -> None:
    with pytest.raises(PlanError, match=r"at model.py:3 depends on the number of examples .* for 7 and 11 examples"):
        merged(one, other)


def test_other_operations_for_another_batch_are_refused_with_their_line() -> None:
    with pytest.raises(PlanError, match=r"the model does .* and .* at model.py:3 for 7 and 11 examples"):
        check_alike((recording(number=1), 7), (recording(number=2), 11))


def test_more_operations_for_a_larger_batch_are_refused() -> None:
    with pytest.raises(PlanError, match="the model does 7 and 11 operations for 7 and 11 examples"):
        check_alike((recording(times=7), 7), (recording(times=11), 11))


RULES: dict[str, Callable[[int], Any]] = {
    "one less": lambda n: n - 1,
    "one more than twice": lambda n: 2 * n + 1,
    "pairs": lambda n: n * (n - 1),
    "square": lambda n: n * n,
    "float": float,
    "float less one": lambda n: float(n - 1),
    "root": lambda n: n**0.5,
    "share": lambda n: 1 / n,
    "part of a root": lambda n: 0.3 / n**0.5,
    "share of the others": lambda n: 1 / (n + 1),
    "share of a pair": lambda n: 2 / (n * (n + 1)),
    "logarithm": math.log,
    "logarithm of half": lambda n: math.log(n / 2),
    "half": lambda n: n // 2,
    "other half": lambda n: n - n // 2,
    "third, rounded up": lambda n: -(-n // 3),
    "choices of two": lambda n: n * (n - 1) // 2,
    "seven tenths": lambda n: int(0.7 * n),
    "seven tenths in ints": lambda n: 7 * n // 10,
    "three tenths, rounded": lambda n: round(0.3 * n),
    "a twentieth, but one": lambda n: max(1, int(0.05 * n)),
    "one less, but one": lambda n: max(1, n - 1),
    "few at most": lambda n: min(n, 3),
    "many at most": lambda n: min(n, 64),
}


@pytest.mark.parametrize("name", RULES)
def test_other_simple_rules_are_found_with_further_recordings(name: str) -> None:
    rule = RULES[name]
    sized = [(recording(rule(rows)), rows) for rows in (7, 11, 1030, 1)]
    found = generalise(sized, lambda: [(recording(rule(rows)), rows) for rows in SIZES])[0][3][1]
    unpacked = unpack(found, Scope(lambda id: None, batch=lambda rule: lambda rows: of_size(rule, rows)))
    rows = range(1, 5000)

    assert [unpacked(each) for each in rows] == pytest.approx([rule(each) for each in rows], rel=1e-12)
    assert type(unpacked(5)) is type(rule(5))


@pytest.mark.parametrize(
    "rule",
    [lambda n: n**3 - 1, lambda n: 2 ** min(n, 40), lambda n: n % 3, lambda n: 1 if n < 200 else 2, lambda n: n | 1],
)
def test_what_follows_no_simple_rule_is_refused(rule: Callable[[int], Any]) -> None:
    sized = [(recording(rule(rows)), rows) for rows in (7, 11, 1030, 1)]

    with pytest.raises(PlanError, match=r"depends on the number of examples .* for 7 and \d+ examples"):
        generalise(sized, lambda: [(recording(rule(rows)), rows) for rows in SIZES])


@pytest.mark.parametrize(
    "content",
    [
        0,
        [1, 2],
        [1.0],
        [1, 2.0, 3],
        [1, 2, 1 << 64],
        ["n", 1, 1],
        {"p": 1},
        1.0,
        ["floor", 0, 1, 0, 0, None, None],
        ["floor", 0, 1, 0, 2],
        ["part", 1, None, None],
        ["log", 1.0, 0, "x"],
    ],
)
def test_a_rule_that_is_none_is_refused(content: Any) -> None:
    with pytest.raises(ProtocolError):
        unpack({"b": content}, Scope(lambda id: None, batch=lambda rule: rule))
