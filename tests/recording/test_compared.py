from __future__ import annotations

import sys
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
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


def test_what_an_import_runs_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if len(name) == 300:
                return

    def compares(held: object) -> bool:
        return held == 70

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    compared = Compared()
    with compared.watching():
        with suppress(ImportError):
            import_module("no_module_of_this_name")
        compares("")

    assert compared.sizes == [70]


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
