from __future__ import annotations

import pytest

from fedzmq.suggestion import suggestion


@pytest.mark.parametrize(
    ("word", "closeness", "expected"),
    [
        ("digitz", 0.6, "; did you mean 'digits'?"),
        ("zebra", 0.6, ""),
        ("wne", 0.99, ""),
        ("digits", 1.0, "; did you mean 'digits'?"),
        ("zebra", 0.0, "; did you mean "),
    ],
)
def test_the_nearest_name_is_suggested_where_one_is_as_close(word: str, closeness: float, expected: str) -> None:
    found = suggestion(word, ("digits", "wine"), closeness)
    assert found.startswith(expected)
    assert bool(found) is bool(expected)
