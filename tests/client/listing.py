"""The program that the project grew from, run with whatever stands for `fedzmq`, and the figures that it must leave."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

LISTING = Path(__file__).parents[1] / "seed_listing.py"


def run_listing(sy: ModuleType | SimpleNamespace, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that the listing leaves behind when `sy` stands for fedzmq and every Linear starts from one place."""

    def reset(layer: nn.Linear) -> None:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor([[0.1, -0.2]]))
            layer.bias.fill_(0.3)

    patch.setattr(nn.Linear, "reset_parameters", reset)
    patch.setitem(sys.modules, "fedzmq", sy)
    names: dict[str, Any] = {}
    exec(compile(LISTING.read_text(), str(LISTING), "exec"), names)
    return names


def assert_figures(names: dict[str, Any]) -> None:
    """Those of plain torch with one SGD for each copy."""
    for name, weight, bias in (
        ("model_bob", [1.334778, -0.063221], 0.436779),
        ("model_alice", [0.645144, -0.2], 0.219159),
        ("model", [0.989961, -0.131611], 0.327969),
    ):
        layer = names[name]
        assert isinstance(layer, nn.Linear)
        torch.testing.assert_close(layer.weight.get().detach(), torch.tensor([weight]), rtol=0, atol=1e-6)
        torch.testing.assert_close(layer.bias.get().detach(), torch.tensor([bias]), rtol=0, atol=1e-6)
    for name, loss in (("loss_bob", 0.269867), ("loss_alice", 0.077890)):
        value = names[name]
        assert isinstance(value, Tensor)
        torch.testing.assert_close(value.get(), torch.tensor(loss), rtol=0, atol=1e-6)
