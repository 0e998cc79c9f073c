from __future__ import annotations

import pytest

from fedzmq.federated.pictures import comparison
from fedzmq.federated.pictures.comparison import Curve, draw_comparison
from tests.federated.pictures.test_plot import reports


def test_rounds_begin_at_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def look(figure: object, form: str) -> bytes:
        limits.append(figure.axes[-1].get_xlim())  # type: ignore[attr-defined]
        return b""

    monkeypatch.setattr(comparison, "drawn", look)
    draw_comparison([Curve("a", reports(25)), Curve("b", reports(3))])

    assert limits == [(0.5, 25.5)]
