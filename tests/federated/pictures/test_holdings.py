from __future__ import annotations

import builtins
import struct
from typing import Any

import numpy as np
import pytest

from fedzmq.errors import MissingExtraError
from fedzmq.federated.pictures.holdings import draw_holdings

pytest.importorskip("matplotlib")


def size(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG")
    width, height = struct.unpack(">2L", picture[16:24])
    return width, height


def held(workers: int, classes: int | None) -> tuple[list[str], list[np.ndarray[Any, Any]]]:
    source = np.random.default_rng(0)
    names = [f"worker{number}" for number in range(workers)]
    return names, [source.integers(0, classes, 20) if classes else source.normal(size=20) for _ in names]


@pytest.mark.parametrize(("workers", "classes"), [(1, 2), (5, 10), (40, 10), (5, 200), (5, None), (1, None)])
def test_every_set_is_drawn_as_wide(workers: int, classes: int | None) -> None:
    names, targets = held(workers, classes)

    assert size(draw_holdings(names, targets, classes, "who holds what"))[0] == 1280


def test_more_workers_make_a_higher_picture() -> None:
    low, high = (draw_holdings(*held(workers, 10), 10, "who holds what") for workers in (3, 20))

    assert size(low)[1] < size(high)[1]


def test_ten_thousand_workers_make_no_endless_picture() -> None:
    assert size(draw_holdings(*held(300, 10), 10, "who holds what"))[1] <= 6400


def test_a_worker_may_hold_nothing_of_most_classes() -> None:
    picture = draw_holdings(["bob", "alice"], [np.array([3]), np.array([0, 0])], 4, "who holds what")

    assert size(picture)[0] == 1280


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(MissingExtraError, match="drawing who holds what needs matplotlib"):
        draw_holdings(*held(2, 3), 3, "who holds what")
