"""Which arrays of a file are the features and which the target, by what they are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fedzmq.data.forms import FEATURES, TARGETS, Form
from fedzmq.errors import DataError
from fedzmq.suggestion import nearest

CLASSES = "classes"  # what a file calls the number of its classes, where it says it
TARGET_COLUMNS = ("target", "label", "y")
FEATURE_KEYS = ("x", "X", "features")
TARGET_KEYS = ("y", "Y", "targets", "labels", "target", "label")

_INDEX = "Unnamed: 0"
_NUMBERED = re.compile(r"x\d+")


def chosen(source: str, present: Sequence[str], what: str = "archive") -> tuple[tuple[str, ...], Form]:
    """The names to read, the target last, and the form of what is read.

    Either one array of features, whose numbers become float32, or x0, x1, ... for a model of several inputs, in which
    whole numbers stay whole. Raises DataError.
    """
    target = _one(source, present, TARGET_KEYS, "targets", what)
    numbered = sorted((name for name in present if _NUMBERED.fullmatch(name)), key=lambda name: int(name[1:]))
    if numbered and not set(FEATURE_KEYS) & set(present):
        return (*numbered, target), Form((*numbered, target))
    return (_one(source, present, FEATURE_KEYS, "features", what), target), Form((FEATURES, TARGETS), floats=True)


def _one(source: str, present: Sequence[str], keys: Sequence[str], which: str, what: str) -> str:
    found = [key for key in keys if key in present]
    if len(found) != 1:
        has = ", ".join(present) or "nothing"
        wanted = f"{', '.join(keys[:-1])} or {keys[-1]}"
        raise DataError(source, f"the {which} must be one array called {wanted}, and the {what} has {has}")
    return found[0]


def column_called(source: str, name: str, names: Sequence[str]) -> int:
    """Where a table has the column of this name. Raises DataError, with the names that there are."""
    if name not in names:
        has = ", ".join(names) or "no names of columns"
        raise DataError(source, f"it has no column {name!r} (it has: {has}){nearest(name, names)}")
    return names.index(name)


def check_index(source: str, names: Sequence[str]) -> None:
    """Raises DataError where an index of pandas' comes first, which has no name, and one of pandas' own once read."""
    first = names[0]
    if not first or first.startswith(_INDEX):
        called = f"is called {first!r}" if first else "has no name"
        way_out = "write it with index=False, or give the column a name"
        raise DataError(source, f"the first column {called}, as pandas writes a table's index: {way_out}")


def target_column(source: str, names: Sequence[str]) -> int:
    """Of a table: the column called target, label or y, and the last one where none is. Raises DataError."""
    found = [number for number, name in enumerate(names) if name.lower() in TARGET_COLUMNS]
    if len(found) > 1:
        asked = " and ".join(repr(names[number]) for number in found)
        raise DataError(source, f"the columns {asked} could each be the target; name one of them otherwise")
    return found[0] if found else len(names) - 1
