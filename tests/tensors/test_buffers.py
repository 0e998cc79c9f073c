from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedzmq.errors import LimitExceeded, ProtocolError, UsageError
from fedzmq.tensors.buffers import SHARE_FROM, export, export_all, restore, restore_all
from fedzmq.tensors.dtypes import DTYPES, dtype_of, name_of
from fedzmq.wire.messages import TensorSpec

KINDS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "plain": lambda t: t,
    "transposed": lambda t: t.mT if t.dim() > 1 else t,
    "strided": lambda t: t[..., ::2] if t.dim() else t,
    "sliced": lambda t: t[1:] if t.dim() else t,
    "expanded": lambda t: t.expand(3, *t.shape),
    "flat": lambda t: t.reshape(-1),
    "empty": lambda t: t[:0] if t.dim() else t,
    "conjugated": lambda t: t.conj(),
    "negated": lambda t: t.conj().imag if t.is_complex() and t.dtype is not torch.complex32 else t,
    "in a graph": lambda t: t.clone().requires_grad_() if t.dtype in (torch.float32, torch.complex64) else t,
}


def random(dtype: torch.dtype, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    """Any bytes are values of any dtype, but for bool."""
    count = 1
    for extent in shape:
        count *= extent
    top = 2 if dtype is torch.bool else 256
    generator = torch.Generator().manual_seed(seed)
    raw = torch.randint(0, top, (count * dtype.itemsize,), dtype=torch.uint8, generator=generator)
    return raw.view(dtype).reshape(shape)


def bits(tensor: torch.Tensor) -> list[int]:
    plain = tensor.detach().resolve_conj().resolve_neg().contiguous()
    return plain.as_strided((plain.numel(),), (1,)).view(torch.uint8).tolist()


@given(
    st.sampled_from(sorted(DTYPES)),
    st.lists(st.integers(0, 4), max_size=4).map(tuple),
    st.sampled_from(sorted(KINDS)),
    st.integers(0, 1000),
    st.sampled_from([bytes, bytearray, memoryview]),
    st.booleans(),
)
@settings(max_examples=300)
@pytest.mark.filterwarnings("ignore:ComplexHalf support is experimental")
def test_every_dtype_and_kind_of_tensor_comes_back(
    name: str, shape: tuple[int, ...], kind: str, seed: int, form: type, copy: bool
) -> None:
    tensor = KINDS[kind](random(DTYPES[name], shape, seed))
    dtype, extents, view = export(tensor, copy=copy)
    back = restore(TensorSpec(dtype, extents, 0), form(view))
    assert (back.dtype, back.shape) == (tensor.dtype, tensor.shape)
    assert bits(back) == bits(tensor)
    assert not back.requires_grad


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_zeros_that_no_memory_holds_travel_as_zeros(dtype: torch.dtype, copy: bool) -> None:
    x = torch.ones(2, 3, dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(torch.sgn(x.real).sum(), x)
    nothing = torch._efficientzerotensor((2, 3), dtype=dtype)
    for tensor in (gradient, nothing, nothing.mT, nothing.conj()):
        name, shape, view = export(tensor, copy=copy)
        assert (name, shape, bytes(view)) == (
            str(dtype).removeprefix("torch."),
            tuple(tensor.shape),
            bytes(view.nbytes),
        )


def test_a_contiguous_tensor_is_exported_without_a_copy() -> None:
    tensor = torch.zeros(4, dtype=torch.uint8)
    view = export(tensor)[2]
    tensor.fill_(7)
    assert bytes(view) == b"\x07" * 4
    assert view.readonly


@pytest.mark.parametrize("shape", [(4,), (2, 2)])
def test_a_copy_is_not_reached_by_later_writes(shape: tuple[int, ...]) -> None:
    tensor = torch.zeros(shape, dtype=torch.uint8)
    views = export(tensor, copy=True)[2], export(tensor.mT if len(shape) > 1 else tensor, copy=True)[2]
    tensor.fill_(7)
    assert [bytes(view) for view in views] == [bytes(4), bytes(4)]


def test_the_view_keeps_the_memory_alive() -> None:
    view = export(torch.full((1000,), 3, dtype=torch.uint8))[2]
    assert bytes(view) == b"\x03" * 1000


def test_a_large_writable_buffer_becomes_the_tensor() -> None:
    buffer = bytearray(SHARE_FROM)
    tensor = restore(TensorSpec("float32", (SHARE_FROM // 4,), 0), buffer)
    tensor.fill_(1)
    assert any(buffer)


def test_a_small_buffer_is_copied() -> None:
    buffer = bytearray(8)
    restore(TensorSpec("float32", (2,), 0), buffer).fill_(1)
    assert not any(buffer)


def test_a_read_only_buffer_is_copied_and_torch_does_not_warn() -> None:
    buffer = bytes(SHARE_FROM)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        restore(TensorSpec("int16", (SHARE_FROM // 2,), 0), buffer).fill_(1)
    assert not any(buffer)


@pytest.mark.parametrize("offset", [1, 2, 4])
def test_a_misaligned_buffer_is_copied(offset: int) -> None:
    whole = bytearray(SHARE_FROM + 8)
    tensor = restore(TensorSpec("float64", (SHARE_FROM // 8,), 0), memoryview(whole)[offset : offset + SHARE_FROM])
    tensor.fill_(1)
    assert tensor.data_ptr() % 8 == 0
    assert not any(whole)


def test_a_bool_from_the_wire_is_0_or_1() -> None:
    tensor = restore(TensorSpec("bool", (3,), 0), b"\x00\x01\xff")
    assert bits(tensor) == [0, 1, 1]


@pytest.mark.parametrize("length", [0, 7, 9])
def test_a_buffer_of_the_wrong_length_is_a_protocol_error(length: int) -> None:
    with pytest.raises(ProtocolError, match="takes 8 bytes"):
        restore(TensorSpec("float32", (2,), 0), bytes(length))


def test_a_shape_that_is_too_large_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(LimitExceeded):
        restore(TensorSpec("float32", (1 << 40, 1 << 40), 0), b"")
    with pytest.raises(LimitExceeded):
        restore(TensorSpec("float32", (0, 1 << 60), 0), b"")


@pytest.mark.parametrize(
    "tensor",
    [torch.eye(2).to_sparse(), torch.ones(2, device="meta")],
    ids=["sparse", "meta"],
)
def test_a_tensor_without_a_plain_array_is_refused(tensor: torch.Tensor) -> None:
    with pytest.raises(UsageError, match="has no plain array of values"):
        export(tensor)


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_tensor_is_refused() -> None:
    tensor = torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8)
    with pytest.raises(UsageError, match="qint8 cannot travel"):
        export(tensor)


def test_several_tensors_are_numbered_in_order() -> None:
    tensors = [torch.ones(2), torch.zeros(0), torch.tensor(3)]
    specs, buffers = export_all(tensors)
    assert [spec.buffer for spec in specs] == [0, 1, 2]
    assert [bits(back) for back in restore_all(specs, buffers)] == [bits(tensor) for tensor in tensors]


def test_a_buffer_that_is_not_there_is_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="buffer 1, and there are 1"):
        restore_all([TensorSpec("uint8", (1,), 1)], [b"x"])


def test_names_of_dtypes_go_both_ways() -> None:
    assert all(dtype_of(name_of(dtype)) is dtype for dtype in DTYPES.values())


def test_an_unknown_dtype_is_refused_by_name() -> None:
    for name in ("qint8", "Tensor", "__class__"):
        with pytest.raises(ProtocolError, match="is no dtype of the wire"):
            dtype_of(name)
