from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from fedzmq.errors import NeedsValueError, OperationRefused, TensorsNotCollocatedException
from fedzmq.pointers.apply import create
from fedzmq.pointers.effects import Effect, Effects, Unforeseeable
from fedzmq.pointers.pointer import Pointer
from fedzmq.wire.messages import Seed
from tests.pointers.loopback import Place

EYE = torch.eye(3)


def value(pointer: torch.Tensor) -> torch.Tensor:
    return pointer.copy().get()


def test_dropout_of_nothing_teaches_nothing_about_dropout_of_half(bob: Place) -> None:
    p = torch.ones(64).send(bob)
    assert F.dropout(p, 0.0) is p
    bob.stream.command(Seed(3), None)
    dropped = value(F.dropout(p, 0.5))
    torch.manual_seed(3)
    assert torch.equal(dropped, F.dropout(torch.ones(64), 0.5))


@pytest.mark.parametrize("order", [0, 0.0, 2, 2.0])
def test_a_leaf_has_a_gradient_exactly_where_it_has_one_here(bob: Place, order: float) -> None:
    here, there = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True).send(bob)
    torch.linalg.vector_norm(here, order).backward()
    torch.linalg.vector_norm(there, order).backward()
    assert (there.grad is None) == (here.grad is None)


@pytest.mark.parametrize("elements", [3, 20_000])  # learned from the kernel, and from fakes
@pytest.mark.parametrize("exponent", [True, 2])
def test_a_power_of_bools_is_of_the_dtype_that_it_has_here(bob: Place, elements: int, exponent: int) -> None:
    here = torch.ones(elements, dtype=torch.bool)
    there = here.send(bob)
    for power in (torch.pow(there, exponent), there**exponent, torch._foreach_pow([there], exponent)[0]):
        assert power.dtype == value(power).dtype == (here**exponent).dtype


@pytest.mark.parametrize("shape", [(4, 3), (4, 1), (1, 3), (4,)])
def test_a_variance_has_the_shapes_that_it_may_have_here(bob: Place, shape: tuple[int, ...]) -> None:
    given = [torch.rand(4, 3), torch.rand(4, 3), torch.rand(shape)]
    there = F.gaussian_nll_loss(*[each.send(bob) for each in given])
    assert torch.allclose(value(there), F.gaussian_nll_loss(*given))


def test_a_median_of_what_is_expanded_is_that_of_its_copy(bob: Place) -> None:
    here, there = torch.ones(1, requires_grad=True), torch.ones(1, requires_grad=True).send(bob)
    for x in (here, there):
        x.expand(3).median().backward()
    assert torch.equal(value(there.grad), here.grad)


def test_what_torch_decides_by_a_value_it_fetches(bob: Place) -> None:
    x = torch.rand(3, 4)
    assert torch.equal(value(torch.masked.median(x.send(bob), 1)), torch.masked.median(x, 1))


def test_nobody_is_told_that_a_view_begins_where_its_base_does(bob: Place) -> None:
    p = EYE.send(bob)
    assert p.storage_offset() == 0
    with pytest.raises(OperationRefused, match="a view begins"):
        p[1].storage_offset()


def test_a_view_without_grad_mode_tells_what_it_tells_here(bob: Place) -> None:
    here, there = EYE.clone().requires_grad_(), EYE.clone().requires_grad_().send(bob)
    with torch.no_grad():
        assert there.t().requires_grad == here.t().requires_grad
        stored = bob.line.store
        view = there.t()
        bob.stream.sync()
        assert stored.tensors[view._ref.id].requires_grad == here.t().requires_grad


@pytest.mark.parametrize("by_name", [True, False])
def test_statistics_that_are_here_are_not_updated_there_in_silence(bob: Place, by_name: bool) -> None:
    mean, spread = torch.zeros(3), torch.ones(3)
    given = {"running_mean": mean, "running_var": spread} if by_name else {}
    with pytest.raises(TensorsNotCollocatedException):
        F.batch_norm(EYE.send(bob), *(() if by_name else (mean, spread)), training=True, **given)


def test_a_named_result_keeps_its_names_where_only_the_worker_knows_it(bob: Place) -> None:
    found = torch.linalg.lstsq(EYE.send(bob), torch.ones(3, 1).send(bob))
    assert type(found) is torch.return_types.linalg_lstsq
    assert torch.allclose(value(found.solution), torch.ones(3, 1))


class Blind(Effects):
    """Foresees nothing."""

    def learn(self, *args: object, **kwargs: object) -> Effect:
        raise Unforeseeable


def test_what_is_written_in_place_stays_itself_though_nothing_is_foreseen() -> None:
    bob = Place("bob", Blind())
    p = torch.ones(3).send(bob)
    assert p.add_(1) is p
    p[torch.tensor([True, False, True])] = 5
    assert value(p.detach()).tolist() == [5, 2, 5]


def test_a_distance_of_the_users_own_is_computed_there(bob: Place) -> None:
    def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().sum(1)

    tensors = [EYE, EYE * 2, EYE * 3]
    found = F.triplet_margin_with_distance_loss(*[each.send(bob) for each in tensors], distance_function=distance)
    assert torch.equal(value(found), F.triplet_margin_with_distance_loss(*tensors, distance_function=distance))


def test_lists_of_tensors_go_to_functions_that_take_them(bob: Place) -> None:
    rows, columns = torch.meshgrid([torch.ones(2).send(bob), torch.zeros(3).send(bob)], indexing="ij")
    assert rows.shape == columns.shape == (2, 3)
    assert [each.dim() for each in torch.atleast_2d([torch.ones(2).send(bob), torch.tensor(1.0).send(bob)])] == [2, 2]


def test_many_outputs_come_though_only_values_tell_of_them(bob: Place) -> None:
    p, cuts = torch.arange(40.0).send(bob), torch.arange(1, 40)
    assert [len(each) for each in p.tensor_split(cuts.send(bob))] == [1] * 40
    assert len(torch._foreach_add([p] * 40, torch.tensor(1.0).send(bob))) == 40
    assert len(torch.histogramdd(torch.rand(4, 18).send(bob), [1] * 18).bin_edges) == 18


def test_what_is_made_from_numbers_is_made_there(bob: Place) -> None:
    made = create(bob.stream, Pointer, torch.arange, (0, 1, 0.25), {"device": "cuda"})
    assert torch.equal(value(made), torch.arange(0, 1, 0.25))
    assert create(bob.stream, Pointer, torch.arange, (0, 1, 0.5), {}).shape == (2,)
    assert create(bob.stream, Pointer, torch.ones, (2,), {"requires_grad": True}).is_leaf


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda p: p.as_strided((1,), (1,), 5), "beyond the tensor's own elements"),
        (lambda p: p.resize_(9), "resize memory"),
        (lambda p: p.new_empty_strided((1,), (1,)), "use zeros"),
        (lambda p: p.to_sparse(), "are dense"),
        (lambda p: torch.quantize_per_tensor(p, 0.1, 0, torch.quint8), "not quantised"),
        (lambda p: torch.ops.aten.add(p, p), "call those"),
        (lambda p: torch._softmax(p, 0, False), "private"),
        (lambda p: p.normal_(generator=torch.Generator()), "worker.seed"),
    ],
)
def test_what_is_refused_says_why(bob: Place, call: object, reason: str) -> None:
    with pytest.raises(OperationRefused, match=reason):
        call(EYE.send(bob))


def test_what_needs_a_value_says_get(bob: Place) -> None:
    two = torch.tensor(2).send(bob)
    for call in (lambda: torch.allclose(EYE.send(bob), EYE), lambda: torch.arange(two), lambda: torch.full((2,), two)):
        with pytest.raises(NeedsValueError, match="get"):
            call()


def test_what_torch_compares_for_a_test_is_fetched(bob: Place) -> None:
    torch.testing.assert_close(EYE.send(bob), EYE)
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(EYE.send(bob), EYE * 2)


def test_two_metadata_questions_cost_nothing(bob: Place) -> None:
    p = EYE.send(bob)
    bob.stream.flush()
    records = bob.line.records
    assert p.is_same_size(EYE)
    assert p.dim_order() == (0, 1)
    assert torch.get_device(p) == -1
    bob.stream.flush()
    assert bob.line.records == records


def seeded(distribution: Callable[..., torch.distributions.Distribution], rate: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(3)
    return distribution(rate).rsample((2,))


AS_HERE = {
    "a mask of bytes": lambda send: send(torch.arange(6.0).reshape(3, 2))[send(torch.tensor([1, 0, 1]).byte())],
    "a slice by tensors": lambda send: send(torch.arange(6.0))[torch.tensor(1) : torch.tensor(4)],
    "a shape of tensors": lambda send: send(torch.arange(6.0)).view(torch.tensor(2), -1),
    "integers that divide": lambda send: 10 // send(torch.tensor([7, -3, 2])),
    "a padded batch": lambda send: nn.utils.rnn.pad_sequence([send(torch.ones(2, 3)), send(torch.ones(4, 3))], True),
    "padding on the left": lambda send: nn.utils.rnn.pad_sequence(
        [send(torch.ones(2)), send(torch.ones(3))], padding_value=7.0, padding_side="left"
    ),
    "a density": lambda send: torch.distributions.Normal(send(torch.zeros(2)), 2.0).log_prob(send(torch.ones(2))),
    "a draw by small steps": lambda send: seeded(torch.distributions.Dirichlet, send(torch.ones(3))),
    "a draw into new memory": lambda send: seeded(torch.distributions.Exponential, send(torch.ones(3))),
    "a tuple with names": lambda send: torch.stack(torch.aminmax(send(torch.tensor([1.0, 3.0, 2.0])))),
    "an expanded operand": lambda send: send(torch.ones(3)).expand(2, 3) @ send(torch.ones(3, 2)),
}


@pytest.mark.filterwarnings("ignore:indexing with dtype torch.uint8")
@pytest.mark.parametrize("name", AS_HERE)
def test_an_unusual_operand_does_what_it_does_here(bob: Place, name: str) -> None:
    wanted = AS_HERE[name](lambda tensor: tensor)
    found = AS_HERE[name](lambda tensor: tensor.send(bob))
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    assert torch.equal(value(found), wanted)


def test_a_distribution_says_what_is_wrong_with_its_parameters(bob: Place) -> None:
    with pytest.raises(ValueError, match="Expected parameter scale"):
        torch.distributions.Normal(torch.zeros(2).send(bob), -torch.ones(2).send(bob))


def test_what_is_no_number_is_unequal(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    assert (p == object()) is False
    assert (p != object()) is True


@pytest.mark.parametrize("number", [2.0, torch.tensor(2.0)])
def test_a_list_that_is_written_in_place_stays_itself(bob: Place, number: float | torch.Tensor) -> None:
    tensors = [EYE.send(bob), torch.ones(2).send(bob)]
    before = bob.line.messages
    written = torch._foreach_mul_(tensors, number.send(bob) if isinstance(number, torch.Tensor) else number)
    assert [each is tensor for each, tensor in zip(written, tensors, strict=True)] == [True, True]
    assert bob.line.messages == before  # nothing was waited for
    assert torch.equal(value(tensors[0]), EYE * 2)
