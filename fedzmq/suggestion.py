"""What is wrong with a name that is not known, as a sentence or its end: what was probably meant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from fedzmq.errors import UsageError

_CLOSE = 0.7  # below, 'train' is near to 'fraction'
_SHORT = 3  # letters


def check_named(what: str, name: str, known: Mapping[str, Iterable[str]], options: Iterable[str]) -> None:
    """`known` has the options of each name. Raises UsageError, which names what is known and what is near."""
    if name not in known:
        raise UsageError(f"no {what} {name!r} (known: {', '.join(sorted(known))}){nearest(name, known)}")
    own = sorted(known[name])
    for option in options:
        if option not in own:
            takes = f"known: {', '.join(own)}" if own else "it has none"
            raise UsageError(f"the {what} {name!r} has no option {option!r} ({takes}){nearest(option, own)}")


def nearest(word: str, known: Iterable[str]) -> str:
    """As `suggestion`, among words that a user types: near is what looks like a slip of the keyboard."""
    names = list(known)
    near = suggestion(word, names, _CLOSE)
    if not near and len(word) <= _SHORT:  # one letter is much of it
        near = suggestion(word, [name for name in names if name[:1] == word[:1]], 0.5)
    return near


def suggestion(word: str, known: Iterable[str], closeness: float = 0.6) -> str:
    """Of the known names the nearest, and nothing where none is as close: 0 takes any, and 1 the word alone."""
    near = get_close_matches(word, list(known), n=1, cutoff=closeness)
    return f"; did you mean {near[0]!r}?" if near else ""
