"""Values that leave a worker straight out of its store, while later commands change what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.session.session import WINDOW_BYTES
from fedzmq.tensors.buffers import restore
from fedzmq.wire.messages import Fetch, Value

LARGE = 3 * WINDOW_BYTES // 4  # elements of float32: three windows


@pytest.fixture
def hook() -> Iterator[TorchHook]:
    made = TorchHook(torch)
    yield made
    made.close()


def test_a_value_on_its_way_is_not_reached_by_the_next_message(hook: TorchHook) -> None:
    bob = VirtualWorker(hook, "bob")
    local: Any = torch.zeros(LARGE)
    x = local.send(bob)
    request = bob.stream.ask(lambda number: Fetch(number, x._ref.id), None)
    bob.stream.flush()
    x.fill_(7)
    bob.stream.flush()
    reply, buffers = bob.stream.answer(request)
    assert isinstance(reply, Value)
    assert not restore(reply.tensor, buffers[0]).any()
    assert bool((x.get() == 7).all())


def test_a_tensor_that_is_dropped_while_its_value_is_on_its_way_arrives_whole(hook: TorchHook) -> None:
    bob = VirtualWorker(hook, "bob")
    local: Any = torch.arange(LARGE, dtype=torch.float32)
    assert torch.equal(local.send(bob).get(), local)


def test_a_tensor_may_change_as_soon_as_it_was_sent(hook: TorchHook) -> None:
    bob = VirtualWorker(hook, "bob")
    local: Any = torch.zeros(LARGE)
    x = local.send(bob)
    local.fill_(7)
    assert not x.get().any()
