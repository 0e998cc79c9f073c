from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fedzmq.errors import (
    FedzmqError,
    IntegerTooLarge,
    NeedsValueError,
    OperationRefused,
    PointerError,
    RemoteError,
    UsageError,
)
from fedzmq.pointers.pointer import Pointer
from tests.pointers.loopback import Place

close = torch.testing.assert_close


def test_a_tensor_comes_back_as_it_was_sent(bob: Place) -> None:
    x = torch.arange(6.0).reshape(2, 3).T
    pointer = x.send(bob)
    assert isinstance(pointer, Pointer)
    assert isinstance(pointer, Tensor)
    close(pointer.get(), x)


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.complex64]
)
def test_every_dtype_and_empty_and_0_dim_tensors_travel(bob: Place, dtype: torch.dtype) -> None:
    for shape in [(), (0, 3), (2, 2)]:
        x = torch.ones(shape, dtype=dtype)
        assert torch.equal(x.send(bob).get(), x)


def test_sending_takes_the_values_of_that_moment(bob: Place) -> None:
    for size in (3, 100_000):
        x = torch.zeros(size)
        pointer = x.send(bob)
        x.add_(1)
        assert pointer.get().sum() == 0


def test_what_metadata_tells_costs_no_message(bob: Place) -> None:
    p = torch.zeros(2, 3, dtype=torch.float64).send(bob)
    q = (p + 1).T
    assert (q.shape, q.ndim, q.dtype, q.stride(), q.numel(), len(q)) == ((3, 2), 2, torch.float64, (1, 3), 6, 3)
    assert (q.size(1), q.dim(), q.element_size(), q.nbytes, q.is_contiguous(), q.device.type) == (
        2,
        2,
        8,
        48,
        False,
        "cpu",
    )
    assert q.is_floating_point()
    assert not q.is_complex()
    assert not q.is_cuda
    assert not q.requires_grad
    assert q.is_leaf
    assert bob.line.messages == 0


def test_its_repr_says_what_it_is_and_where(bob: Place) -> None:
    p = nn.Parameter(torch.zeros(2, 3).send(bob))
    assert repr(p) == f"Parameter pointer(2x3 float32 on bob, #{p._ref.id}, requires_grad)"
    assert f"{p}" == repr(p)
    assert p.location is bob


NEED_VALUES: dict[str, Callable[[Tensor], object]] = {
    "bool": bool,
    "int": int,
    "float": float,
    "item": Tensor.item,
    "tolist": Tensor.tolist,
    "numpy": Tensor.numpy,
    "asarray": np.asarray,
    "in": lambda p: 1.0 in p,
    "index": lambda p: [0, 1][p.long()],
    "equal": lambda p: torch.equal(p, p),
    "allclose": lambda p: torch.allclose(p, torch.ones(())),
    "data_ptr": Tensor.data_ptr,
    "untyped_storage": Tensor.untyped_storage,
}


@pytest.mark.parametrize("name", NEED_VALUES)
def test_what_needs_the_value_says_so_and_names_get(bob: Place, name: str) -> None:
    with pytest.raises(NeedsValueError, match=r"worker 'bob': call \.get\(\) first"):
        NEED_VALUES[name](torch.tensor(1.0).send(bob))


def test_comparing_with_none_is_local_and_false(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    assert (p == None) is False  # noqa: E711 - the comparison is what is tested
    assert p != None  # noqa: E711
    assert bob.line.messages == 0


def test_get_spends_the_pointer_and_frees_the_tensor(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    p.get()
    assert bob.stored == 0
    for use in (lambda: p + 1, p.get, lambda: torch.cat([p, p]), lambda: torch.ones(2) + p):
        with pytest.raises(PointerError, match=r"spent by \.get\(\) or \.move\(\) at .*test_pointer\.py:\d+"):
            use()
    assert p.shape == (2,)
    assert "bob" in repr(p)


def test_a_backward_from_a_loss_that_was_fetched_says_where_it_went(bob: Place) -> None:
    x = torch.ones(2, requires_grad=True).send(bob)
    loss = (x * 2).sum()
    loss.get()
    for use in (loss.backward, lambda: torch.autograd.grad(loss, x), lambda: torch.autograd.grad(x.sum(), loss)):
        with pytest.raises(PointerError, match=r"spent by \.get\(\)"):
            use()


def test_a_copy_can_be_fetched_and_leaves_the_tensor(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    q = p.copy()
    assert q.requires_grad
    assert q.is_leaf
    q.get()
    close(p.get().detach(), torch.ones(2))


def test_get_brings_the_gradient_along(bob: Place) -> None:
    p = torch.arange(3.0).requires_grad_().send(bob)
    (p * p).sum().backward()
    x = p.get()
    assert x.requires_grad
    assert x.is_leaf
    close(x.grad, torch.tensor([0.0, 2.0, 4.0]))


def test_a_gradient_is_sent_along(bob: Place) -> None:
    x = torch.ones(2, requires_grad=True)
    x.sum().backward()
    close(x.send(bob).grad.get(), torch.ones(2))


def test_gradients_and_parameters_stay_where_they_are_when_fetched(bob: Place) -> None:
    p = nn.Parameter(torch.ones(2).send(bob))
    p.sum().backward()
    for _ in range(2):
        close(p.grad.get(), torch.ones(2))
        close(p.get().detach(), torch.ones(2))


def test_move_brings_a_tensor_from_one_worker_to_another(bob: Place, alice: Place) -> None:
    p = torch.ones(2).send(bob)
    q = p.move(alice)
    assert (bob.stored, alice.stored, q.location) == (0, 1, alice)
    assert q.move(alice) is q
    close(q.get(), torch.ones(2))


def test_sending_a_pointer_to_its_own_worker_is_itself(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    assert p.send(bob) is p


def test_a_tensor_in_the_middle_of_a_local_graph_is_not_sent_silently(bob: Place) -> None:
    x = torch.ones(2, requires_grad=True)
    with pytest.warns(UserWarning, match=r"its history stays here.*\.detach\(\)") as said:
        there = (x * 2).send(bob)
    assert said[0].filename == __file__
    assert there.requires_grad
    there.sum().backward()
    close(there.grad.get(), torch.ones(2))
    assert x.grad is None


def test_dropping_a_pointer_frees_its_tensor_at_the_next_flush(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    assert bob.stored == 1
    p = p + p
    assert bob.stored == 1
    del p
    messages = bob.line.messages
    assert bob.stored == 0
    assert bob.line.messages == messages + 1


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "kwargs": lambda x, i: torch.add(x, i, alpha=3),
    "int tensor": lambda x, i: i + 1,
    "true division": lambda x, i: i / 2,
    "reversed": lambda x, i: 2 - x,
    "reversed power": lambda x, i: 2**x,
    "promotion": lambda x, i: i * 1.5,
    "complex": lambda x, i: x * 1j,
    "reduction": lambda x, i: x.sum(dim=0, keepdim=True, dtype=torch.float64),
    "where": lambda x, i: torch.where(x > 0, x, 0),
    "masks": lambda x, i: (x > 0) & (i > 1),
    "in place": lambda x, i: -x.abs_().neg(),
    "cat": lambda x, i: torch.cat([x, i], dim=1),
    "stack": lambda x, i: torch.stack((x, x), 1),
    "einsum": lambda x, i: torch.einsum("ij,kj->ik", x, x),
    "gather": lambda x, i: x.gather(1, i),
    "index with a tensor": lambda x, i: x[i[0]],
    "ellipsis and None": lambda x, i: x[..., None, 1:].squeeze(),
    "negative index": lambda x, i: x[-1],
    "stepped slice": lambda x, i: x[::2, 1],
    "transpose": lambda x, i: x.T @ x.mT.T,
    "fft": lambda x, i: torch.fft.fft(x).real,
    "norm": lambda x, i: torch.linalg.vector_norm(x),
    "argmax": lambda x, i: x.argmax(dim=1),
    "one hot": lambda x, i: nn.functional.one_hot(i.clamp(0, 3), 4),
    "scatter": lambda x, i: x.clone().scatter_(1, i, 9.0),
    "to dtype": lambda x, i: x.to(torch.float64),
    "to other": lambda x, i: i.to(x),
    "zeros like": lambda x, i: torch.zeros_like(x, device="cpu"),
    "new ones": lambda x, i: x.new_ones(2, 2, dtype=torch.int64),
    "interpolate": lambda x, i: nn.functional.interpolate(x[None, None], scale_factor=2.0),
    "svd": lambda x, i: torch.linalg.svd(x).S,
    "out": lambda x, i: torch.add(x, x, out=torch.zeros_like(x)),
    "numpy scalars": lambda x, i: x * np.float32(2) + np.int64(1),
    "split": lambda x, i: torch.cat(x.split(2)[::-1]),
    "one chunk": lambda x, i: x.split(9)[0],
    "unbind": lambda x, i: torch.stack(list(x)),
    "pad": lambda x, i: nn.functional.pad(x, (1, 2), value=7.0),
    "layer norm": lambda x, i: nn.functional.layer_norm(x, (4,)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_there_gives_what_it_gives_here(bob: Place, name: str) -> None:
    x = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    i = torch.arange(16).reshape(4, 4) % 4
    operation = OPERATIONS[name]
    p, j = x.send(bob), i.send(bob)
    expected = operation(x.clone(), i)
    for _ in range(2):  # learned, and looked up
        result = operation(p.clone(), j)
        assert (result.shape, result.dtype, result.stride()) == (expected.shape, expected.dtype, expected.stride())
        close(result.get(), expected)


def test_several_outputs_come_in_the_tuple_that_torch_gives(bob: Place) -> None:
    x = torch.randn(4, 6)
    result = torch.max(x.send(bob), 1)
    assert type(result) is torch.return_types.max
    close(result.values.get(), x.max(1).values)
    close(result.indices.get(), x.max(1).indices)


def test_shapes_that_depend_on_values_take_one_round_trip(bob: Place) -> None:
    x = torch.tensor([1.0, -1.0, 2.0], requires_grad=True)
    p = x.send(bob)
    chosen = p[p > 0]
    assert chosen.shape == (2,)
    assert chosen.requires_grad
    assert bob.line._requests == 1
    (chosen * chosen).sum().backward()
    close(p.grad.get(), torch.tensor([2.0, 0.0, 4.0]))
    assert torch.equal(torch.nonzero(p.detach() > 0).get(), torch.tensor([[0], [2]]))
    assert torch.equal(torch.unique(p.detach()).get(), torch.tensor([-1.0, 1.0, 2.0]))


def test_a_shape_error_is_raised_where_it_is_made(bob: Place) -> None:
    with pytest.raises(RuntimeError, match=r"2x3") as caught:
        torch.ones(2, 3).send(bob) @ torch.ones(2, 3).send(bob)
    assert not isinstance(caught.value, FedzmqError)


def test_an_index_out_of_range_is_raised_where_it_is_made(bob: Place) -> None:
    p = torch.ones(3).send(bob)
    with pytest.raises(IndexError):
        p[3]


def test_writing_through_a_view_changes_the_base_there(bob: Place) -> None:
    x = torch.zeros(3, 3)
    p = x.send(bob)
    for t, local in ((x, True), (p, False)):
        t[0].add_(1)
        t[1] = 5.0
        t[2, 1:] = torch.tensor([8.0, 9.0]) if local else torch.tensor([8.0, 9.0]).send(bob)
        t[:, 0] = 4
    close(p.get(), x)


def test_a_deepcopy_is_another_tensor_there(bob: Place) -> None:
    p = nn.Parameter(torch.ones(2).send(bob))
    q = copy.deepcopy(p)
    assert isinstance(q, nn.Parameter)
    assert q.requires_grad
    assert q._ref.id != p._ref.id
    with torch.no_grad():
        q.add_(1)
    close(p.get().detach(), torch.ones(2))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_has_what_the_program_hung_on_it_as_torch_copies_that(bob: Place, copied: Callable[..., Tensor]) -> None:
    for t in (torch.ones(2), torch.ones(2).send(bob)):
        t.notes = ["a"]
        made = copied(t)
        made.notes.append("b")
        assert (made.notes, t.notes) == (["a", "b"], ["a", "b"] if copied is copy.copy else ["a"])


def test_the_version_counts_writes_as_torch_does(bob: Place) -> None:
    versions = []
    for t in (torch.ones(2, 3), torch.ones(2, 3).send(bob)):
        row, copied, detached = t[0], t.clone(), t.detach()
        row.add_(1)
        torch.relu_(detached)
        t.data.mul_(2)
        versions.append([each._version for each in (t, row, copied, detached)])
    assert versions == [[2, 2, 0, 2]] * 2


def test_a_pointer_is_not_pickled(bob: Place) -> None:
    with pytest.raises(PointerError, match="pickled"):
        pickle.dumps(torch.ones(2).send(bob))


@pytest.mark.filterwarnings("ignore:To copy construct")
def test_what_goes_past_every_hook_finds_no_memory(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    for escape in (lambda: torch.utils.dlpack.to_dlpack(p), lambda: torch.tensor(p), lambda: np.array(p)):
        with pytest.raises((BufferError, FedzmqError)):
            escape()


def test_code_of_the_users_and_unknown_functions_are_refused(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    for use in (lambda: p.cos().apply_(abs), lambda: p.as_strided((1,), (1,)), lambda: torch.vmap(torch.sin)(p)):
        with pytest.raises(OperationRefused):
            use()


def test_an_integer_that_does_not_fit_is_refused_at_once(bob: Place) -> None:
    p = torch.ones(2).send(bob)
    for call in (lambda: p * 2**70, lambda: p.fill_(2**63), lambda: p[2**64], lambda: p.__setitem__(0, -(2**64))):
        with pytest.raises(IntegerTooLarge, match="64 bits"):
            call()
    assert issubclass(IntegerTooLarge, OverflowError)
    close((p + 1).get(), torch.full((2,), 2.0))


def test_a_failure_names_operation_worker_and_the_line_that_issued_it(bob: Place) -> None:
    p = torch.zeros(4).send(bob)
    index = torch.tensor([9]).send(bob)
    wrong = p[index]  # here
    later = wrong * 2 + 1
    with pytest.raises(RemoteError) as caught:
        later.get()
    error = caught.value
    assert (error.worker, error.operation, error.error) == ("bob", "Tensor.__getitem__", "IndexError")
    file, line = error.origin.rsplit(":", 1)
    with open(file) as source:
        assert source.read().splitlines()[int(line) - 1].endswith("# here")
    assert "float32[4]" in error.shapes
    assert "out of bounds" in error.reason


def test_a_failure_that_a_get_raised_is_not_raised_again_by_sync(bob: Place) -> None:
    p = torch.zeros(4).send(bob)
    wrong = p[torch.tensor([9]).send(bob)]
    with pytest.raises(RemoteError):
        wrong.get()
    bob.stream.sync()


def test_sync_raises_what_nobody_fetched(bob: Place) -> None:
    p = torch.zeros(4).send(bob)
    p[torch.tensor([9]).send(bob)]
    p[torch.tensor([8]).send(bob)]
    with pytest.raises(RemoteError, match="1 more command failed"):
        bob.stream.sync()
    bob.stream.sync()


def test_random_operations_leave_the_random_numbers_here_alone(bob: Place) -> None:
    before = torch.get_rng_state()
    p = torch.ones(64).send(bob)
    dropped = nn.functional.dropout(p, 0.5)
    assert 0 < dropped.get().count_nonzero() < 64
    torch.rand_like(p).get()
    p.uniform_(0, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_modes_of_a_worker_in_this_process_do_not_leak(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    with torch.no_grad():
        q = p * 2
    q.get()
    assert torch.is_grad_enabled()
    assert (p * 2).requires_grad
    bob.stream.sync()
    with torch.no_grad():
        bob.stream.sync()
        assert not torch.is_grad_enabled()


def test_the_default_dtype_reaches_the_worker(bob: Place) -> None:
    p = torch.ones(2, dtype=torch.int64).send(bob)
    torch.set_default_dtype(torch.float64)
    try:
        half = p / 2
    finally:
        torch.set_default_dtype(torch.float32)
    assert (half.dtype, half.get().dtype, (p / 2).get().dtype) == (torch.float64, torch.float64, torch.float32)


def test_inference_mode_works(bob: Place) -> None:
    p = torch.ones(2, requires_grad=True).send(bob)
    with torch.inference_mode():
        q = p * 3
    assert not q.requires_grad
    close(q.get(), torch.full((2,), 3.0))


def test_initialisers_run_there(bob: Place) -> None:
    p = nn.Parameter(torch.ones(4, 4).send(bob))
    nn.init.kaiming_uniform_(p)
    nn.init.normal_(p)
    nn.init.zeros_(p)
    assert p.get().abs().sum() == 0


def test_a_number_is_not_formatted_without_its_value(bob: Place) -> None:
    loss = torch.ones(()).send(bob)
    with pytest.raises(NeedsValueError, match=r"the format '\.3f' needs the value"):
        f"{loss:.3f}"
    assert f"{loss:>40}".strip() == repr(loss)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_what_is_no_array_of_values_is_not_sent(bob: Place) -> None:
    odd = (torch.nested.nested_tensor([torch.ones(2)]), torch.ones(2).to_sparse(), torch.ones(2, device="meta"))
    for each, kind in zip(odd, ("nested", "sparse_coo", "meta"), strict=True):
        with pytest.raises(UsageError, match=f"a {kind} tensor has no plain array"):
            each.send(bob)
