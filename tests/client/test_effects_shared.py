from __future__ import annotations

import torch

from fedzmq.client.virtual import VirtualWorker


def test_what_one_workers_pointers_learned_is_known_to_those_of_another(
    bob: VirtualWorker, alice: VirtualWorker
) -> None:
    def step(place: VirtualWorker) -> object:
        x = torch.ones(2, 3).send(place)  # type: ignore[attr-defined]
        return (x @ x.t()).relu()

    first = step(bob)
    learned = bob.client.effects.misses
    second = step(alice)
    assert learned > 0
    assert alice.client.effects.misses == learned
    assert torch.equal(first.get(), second.get())  # type: ignore[attr-defined]
