from __future__ import annotations

from types import SimpleNamespace

import pytest
from torch import nn

from fedzmq.client.effects import Effects
from fedzmq.client.hook import install
from tests.client.listing import assert_figures, run_listing
from tests.client.loopback import Place


def test_the_listing_runs_to_its_end_and_trains(effects: Effects, monkeypatch: pytest.MonkeyPatch) -> None:
    places: dict[str, Place] = {}

    def worker(hook: object, id: str) -> Place:
        return places.setdefault(id, Place(id, effects))

    sy = SimpleNamespace(TorchHook=lambda torch: install(), VirtualWorker=worker)
    names = run_listing(sy, monkeypatch)
    assert_figures(names)
    model = names["model"]
    assert isinstance(model, nn.Linear)
    assert type(model.weight) is nn.Parameter
