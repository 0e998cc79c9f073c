"""What is chosen by its name, with options by theirs: what is wrong with a choice, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fedzmq.errors import UsageError
from fedzmq.suggestion import suggestion

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
    """The end of such a sentence, which suggests what is near, and nothing where nothing is."""
    names = list(known)
    near = suggestion(word, names, _CLOSE)
    if not near and len(word) <= _SHORT:  # one letter is much of it
        near = suggestion(word, [name for name in names if name[:1] == word[:1]], 0.5)
    return near
