from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from fedzmq.errors import PlanArgumentError, PlanError, TensorsNotCollocatedException
from fedzmq.recording.protocol import Protocol, func2protocol
from fedzmq.recording.role import Role
from tests.pointers.loopback import Place


def sum_at_bob(alice: Role, bob: Role, x: Tensor, y: Tensor) -> dict[str, Any]:
    doubled = (x * 2).move(bob)
    total = doubled + y + bob.load(torch.tensor([10.0, 20.0]))
    total.add_(1)
    return {"total": total, "parts": torch.sort(bob.torch.ones(2) - total)}


def made() -> Protocol:
    return func2protocol(roles=["alice", "bob"], args_shape={"alice": [(2,)], "bob": [(2,)]})(sum_at_bob)


def test_actions_are_recorded_by_role_with_what_passes_between_them() -> None:
    protocol = made()
    assert [action.what for action in protocol.roles["alice"].actions] == ["Tensor.mul", "move"]
    whats = [action.what for action in protocol.roles["bob"].actions]
    assert whats[0] == "receive"
    assert "send" in whats
    assert {"Tensor.add", "Tensor.add_", "torch.ones"} <= set(whats)


def test_a_protocol_runs_with_whoever_plays_its_roles(bob: Place, alice: Place) -> None:
    protocol = made().assign(alice=alice, bob=bob)
    for _ in range(2):
        found = protocol(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]).send(bob))
        assert found["total"].location is bob
        assert found["total"].get().tolist() == [16.0, 29.0]
        assert found["parts"].values.get().tolist() == [-28.0, -15.0]
    swapped = protocol.copy().assign(alice=bob, bob=alice)
    assert swapped(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))["total"].location is alice
    assert repr(protocol) == "<protocol 'sum_at_bob' of alice by alice, bob by bob>"


def test_a_role_that_nobody_plays_is_named(bob: Place) -> None:
    protocol = made().assign(bob=bob)
    with pytest.raises(PlanError, match=r"nobody to play alice: \.assign\(alice=worker\)"):
        protocol(torch.ones(2), torch.ones(2))
    assert not protocol.copy().players
    with pytest.raises(PlanError, match="and not carol"):
        protocol.assign(carol=bob)


def test_inputs_have_their_form_and_their_place(bob: Place, alice: Place) -> None:
    protocol = made().assign(alice=alice, bob=bob)
    with pytest.raises(PlanArgumentError, match=r"input 2 has the shape \(3,\)"):
        protocol(torch.ones(2), torch.ones(3))
    with pytest.raises(PlanArgumentError, match="are 2, and 1 came"):
        protocol(torch.ones(2))
    with pytest.raises(TensorsNotCollocatedException, match="who plays alice"):
        protocol(torch.ones(2).send(bob), torch.ones(2))


def test_sharing_and_tags_are_actions(bob: Place) -> None:
    @func2protocol(args_shape={"bob": [(2,)]})
    def published(bob: Role, x: Tensor) -> Tensor:
        return (x + 1).tag("#sum").share()

    assert [action.what for action in published.actions] == ["Tensor.add", "tag", "share"]


def test_values_and_tensors_of_two_roles_are_no_part_of_a_protocol() -> None:
    def fetched(alice: Role, bob: Role, x: Tensor) -> Tensor:
        return bob.load(x.get())

    def mixed(alice: Role, bob: Role, x: Tensor) -> Tensor:
        return x + bob.torch.ones(2)

    for function, reason in ((fetched, r"test_protocol\.py:\d+ cannot be part"), (mixed, "of different roles")):
        with pytest.raises(PlanError, match=reason):
            func2protocol(roles=["alice", "bob"], args_shape={"alice": [(2,)]})(function)
