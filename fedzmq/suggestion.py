"""The end of a sentence about a name that is not known: what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(word: str, known: Iterable[str], closeness: float = 0.6) -> str:
    """Of the known names the nearest, and nothing where none is as close: 0 takes any, and 1 the word alone."""
    near = get_close_matches(word, list(known), n=1, cutoff=closeness)
    return f"; did you mean {near[0]!r}?" if near else ""
