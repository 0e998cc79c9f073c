"""Random good messages, made from the same hints that the codec is made from."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from fedzmq.wire.bounds import AtMost, Between, Checked, Finite
from fedzmq.wire.limits import MAX_INT, MIN_INT
from fedzmq.wire.messages import TAGS, TensorSpec

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(MIN_INT, MAX_INT) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ptdsemvlcxb"), inner, max_size=1),
    max_leaves=6,
)


@st.composite
def operations(draw: st.DrawFn) -> list[Any]:
    """Records that apply an operation."""
    arguments = draw(st.lists(ARGUMENTS, max_size=5))
    result = draw(st.integers(0, MAX_INT) | st.lists(st.integers(0, MAX_INT), max_size=4))
    record = [draw(st.integers(0, 5000)), result, draw(st.integers(0, (1 << len(arguments)) - 1)), arguments]
    return [*record, draw(st.dictionaries(TEXT, ARGUMENTS, max_size=2))] if draw(st.booleans()) else record


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Values that a field of this hint takes."""
    notes: dict[type, Any] = {}
    if get_origin(hint) is Annotated:
        hint, *rest = get_args(hint)
        notes = {type(note): note for note in rest}
    if Checked in notes:
        return operations()
    if hint is int:
        between = notes.get(Between, Between(MIN_INT, MAX_INT))
        return st.integers(between.low, between.high)
    if hint is float:
        finite = Finite in notes
        return st.floats(allow_nan=not finite, allow_infinity=not finite)
    if hint is bytes:
        return st.binary(max_size=40)
    if hint in (bool, str, NoneType):
        return {bool: st.booleans(), str: TEXT, NoneType: st.none()}[hint]
    if is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        return st.builds(hint, **{field.name: of(hints[field.name]) for field in fields(hint)})
    if get_origin(hint) is tuple:
        most = min(4, notes.get(AtMost, AtMost(4)).length)
        return st.lists(of(get_args(hint)[0]), max_size=most).map(tuple)
    if get_origin(hint) is dict:
        return st.dictionaries(TEXT, of(get_args(hint)[1]), max_size=3)
    assert get_origin(hint) in (Union, UnionType), hint
    return st.one_of([of(each) for each in get_args(hint)])


def without_tensors(message: Any) -> bool:
    """Tensors need buffers that fit; they have tests of their own."""
    return not any(
        isinstance(value, TensorSpec) or (isinstance(value, tuple) and any(isinstance(v, TensorSpec) for v in value))
        for value in (getattr(message, field.name) for field in fields(message))
    )


MESSAGES = st.sampled_from(list(TAGS.values())).flatmap(of)
PLAIN_MESSAGES = MESSAGES.filter(without_tensors)
