"""Pictures that are looked at before they become bytes."""

from __future__ import annotations

from typing import Any

import pytest

from fedzmq.federated.pictures import comparison, plot


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are drawn."""
    figures: list[Any] = []

    def look(figure: object, form: str) -> bytes:
        figures.append(figure)
        return b""

    for picture in (comparison, plot):
        monkeypatch.setattr(picture, "drawn", look)
    return figures
