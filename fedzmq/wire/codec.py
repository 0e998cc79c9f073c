"""Messages to bytes and back. Any byte string gives records or a ProtocolError, and nothing of it is ever run or named.

One codec serves every message: what a field may hold follows from its type hint, and is checked in both directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NoReturn

import msgpack

from fedzmq.errors import LimitExceeded, ProtocolError
from fedzmq.transports.connection import Buffer
from fedzmq.wire import limits
from fedzmq.wire.apply import check_apply, is_plain_apply
from fedzmq.wire.kind import Kind, Mismatch
from fedzmq.wire.kinds import fields_of, record
from fedzmq.wire.messages import TAGS, Message, TensorSpec

# Bound here, because every message is measured by them.
_MAX_BODY, _MAX_RECORDS, _MAX_BUFFERS = limits.MAX_BODY, limits.MAX_RECORDS, limits.MAX_BUFFERS
_BAD_BYTES = (ValueError, TypeError, OverflowError, RecursionError, msgpack.exceptions.UnpackException)


def encode(records: Iterable[Message | Sequence[Any]]) -> bytes:
    """The body of one message. A list or tuple among the records is one operation, and is packed as it is."""
    try:
        rows = [each if type(each) is tuple or type(each) is list else _to_row(each) for each in records]
        if len(rows) > _MAX_RECORDS:
            raise LimitExceeded("the number of records", len(rows), _MAX_RECORDS)
        body: bytes = msgpack.packb(rows)
    except _BAD_BYTES as error:
        raise ProtocolError(f"these records cannot be packed: {type(error).__name__}: {error}") from None
    if len(body) > _MAX_BODY:
        raise LimitExceeded("the bytes of a body", len(body), _MAX_BODY)
    return body


def check_message(message: Message) -> None:
    """Raises ProtocolError for one that `encode` would refuse, for the sake of those that are encoded with it."""
    _to_row(message)


def decode(body: Buffer, buffers: Sequence[Buffer] = ()) -> list[Any]:
    """The records of one message: dataclasses, and a list for each operation.

    The tensors of dataclasses are checked against `buffers`, and no two may share one. Those among the arguments of
    operations are checked by whoever resolves the arguments.
    """
    rows = _unpack(body)
    if len(buffers) > _MAX_BUFFERS:
        raise LimitExceeded("the number of buffers", len(buffers), _MAX_BUFFERS)
    specs: list[TensorSpec] = []
    for index, row in enumerate(rows):
        if type(row) is not list or not row:
            raise ProtocolError("a record is an array that is not empty")
        head = row[0]
        if type(head) is not int:
            raise ProtocolError(f"a record starts with an int, not a {type(head).__name__}")
        if head >= 0:
            if not is_plain_apply(row):
                check_apply(row)
        else:
            rows[index] = message = _from_row(-head, row[1:])
            for name in _TENSORS.get(type(message), ()):
                value = getattr(message, name)
                specs += (value,) if type(value) is TensorSpec else value
    if specs:
        _check_buffers(specs, buffers)
    return rows


def _unpack(body: Buffer) -> list[Any]:
    if len(body) > _MAX_BODY:
        raise LimitExceeded("the bytes of a body", len(body), _MAX_BODY)
    try:
        rows = _UNPACK(body)
    except _BAD_BYTES as error:
        raise ProtocolError(f"the body is not msgpack of the kind expected: {type(error).__name__}: {error}") from None
    if type(rows) is not list:
        raise ProtocolError(f"a body is an array of records, not a {type(rows).__name__}")
    if len(rows) > _MAX_RECORDS:
        raise LimitExceeded("the number of records", len(rows), _MAX_RECORDS)
    return rows


def _refuse_extension(code: int, data: bytes) -> NoReturn:
    raise ValueError(f"an extension type ({code}) is not part of the protocol")


_UNPACK = partial(
    msgpack.unpackb,
    raw=False,
    strict_map_key=True,
    ext_hook=_refuse_extension,
    max_str_len=limits.MAX_TEXT,
    max_bin_len=limits.MAX_PLAN,
    max_array_len=limits.MAX_ARRAY,
    max_map_len=limits.MAX_MAP,
    max_ext_len=0,
)


def _to_row(message: Any) -> list[Any]:
    cls = type(message)
    tag = _NUMBERS.get(cls)
    if tag is None:
        raise ProtocolError(f"{cls.__name__} is no message of the protocol")
    try:
        return [-tag, *_KINDS[tag].encode(message)]
    except Mismatch as error:
        raise ProtocolError(f"{cls.__name__}.{error}") from None


def _from_row(tag: int, row: list[Any]) -> Any:
    kind = _KINDS.get(tag)
    if kind is None:
        raise ProtocolError(f"there is no message number {tag}")
    try:
        return kind.decode(row)
    except Mismatch as error:
        name = TAGS[tag].__name__
        raise ProtocolError(f"{name}.{error}" if error.path else f"{name}{error}") from None


def _check_buffers(specs: Sequence[TensorSpec], buffers: Sequence[Buffer]) -> None:
    taken: set[int] = set()
    for spec in specs:
        buffer = spec.buffer
        if buffer >= len(buffers):
            raise ProtocolError(f"a tensor is in buffer {buffer}, and there are {len(buffers)} buffers")
        if buffer in taken:
            raise ProtocolError(f"two tensors are in buffer {buffer}")
        taken.add(buffer)
        limits.check_tensor(spec.dtype, spec.shape, memoryview(buffers[buffer]).nbytes)


_KINDS: dict[int, Kind] = {tag: record(cls) for tag, cls in TAGS.items()}
_NUMBERS: dict[type, int] = {cls: tag for tag, cls in TAGS.items()}
_TENSORS = {cls: names for cls in TAGS.values() if (names := fields_of(cls, TensorSpec))}
