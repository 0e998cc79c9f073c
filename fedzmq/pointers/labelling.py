"""What a user says of a tensor: its number, its tags, its description; here and on workers alike.

They lie in the tensor's own `__dict__`, and travel with it.
"""

from __future__ import annotations

import random
from typing import TypeVar

import torch

from fedzmq.errors import UsageError
from fedzmq.pointers.private import copy_rule

_MOST_TAGS = 64
_ID_BITS = 48
T = TypeVar("T", bound=torch.Tensor)


def id_of(tensor: torch.Tensor) -> int:
    """A number of its own, drawn when it is first asked for."""
    found: int = tensor.__dict__.setdefault("id", random.SystemRandom().getrandbits(_ID_BITS))
    return found


def tags_of(tensor: torch.Tensor) -> set[str]:
    """Its tags; a copy, because `tag` is what adds to them."""
    return set(tensor.__dict__.get("_tags", ()))


def description_of(tensor: torch.Tensor) -> str:
    found: str = tensor.__dict__.get("_description", "")
    return found


def add_tags(tensor: T, *tags: str) -> T:
    """Tag the tensor, so that a search finds it where it lives; returns it."""
    wrong = [tag for tag in tags if not isinstance(tag, str) or not tag]
    if wrong:
        raise UsageError(f"a tag is a text that is not empty, and not {wrong[0]!r}")
    together = tuple(dict.fromkeys([*tensor.__dict__.get("_tags", ()), *tags]))
    if len(together) > _MOST_TAGS:
        raise UsageError(f"{len(together)} tags are too many: a tensor has {_MOST_TAGS} at most")
    tensor.__dict__["_tags"] = together
    return tensor


def set_description(tensor: T, description: str) -> T:
    """Describe the tensor, for those who find it; returns it."""
    if not isinstance(description, str):
        raise UsageError(f"a description is a text, and not {description!r}")
    tensor.__dict__["_description"] = description
    return tensor


def is_labelled(tensor: torch.Tensor) -> bool:
    return "_tags" in tensor.__dict__ or "_description" in tensor.__dict__


def copy_labels(source: torch.Tensor, target: torch.Tensor) -> None:
    for name in ("_tags", "_description"):
        if name in source.__dict__:
            target.__dict__[name] = source.__dict__[name]
    copy_rule(source, target)
