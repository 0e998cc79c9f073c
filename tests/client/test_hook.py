from __future__ import annotations

import pytest
import torch
from torch import nn

import fedzmq
from fedzmq.client.hook import TorchHook
from fedzmq.errors import UsageError
from fedzmq.pointers.verbs import install


def test_installing_twice_is_installing_once() -> None:
    install()
    before = vars(nn.Module)["send"], torch.optim.Optimizer.zero_grad
    install()
    assert (vars(nn.Module)["send"], torch.optim.Optimizer.zero_grad) == before


def test_what_is_here_is_its_own_get_and_copies_here() -> None:
    install()
    x = torch.ones(2, requires_grad=True)
    assert x.get() is x
    assert x.location is None
    y = x.copy()
    assert y is not x
    assert y.requires_grad
    assert y.is_leaf


def test_a_hook_owns_the_client_of_its_virtual_workers() -> None:
    hook = TorchHook(torch, strict=True)
    with hook.client as client:
        assert client.address.startswith("memory://")
        assert hook.strict
        assert hook.virtual_workers == {}


def test_the_local_worker_is_that_of_the_newest_client(hook: TorchHook) -> None:
    assert fedzmq.local_worker is hook.local_worker
    other = TorchHook(torch)
    assert fedzmq.local_worker is other.local_worker
    other.close()


def test_a_virtual_worker_without_a_hook_says_what_to_give_it() -> None:
    with pytest.raises(UsageError, match=r"made with a hook, fedzmq.TorchHook\(torch\), and not with None"):
        fedzmq.VirtualWorker(None, id="zz")  # type: ignore[arg-type]
