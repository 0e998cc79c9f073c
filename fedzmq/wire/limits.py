"""How large anything on the wire may be. A limit is checked on numbers, before anything of that size is allocated."""

from __future__ import annotations

from collections.abc import Sequence

from fedzmq.errors import LimitExceeded, ProtocolError

MAX_BODY = 4 * 1024 * 1024  # bytes; the objects that a body unpacks to take up to 70 times as many
MAX_RECORDS = 4096  # in one message
MAX_BUFFERS = 65_536  # in one message: a model's tensors travel together
MAX_ARRAY = 65_536  # elements
MAX_MAP = 256  # keys
MAX_TEXT = 4096  # bytes of a str
MAX_PLAN = 2 * 1024 * 1024  # bytes of a plan, which travels inside the body
MAX_ARGUMENTS = 64
MAX_ARGUMENT_DEPTH = 8  # of values inside values; a message nests no deeper than its fields
MAX_ARGUMENT_TEXT = 256  # characters
MAX_OUTPUTS = 65_536  # of one operation
MAX_RANK = 64  # as many as torch's kernels take
MAX_TENSOR = 1 << 40  # bytes
MAX_INT = (1 << 63) - 1
MIN_INT = -(1 << 63)

ITEM_SIZES = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "uint16": 2,
    "int16": 2,
    "uint32": 4,
    "int32": 4,
    "uint64": 8,
    "int64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex32": 4,
    "complex64": 8,
    "complex128": 16,
    "float8_e4m3fn": 1,
    "float8_e4m3fnuz": 1,
    "float8_e5m2": 1,
    "float8_e5m2fnuz": 1,
    "float8_e8m0fnu": 1,
}


def check_size(what: str, value: int, limit: int) -> None:
    """Raises LimitExceeded, which names what was too large."""
    if value > limit:
        raise LimitExceeded(what, value, limit)


def check_shape(dtype: str, shape: Sequence[int]) -> int:
    """The bytes of such a tensor; a shape whose strides alone would overflow is refused, empty or not."""
    size = ITEM_SIZES.get(dtype)
    if size is None:
        raise ProtocolError(f"{dtype!r} is no dtype of the wire (known: {', '.join(sorted(ITEM_SIZES))})")
    if len(shape) > MAX_RANK:
        raise LimitExceeded("the rank of a tensor", len(shape), MAX_RANK)
    for extent in shape:
        if type(extent) is not int or extent < 0:
            raise ProtocolError(f"a shape holds {extent!r:.60}: an int of 0 or more is expected")
        size *= extent or 1
    if size > MAX_TENSOR:
        raise LimitExceeded("the bytes of a tensor", size, MAX_TENSOR)
    return 0 if 0 in shape else size


def check_tensor(dtype: str, shape: Sequence[int], length: int) -> None:
    """Raises unless a tensor of this dtype and shape takes exactly `length` bytes."""
    wanted = check_shape(dtype, shape)
    if wanted != length:
        raise ProtocolError(
            f"a {dtype} tensor of shape {list(shape)} takes {wanted} bytes, and its buffer has {length}"
        )
