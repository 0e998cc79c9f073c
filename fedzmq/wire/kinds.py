"""How a field's type hint becomes its two checks, one for each direction: once per class, never per message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from fedzmq.wire.bounds import Checked
from fedzmq.wire.kind import Convert, Kind, Mismatch
from fedzmq.wire.plain_kinds import binary, boolean, integer, mapping, nothing, real, sequence, text


def fields_of(cls: type, wanted: type) -> tuple[str, ...]:
    """The fields of a dataclass that hold `wanted`, or a tuple of it."""
    return tuple(name for name, hint in get_type_hints(cls).items() if hint is wanted or wanted in get_args(hint))


def record(cls: type) -> Kind:
    """The kind of a dataclass: the list of its fields in order."""
    hints = get_type_hints(cls, include_extras=True)
    names = [field.name for field in fields(cls)]
    values_of = _values_of(names)
    count = len(names)
    kinds = [kind(hints[name]) for name in names]
    encode_each = _each(names, [each.encode for each in kinds])
    decode_each = _each(names, [each.decode for each in kinds])

    def encode(value: Any) -> list[Any]:
        if type(value) is not cls:
            raise Mismatch(value, f"a {cls.__name__}")
        return encode_each(values_of(value))

    def decode(value: Any) -> Any:
        if type(value) is not list or len(value) != count:
            raise Mismatch(value, f"an array of the {count} fields of {cls.__name__}")
        return cls(*decode_each(value))

    return Kind(encode, decode)


def kind(hint: Any) -> Kind:
    """The kind of any hint that a message may use; a hint that it cannot compile is a TypeError at import."""
    notes: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        notes = tuple(rest)
    for note in notes:
        if isinstance(note, Checked):
            return Kind(note.convert, note.convert)
    origin = get_origin(hint)
    if hint in _PLAIN:
        return _PLAIN[hint](*notes)
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return record(hint)
    if origin is tuple and get_args(hint)[1:] == (Ellipsis,):
        return sequence(kind(get_args(hint)[0]), *notes)
    if origin is dict and get_args(hint)[0] is str:
        return mapping(kind(get_args(hint)[1]), *notes)
    if origin is Union or origin is UnionType:
        return _either(get_args(hint))
    raise TypeError(f"a message cannot have a field of type {hint!r}")


def _values_of(names: list[str]) -> Convert:
    """From an object to its attributes of these names, as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


def _each(names: list[str], converts: list[Convert]) -> Callable[[Sequence[Any]], list[Any]]:
    """From the values of all fields to what becomes of them. Most records have two or three: those need no loop."""

    def two(values: Sequence[Any]) -> list[Any]:
        first, second = values
        try:
            return [convert_first(first), convert_second(second)]
        except Mismatch as error:
            error.path.insert(0, _culprit(names, converts, values))
            raise

    def three(values: Sequence[Any]) -> list[Any]:
        first, second, third = values
        try:
            return [convert_first(first), convert_second(second), convert_third(third)]
        except Mismatch as error:
            error.path.insert(0, _culprit(names, converts, values))
            raise

    def any_number(values: Sequence[Any]) -> list[Any]:
        try:
            return [convert(value) for convert, value in zip(converts, values)]  # noqa: B905 - lengths were compared
        except Mismatch as error:
            error.path.insert(0, _culprit(names, converts, values))
            raise

    if len(converts) == 2:
        convert_first, convert_second = converts
        return two
    if len(converts) == 3:
        convert_first, convert_second, convert_third = converts
        return three
    return any_number


def _culprit(names: list[str], converts: list[Convert], values: Sequence[Any]) -> str:
    """The first field whose value does not fit. Looked for once that is known, so that all others pass quickly."""
    for name, convert, value in zip(names, converts, values):  # noqa: B905 - lengths were compared
        try:
            convert(value)
        except Mismatch:
            return name
    raise AssertionError("all fields fit")


def _either(hints: tuple[Any, ...]) -> Kind:
    """A union of plain types, told apart by the exact type of the value."""
    kinds: dict[type, Kind] = {}
    for hint in hints:
        base = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        kinds[base] = kind(hint)
    expected = " or ".join(sorted("None" if base is NoneType else base.__name__ for base in kinds))

    def encode(value: Any) -> Any:
        chosen = kinds.get(type(value))
        if chosen is None:
            raise Mismatch(value, expected)
        return chosen.encode(value)

    def decode(value: Any) -> Any:
        chosen = kinds.get(type(value))
        if chosen is None:
            raise Mismatch(value, expected)
        return chosen.decode(value)

    return Kind(encode, decode)


_PLAIN: dict[Any, Callable[..., Kind]] = {
    bool: boolean,
    int: integer,
    float: real,
    str: text,
    bytes: binary,
    NoneType: nothing,
}
