from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from fedzmq.recording.compared import MOST_WITHIN, Compared

MANY = range(100, 101 + MOST_WITHIN)
LIST = list(MANY)
MAP: dict[Any, int] = {(): 200, **{(n,): n for n in MANY}, "named": 50}
FEW: dict[Any, int] = {(): 70, "named": 50, "other": 60}


@pytest.mark.parametrize(("held", "sizes"), [(LIST, []), (MAP, [50]), (FEW, [50, 70])])
def test_what_is_long_is_not_looked_through(held: Collection[Any], sizes: list[int]) -> None:
    def compares(held: Any) -> bool:
        return held == "named"

    compared = Compared()
    with compared.watching():
        compares(held)

    assert compared.sizes == sizes


def test_nothing_is_called_to_find_them() -> None:
    asked: list[str] = []

    class Proxy:
        def __getattribute__(self, name: str) -> Any:
            asked.append(name)
            return object.__getattribute__(self, name)

    def compares(proxy: Proxy) -> bool:
        return proxy is None or "size" == ""

    with Compared().watching():
        compares(Proxy())

    assert not asked
