from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker


@pytest.fixture
def hook() -> Iterator[TorchHook]:
    hook = TorchHook(torch)
    yield hook
    hook.close()


@pytest.fixture
def bob(hook: TorchHook) -> VirtualWorker:
    return VirtualWorker(hook, "bob")


@pytest.fixture
def alice(hook: TorchHook) -> VirtualWorker:
    return VirtualWorker(hook, "alice")
