from __future__ import annotations

import pytest
from torch import nn

import fedzmq
from tests.client.listing import assert_figures, run_listing


def test_the_listing_runs_to_its_end_and_trains_on_virtual_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    names = run_listing(fedzmq, monkeypatch)
    assert_figures(names)
    model = names["model"]
    assert isinstance(model, nn.Linear)
    assert type(model.weight) is nn.Parameter
    names["hook"].close()
