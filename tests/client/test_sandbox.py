from __future__ import annotations

from typing import Any

import pytest
import torch

from fedzmq.client.grid import PrivateGridNetwork
from fedzmq.client.hook import TorchHook
from fedzmq.client.sandbox import create_sandbox
from fedzmq.client.virtual import VirtualWorker


def test_a_grid_searches_its_own_workers(hook: TorchHook, bob: VirtualWorker, alice: VirtualWorker) -> None:
    kept = [torch.ones(1).send(worker).tag("#male") for worker in (bob, VirtualWorker(hook, "james"), alice)]
    found = PrivateGridNetwork(bob, alice).search("#male")
    assert {name: len(pointers) for name, pointers in found.items()} == {"bob": 1, "alice": 1}
    assert PrivateGridNetwork(bob).search("#female") == {}
    del kept


def test_a_sandbox_has_workers_with_data_on_them(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    create_sandbox(names)
    assert {"bob", "alice", "hook", "me", "grid", "workers", "torch"} <= set(names)
    found = names["grid"].search("#digits", "#data")
    assert sum(len(pointers[0]) for pointers in found.values()) == 1797
    assert found["bob"][0].location is names["bob"]
    assert "#digits" in capsys.readouterr().out
    names["hook"].close()
