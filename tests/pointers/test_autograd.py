from __future__ import annotations

import copy
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fedzmq.errors import RemoteError, TensorsNotCollocatedException
from tests.pointers.loopback import Place

close = torch.testing.assert_close


def leaf(place: Place, *values: float) -> Tensor:
    return torch.tensor(values or (1.0, 2.0, 3.0), requires_grad=True).send(place)


def test_gradients_add_up_over_backwards(bob: Place) -> None:
    p = leaf(bob)
    for _ in range(2):
        (p * p).sum().backward()
    close(p.grad.get(), torch.tensor([4.0, 8.0, 12.0]))


def test_a_backward_does_not_read_data_of_another_shape_than_its_forward_did(bob: Place) -> None:
    x = torch.ones(2, 4000, 3, requires_grad=True).send(bob)
    weight = torch.ones(4000, requires_grad=True).send(bob)
    loss = nn.functional.batch_norm(x, None, None, weight, None, True).sum()
    weight.data = torch.ones(1).send(bob)
    loss.backward()
    with pytest.raises(RemoteError, match="modified by an inplace operation"):
        x.grad.get()


@pytest.mark.parametrize("way", ["data", "data, then written", "parts"])
def test_a_backward_does_not_read_indices_that_its_forward_did_not_see(bob: Place, way: str) -> None:
    x = torch.zeros(5, 2, 4).log_softmax(2).requires_grad_().send(bob)
    targets, other = torch.tensor([[1, 2], [3, 1]]).send(bob), torch.tensor([[1, 1], [1, 1]]).send(bob)
    if way == "data, then written":
        targets.data = other
    loss = nn.functional.ctc_loss(x, targets, (5, 5), (2, 2))
    if way == "data":
        targets.data = other
    elif way == "parts":
        targets.unsafe_split(1)[0].fill_(3)
    else:
        other.fill_(3)
    loss.backward()
    if way == "data":
        with pytest.raises(RemoteError, match="modified by an inplace operation"):
            x.grad.get()
    else:
        wanted = [[1, 1], [1, 1]] if way == "data, then written" else [[1, 2], [3, 1]]
        local = torch.zeros(5, 2, 4).log_softmax(2).requires_grad_()
        nn.functional.ctc_loss(local, torch.tensor(wanted), (5, 5), (2, 2)).backward()
        close(x.grad.get(), local.grad)


def test_what_a_loss_does_not_touch_has_no_gradient(bob: Place) -> None:
    a, b = leaf(bob), leaf(bob)
    (a * b.detach()).sum().backward()
    assert a.grad is not None
    assert b.grad is None


def test_an_operand_without_a_derivative_gets_no_gradient(bob: Place) -> None:
    # The only path from b goes through a comparison.
    a, b = leaf(bob), leaf(bob)
    torch.where(b > 1, a, 0.0).sum().backward()
    assert b.grad is None
    close(a.grad.get(), torch.tensor([0.0, 1.0, 1.0]))


REQUIRING: dict[str, Callable[[Tensor], Tensor]] = {
    "product": lambda t: t * 2,
    "detached": lambda t: t.detach() * 2,
    "comparison": lambda t: t > 0,
    "argmax": lambda t: t.argmax(),
    "zeros_like": torch.zeros_like,
    "rounded": lambda t: t.round(),
    "detached later": lambda t: (t * 2).detach().exp(),
    "indices of max": lambda t: t.max(0)[1],
    "into a constant": lambda t: torch.zeros(3).to(t.device).add(t),
    "view": lambda t: t[1:],
}


@pytest.mark.parametrize("name", REQUIRING)
def test_whether_a_result_requires_grad_is_as_here(bob: Place, name: str) -> None:
    local = torch.ones(3, requires_grad=True)
    function = REQUIRING[name]
    assert function(leaf(bob)).requires_grad == function(local).requires_grad
    with torch.no_grad():
        assert function(leaf(bob)).requires_grad == function(local).requires_grad


def test_writing_to_a_leaf_is_an_error_here(bob: Place) -> None:
    with pytest.raises(RuntimeError, match="leaf Variable"):
        leaf(bob).add_(1)


REFUSED_WRITES: dict[str, Callable[[Tensor], object]] = {
    "a row of a leaf": lambda p: p[0].zero_(),
    "a view of a view of a leaf": lambda p: p.view(4)[1:].__setitem__(0, 1.0),
    "one of several": lambda p: (p * 1).split(1)[0].mul_(2),
    "a part of one of several": lambda p: (p * 1).unbind()[0][0].mul_(2),
    "a view loses its history": lambda p: (p * 1)[0].detach_(),
    "an activation in place": lambda p: torch.nn.functional.relu(p.view(-1), inplace=True),
    "gradients of no inputs": lambda p: p.sum().backward(inputs=[]),
    "its own gradient": lambda p: setattr(p, "grad", p),
}


@pytest.mark.parametrize("name", REFUSED_WRITES)
def test_a_write_that_torch_refuses_is_refused_at_the_line_that_does_it(bob: Place, name: str) -> None:
    p = torch.ones(2, 2, requires_grad=True)
    for each in (p, p.send(bob)):
        with pytest.raises(RuntimeError) as caught:
            REFUSED_WRITES[name](each)
        assert type(caught.value) is RuntimeError  # and not what a worker says, where nobody may ever ask for it


def test_views_are_written_to_where_no_gradient_is_taken(bob: Place) -> None:
    p = torch.ones(2, 2, requires_grad=True).send(bob)
    with torch.no_grad():
        p[0].zero_()
        (p * 1).unbind()[0].zero_()
    q = p.detach()
    q.unbind()[1].mul_(3)
    (p * 1).tensor_split(2)[0].add_(1)  # which are views from a step each
    close(p.get(), torch.tensor([[0.0, 0.0], [3.0, 3.0]], requires_grad=True))


def test_a_gradient_that_no_backward_gives_is_warned_of(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    q = p * 2
    with pytest.warns(UserWarning, match="retain_grad") as warned:
        assert q.grad is None
    assert warned[0].filename == __file__
    q.retain_grad()
    assert (q.grad, p.grad, q.detach().grad) == (None, None, None)


def test_a_loop_is_warned_once(bob: Place) -> None:
    q = torch.ones(2, requires_grad=True).send(bob) * 2
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        for _ in range(3):
            assert q.grad is None
    assert len(warned) == 1


def test_parts_of_complex_numbers_are_written_to(bob: Place) -> None:
    p = torch.ones(2, dtype=torch.complex64).send(bob)
    p.real = torch.tensor([5.0, 6.0])
    p.imag = p.real * 2
    close(p.get(), torch.tensor([5 + 10j, 6 + 12j]))


def test_writing_to_a_tensor_gives_it_a_history(bob: Place) -> None:
    p, total = leaf(bob), torch.zeros(3).send(bob)
    total += p
    total.mul_(2)
    assert total.requires_grad
    assert not total.is_leaf
    total.sum().backward()
    close(p.grad.get(), torch.full((3,), 2.0))


def test_the_same_operand_twice_is_not_mistaken_for_two(bob: Place) -> None:
    p, q = leaf(bob), leaf(bob)
    a, b = p * 1, q * 1
    a.add_(a)
    b.add_(a.detach())
    b.sum().backward()
    assert p.grad is None
    a.sum().backward()
    close(p.grad.get(), torch.full((3,), 2.0))
    close(q.grad.get(), torch.ones(3))


def test_writing_to_a_view_with_a_gradient_is_in_the_history_of_its_base(bob: Place) -> None:
    p, base = leaf(bob, 2.0), torch.zeros(3).send(bob)
    row, other = base[1:], base[2]
    row.add_(p)
    assert base.requires_grad
    assert other.requires_grad
    base.sum().backward()
    close(p.grad.get(), torch.tensor([2.0]))


def test_a_graph_can_be_kept_for_a_second_backward(bob: Place) -> None:
    p = leaf(bob)
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    close(p.grad.get(), torch.tensor([4.0, 8.0, 12.0]))


def test_a_second_backward_through_a_freed_graph_fails_and_says_where(bob: Place) -> None:
    p = leaf(bob)
    loss = (p * p).sum()
    loss.backward()
    loss.backward()
    with pytest.raises(RemoteError, match="second time") as caught:
        p.grad.get()
    assert "test_autograd.py" in caught.value.origin


def test_backward_from_several_roots_sums(bob: Place) -> None:
    p = leaf(bob)
    square = p * p
    torch.autograd.backward([square.sum(), square.mean()])
    close(p.grad.get(), torch.tensor([2.0, 4.0, 6.0]) * (1 + 1 / 3))


def test_norms_that_count_give_no_gradient(bob: Place) -> None:
    p, q = leaf(bob), leaf(bob)
    torch.autograd.backward([*torch._foreach_norm([p, q], 0), (q * 2).sum()])
    assert p.grad is None
    close(q.grad.get(), torch.full((3,), 2.0))


def test_backward_takes_a_gradient_and_inputs(bob: Place) -> None:
    p, q = leaf(bob), leaf(bob)
    (p * q).backward(torch.tensor([1.0, 0.0, 2.0]).send(bob), inputs=[p])
    assert q.grad is None
    close(p.grad.get(), torch.tensor([1.0, 0.0, 6.0]))


def test_backward_without_a_gradient_needs_one_element_and_a_graph(bob: Place) -> None:
    with pytest.raises(RuntimeError, match="scalar outputs"):
        (leaf(bob) * 2).backward()
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.ones(()).send(bob).backward()


def test_the_gradient_of_a_gradient(bob: Place) -> None:
    x, p = torch.tensor([1.0, 2.0, 3.0], requires_grad=True), leaf(bob)
    for t in (x, p):
        (first,) = torch.autograd.grad((t**3).sum(), t, create_graph=True)
        first.pow(2).sum().backward()
    close(p.grad.get(), x.grad)


def test_a_gradient_that_is_asked_about_lies_as_it_does_here(bob: Place) -> None:
    def strides(x: Tensor, direction: Tensor) -> list[tuple[int, ...]]:
        (first,) = torch.autograd.grad(x.expand(5, 3, 2), x, direction, create_graph=True)
        (second,) = torch.autograd.grad(first, direction, torch.ones_like(first))
        return [first.stride(), second.stride()]

    given = [torch.ones(5, 1, 1, requires_grad=True), torch.ones(5, 3, 2, requires_grad=True)]
    assert strides(*[each.detach().requires_grad_().send(bob) for each in given]) == strides(*given)


@pytest.mark.filterwarnings("ignore:Using backward")
def test_create_graph_in_backward_makes_gradients_with_a_history(bob: Place) -> None:
    p = leaf(bob)
    (p**3).sum().backward(create_graph=True)
    assert p.grad.requires_grad
    p.grad.sum().backward()
    close(p.grad.get().detach(), torch.tensor([3.0, 12.0, 27.0]) + torch.tensor([6.0, 12.0, 18.0]))


def test_grad_says_which_inputs_are_unused(bob: Place) -> None:
    p, q = leaf(bob), leaf(bob)
    with pytest.raises(RuntimeError, match="allow_unused"):
        torch.autograd.grad(p.sum(), [p, q])
    first, second = torch.autograd.grad(p.sum(), [p, q], allow_unused=True)
    close(first.get(), torch.ones(3))
    assert second is None
    _, zeros = torch.autograd.grad(p.sum(), [p, q], materialize_grads=True)
    close(zeros.get(), torch.zeros(3))


def test_gradients_can_be_set_and_deleted(bob: Place) -> None:
    p = leaf(bob)
    p.grad = torch.ones(3).send(bob)
    with torch.no_grad():
        p.add_(p.grad)
    close(p.get().detach(), torch.tensor([2.0, 3.0, 4.0]))
    q = leaf(bob)
    q.sum().backward()
    del q.grad
    assert q.grad is None
    with pytest.raises(RuntimeError, match="assigned grad"):
        q.grad = torch.ones(4).send(bob)
    with pytest.raises(RuntimeError, match="assigned grad"):
        q.grad = torch.ones(4)


def test_requires_grad_can_be_switched_on_and_off(bob: Place) -> None:
    p = torch.ones(3).send(bob).requires_grad_()
    p.sum().backward()
    p.requires_grad = False
    assert not (p * 2).requires_grad
    assert p.grad is not None
    with pytest.raises(RuntimeError, match="floating point"):
        torch.ones(3, dtype=torch.int64).send(bob).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf variables"):
        (leaf(bob) * 2).requires_grad_(False)


def test_a_leaf_whose_pointer_is_gone_still_takes_part(bob: Place) -> None:
    p = leaf(bob)
    q = leaf(bob)
    loss = (p * q).sum()
    del q
    bob.stream.flush()
    loss.backward()
    close(p.grad.get(), torch.tensor([1.0, 2.0, 3.0]))
    del p, loss
    assert bob.stored == 0


def test_a_write_through_data_is_unknown_to_the_history(bob: Place) -> None:
    gradients = []
    for p in (torch.ones(2), torch.ones(2).send(bob)):
        p.requires_grad_()
        loss = (p * p).sum()
        p[:1].data.mul_(3)
        loss.backward()
        gradients.append(p.grad.get().tolist())
    assert gradients == [[6.0, 2.0]] * 2


def test_gradcheck_checks_gradients_over_there(bob: Place) -> None:
    p = torch.tensor([1.0, 2.0], dtype=torch.float64).send(bob).requires_grad_()
    assert torch.autograd.gradcheck(lambda t: t**3, p, check_undefined_grad=False)
    p.register_hook(lambda gradient: gradient * 2)
    assert not torch.autograd.gradcheck(lambda t: t**3, p, check_undefined_grad=False, raise_exception=False)


def test_data_can_be_assigned_and_shares_no_history(bob: Place) -> None:
    p = nn.Parameter(torch.zeros(3).send(bob))
    p.data.add_(1)
    close(p.get().detach(), torch.ones(3))
    p.data = torch.full((4,), 7.0).send(bob)
    assert p.shape == (4,)
    assert p.requires_grad
    assert p.is_leaf
    p.sum().backward()
    close(p.grad.get(), torch.ones(4))
    with torch.no_grad():
        p.set_(torch.zeros(4).send(bob))
    assert p.get().sum() == 0


def test_checkpointing_recomputes_there(bob: Place) -> None:
    p = leaf(bob)
    checkpoint(lambda t: t * 2, p, use_reentrant=False).sum().backward()
    close(p.grad.get(), torch.full((3,), 2.0))


@pytest.mark.parametrize("compute", [torch.exp, torch.clone, torch.ceil, lambda x: x * 3, lambda x: x * x])
def test_a_gradient_tells_what_its_own_graph_reaches(bob: Place, compute: Callable[[Tensor], Tensor]) -> None:
    def twice(x: Tensor, direction: Tensor) -> tuple[bool, list[bool]]:
        (first,) = torch.autograd.grad(compute(x), x, direction, create_graph=True)
        if not first.requires_grad:
            return False, []
        second = torch.autograd.grad(first, [x, direction], torch.ones_like(first), allow_unused=True)
        return True, [each is None for each in second]

    here = [torch.ones(3).requires_grad_(), torch.ones(3).requires_grad_()]
    assert twice(*[each.detach().send(bob).requires_grad_() for each in here]) == twice(*here)


@pytest.mark.filterwarnings("ignore:Using backward")  # said once in a process, whichever test comes first
def test_a_second_backward_leaves_alone_what_a_first_gradient_does_not_depend_on(bob: Place) -> None:
    def run(x: Tensor, y: Tensor) -> list[Tensor | None]:
        (x * x * x + y).sum().backward(create_graph=True)
        assert x.grad is not None
        assert y.grad is not None
        assert x.grad.requires_grad
        assert not y.grad.requires_grad
        first, x.grad, y.grad = x.grad, None, None
        first.sum().backward()
        return [x.grad, y.grad]

    here = run(torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True))
    there = run(*[torch.ones(2).send(bob).requires_grad_() for _ in range(2)])
    assert here[1] is None
    assert there[1] is None
    assert here[0] is not None
    assert there[0] is not None
    close(there[0].get(), here[0])


def test_an_input_that_a_gradient_does_not_depend_on_is_said_to_be_unused(bob: Place) -> None:
    x = torch.ones(2).send(bob).requires_grad_()
    y = torch.ones(2).send(bob).requires_grad_()
    (first,) = torch.autograd.grad((x * x + y).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(first.sum(), y)


def test_a_gradient_of_this_process_is_shipped_to_the_backward(bob: Place) -> None:
    x = torch.ones(3).send(bob).requires_grad_()
    (x * 2).backward(torch.tensor([1.0, 0.0, 2.0]))
    assert x.grad.copy().get().tolist() == [2.0, 0.0, 4.0]
    x.grad = torch.ones(3)
    x.sum().backward()
    assert x.grad.copy().get().tolist() == [2.0, 2.0, 2.0]
    strict = Place("alice", strict=True)
    y = torch.ones(3).send(strict).requires_grad_()
    with pytest.raises(TensorsNotCollocatedException, match="strict"):
        (y * 2).backward(torch.ones(3))
    with pytest.raises(TensorsNotCollocatedException, match="strict"):
        y.grad = torch.ones(3)


def test_rows_of_gradients_are_taken_one_by_one(bob: Place) -> None:
    x = torch.tensor([1.0, 2.0, 3.0])
    rows = torch.eye(3)
    found = []
    for send in (lambda t: t, lambda t: t.send(bob)):
        leaf = send(x).requires_grad_()
        found += torch.autograd.grad(leaf * leaf, leaf, send(rows), is_grads_batched=True)
    assert torch.equal(found[0], found[1].get())


def test_a_shallow_copy_of_what_was_computed_is_a_leaf(bob: Place) -> None:
    for x in (torch.ones(3), torch.ones(3).send(bob)):
        made = copy.copy(x.requires_grad_() * 2)
        assert (made.requires_grad, made.is_leaf) == (True, True)


@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy])
def test_a_copied_leaf_is_a_leaf(bob: Place, copied: Callable[[Tensor], Tensor]) -> None:
    x = torch.ones(3).send(bob).requires_grad_()
    (x * 2).sum().backward()
    made = copied(x)
    (made * 3).sum().backward()
    wanted = [5.0] * 3 if copied is copy.deepcopy else [3.0] * 3
    assert made.grad.copy().get().tolist() == wanted
    assert x.grad.copy().get().tolist() == [2.0] * 3
