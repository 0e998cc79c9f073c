"""What is chosen by its name, with options by theirs: what is wrong with a choice, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from fedzmq.errors import UsageError


def check_named(what: str, name: str, known: Mapping[str, Iterable[str]], options: Iterable[str]) -> None:
    """`known` has the options of each name. Raises UsageError, which names what is known and what is near."""
    if name not in known:
        raise UsageError(f"no {what} {name!r} (known: {', '.join(sorted(known))}){_nearest(name, known)}")
    own = sorted(known[name])
    for option in options:
        if option not in own:
            takes = f"known: {', '.join(own)}" if own else "it has none"
            raise UsageError(f"the {what} {name!r} has no option {option!r} ({takes}){_nearest(option, own)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
