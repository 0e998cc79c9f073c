from __future__ import annotations

import pytest
import torch
from torch import nn, optim

from fedzmq.errors import UsageError
from fedzmq.federated.optims import Optims


def test_each_worker_has_an_optimizer_of_its_own_over_the_same_parameters() -> None:
    model = nn.Linear(2, 1)
    optims = Optims(["bob", "alice"], optim=optim.Adam(model.parameters(), lr=0.3, betas=(0.5, 0.6)))
    bob, alice = optims.get_optim("bob"), optims.get_optim("alice")
    assert (type(bob), bob is alice, len(optims), optims.count()) == (optim.Adam, False, 2, 2)
    assert bob.param_groups[0]["params"] == alice.param_groups[0]["params"] == list(model.parameters())
    assert (bob.param_groups[0]["lr"], bob.param_groups[0]["betas"]) == (0.3, (0.5, 0.6))
    model(torch.ones(1, 2)).sum().backward()
    bob.step()
    assert len(bob.state) == 2
    assert not alice.state


def test_an_unknown_worker_is_named() -> None:
    optims = Optims(["bob"], optim=optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1))
    with pytest.raises(UsageError, match=r"worker 'carol' \(there are: bob\)"):
        optims.get_optim("carol")
