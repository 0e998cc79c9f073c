from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from fedzmq.errors import GetNotPermittedError, OperationRefused, TensorsNotCollocatedException
from fedzmq.pointers.effects import Effects
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.stream import Stream
from tests.pointers.loopback import Place

close = torch.testing.assert_close


def test_a_local_operand_is_shipped_to_the_worker(bob: Place) -> None:
    p = torch.ones(4).send(bob)
    ones = torch.ones(4)
    close((p + ones).get(), ones * 2)
    close((ones - p).get(), ones * 0)
    close(torch.cat([ones, p]).get(), torch.ones(8))
    close(torch.add(p, other=ones).get(), ones * 2)
    big = torch.ones(200_000)
    close((big * p[0]).get(), big)


def test_a_shipped_operand_is_taken_as_it_was_then(bob: Place) -> None:
    p = torch.zeros(4).send(bob)
    local = torch.ones(4)
    total = p + local
    local.zero_()
    close(total.get(), torch.ones(4))


def test_a_local_operand_without_plain_values_is_refused_before_anything_happens(bob: Place) -> None:
    p = torch.zeros(2, 2).send(bob)
    for odd in (torch.ones(2, 2, device="meta"), torch.eye(2).to_sparse()):
        with pytest.raises(OperationRefused, match="only dense ones"):
            p.add_(odd)
    bob.stream.sync()


def test_a_local_model_applied_to_remote_data_says_that_its_gradient_would_be_lost(bob: Place) -> None:
    model = nn.Linear(2, 1)
    data = torch.ones(3, 2).send(bob)
    with pytest.raises(TensorsNotCollocatedException, match="gradient") as caught:
        model(data)
    assert set(caught.value.places) == {"worker 'bob'", "this process"}
    with torch.no_grad():
        close(model(data).get(), model(torch.ones(3, 2)))


def test_workers_of_one_name_are_told_apart(bob: Place, effects: Effects) -> None:
    of_another = Place("bob", effects)
    with pytest.raises(TensorsNotCollocatedException, match="worker 'bob' and another client's worker 'bob'"):
        torch.ones(2, requires_grad=True).send(bob) * torch.ones(2).send(of_another)


LOCAL_TARGETS: dict[str, Callable[[Tensor, Tensor], object]] = {
    "add_": lambda local, p: local.add_(p),
    "copy_": lambda local, p: local.copy_(p),
    "setitem": lambda local, p: local.__setitem__(0, p),
    "data": lambda local, p: setattr(local, "data", p),
    "set_": lambda local, p: local.set_(p),
    "grad": lambda local, p: setattr(local, "grad", p),
}


@pytest.mark.parametrize("name", LOCAL_TARGETS)
def test_a_pointer_is_never_written_into_a_local_tensor(bob: Place, name: str) -> None:
    local = torch.zeros(2)
    with pytest.raises(RuntimeError):  # torch's own where its setters do not ask; ours is one too
        LOCAL_TARGETS[name](local, torch.ones(2).send(bob) if name != "setitem" else torch.ones(()).send(bob))
    close(local, torch.zeros(2))


def test_operands_of_two_workers_meet_here_when_no_gradient_is_lost(bob: Place, alice: Place) -> None:
    a, b = torch.ones(2).send(bob), torch.full((2,), 3.0).send(alice)
    mean = (a + b) / 2
    assert not isinstance(mean, Pointer)
    close(mean, torch.full((2,), 2.0))
    close(torch.stack([a, b, torch.zeros(2)]), torch.tensor([[1.0, 1.0], [3.0, 3.0], [0.0, 0.0]]))
    close(a.get(), torch.ones(2))


def test_operands_of_two_workers_do_not_meet_where_a_gradient_would_be_lost(bob: Place, alice: Place) -> None:
    a, b = torch.ones(2, requires_grad=True).send(bob), torch.ones(2).send(alice)
    for use in (lambda: a + b, lambda: b + a, lambda: torch.cat([a, b]), lambda: nn.functional.mse_loss(a, b)):
        with pytest.raises(TensorsNotCollocatedException, match=r"'bob'.*'alice'|'alice'.*'bob'") as caught:
            use()
        assert ".move(worker)" in str(caught.value)
    with torch.no_grad():
        close(a + b, torch.full((2,), 2.0))


def test_what_is_written_to_is_where_operands_of_two_workers_meet(bob: Place, alice: Place) -> None:
    a, b = torch.zeros(2).send(bob), torch.ones(2).send(alice)
    a.add_(b)
    assert a.location is bob
    close(a.get(), torch.ones(2))


def test_a_worker_that_does_not_let_its_operand_go_keeps_them_apart(bob: Place, effects: Effects) -> None:
    private = torch.ones(2).send(Keeping("alice", effects))
    with pytest.raises(TensorsNotCollocatedException, match="it is private"):
        torch.ones(2).send(bob) + private


def test_a_strict_stream_refuses_both_kinds_of_meeting(bob: Place, effects: Effects) -> None:
    strict = Place("carol", effects, strict=True)
    p = torch.ones(2).send(strict)
    for other in (torch.ones(2), torch.ones(2).send(bob)):
        for use in (lambda: p + other, lambda: other + p):  # noqa: B023 - called at once
            with pytest.raises(TensorsNotCollocatedException, match="strict"):
                use()
    close((p + torch.tensor(1.0)).get(), torch.full((2,), 2.0))


class Keeping(Place):
    """A worker whose owner lets nothing go."""

    def __init__(self, name: str, effects: Effects) -> None:
        super().__init__(name, effects)
        self.stream = KeepingStream(self.line, effects=effects)


class KeepingStream(Stream):
    def fetch(self, ids: object) -> list[Tensor]:
        raise GetNotPermittedError("it is private")


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own use of it
def test_a_local_operand_with_a_tangent_is_refused(bob: Place) -> None:
    with forward_ad.dual_level(), pytest.raises(OperationRefused, match="forward mode"):
        torch.ones(2).send(bob) * forward_ad.make_dual(torch.ones(2), torch.ones(2))


def test_a_local_operand_inside_a_transform_is_refused(bob: Place) -> None:
    with pytest.raises(OperationRefused, match="vmap"):
        torch.func.vmap(lambda each: each * torch.ones(2).send(bob))(torch.ones(3, 2))


def test_a_view_like_a_tensor_elsewhere_is_a_view_where_it_was(bob: Place, alice: Place) -> None:
    x, like = torch.ones(2).send(bob), torch.zeros(2, 1)
    views = [x.view_as(like.send(alice)), x.expand_as(torch.zeros(3, 2).send(alice)), x.reshape_as(like)]
    x.mul_(5)
    assert [each.get().unique().tolist() for each in views] == [[5.0]] * 3
