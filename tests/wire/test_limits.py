from __future__ import annotations

import pytest
import torch

from fedzmq.errors import LimitExceeded, ProtocolError
from fedzmq.tensors.dtypes import DTYPES
from fedzmq.wire.limits import ITEM_SIZES, MAX_TENSOR, check_shape, check_tensor


def test_the_sizes_of_elements_are_those_of_torch() -> None:
    assert {name: dtype.itemsize for name, dtype in DTYPES.items()}.items() <= ITEM_SIZES.items()


def test_the_size_of_a_shape_is_computed_without_overflow() -> None:
    with pytest.raises(LimitExceeded) as error:
        check_shape("float64", (1 << 62, 1 << 62))
    assert error.value.value == 8 << 124
    assert error.value.limit == MAX_TENSOR


def test_an_empty_shape_may_not_hide_large_extents() -> None:
    with pytest.raises(LimitExceeded):
        check_shape("uint8", (0, 1 << 62))
    assert check_shape("uint8", (0, 1 << 20)) == 0


@pytest.mark.parametrize("shape", [(-1,), (True,), (1.0,), ("1",), (None,)])
def test_an_extent_is_an_int_of_0_or_more(shape: tuple[int, ...]) -> None:
    with pytest.raises(ProtocolError):
        check_shape("uint8", shape)


def test_an_unknown_dtype_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ProtocolError, match=r"'qint8' is no dtype of the wire .*float32"):
        check_tensor("qint8", (1,), 1)


def test_0_dim_tensors_have_one_element() -> None:
    assert check_shape("complex128", ()) == torch.complex128.itemsize
