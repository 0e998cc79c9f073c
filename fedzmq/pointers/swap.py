"""One tensor becomes another inside the same object, so that whoever holds it holds the new one."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import torch

from fedzmq.errors import PointerError
from fedzmq.pointers.remote import Remote

_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")


def check_free(name: str, tensor: torch.Tensor) -> None:
    """Raises where a local tensor cannot be swapped: something computed from it is alive, or refers to it weakly."""
    uses: int = tensor._use_count()  # type: ignore[attr-defined]  # left out of torch's stubs
    if uses > 2 or weakref.getweakrefs(tensor):
        raise PointerError(
            f"{name} cannot go to a worker while something computed from it is alive here: del the outputs and losses "
            "of earlier local runs first, or compute them under torch.no_grad()"
        )


def swap(name: str, tensor: torch.Tensor, other: torch.Tensor) -> None:
    """Make `tensor` what `other` is, in the same object. Attributes that the user set on it stay."""
    own = {key: value for key, value in tensor.__dict__.items() if key not in ("_ref", "_is_param")}
    if isinstance(tensor, torch.nn.Parameter) and isinstance(other, Remote):
        other._is_param = True
    hooks = [getattr(tensor, each) for each in _HOOKS]
    _hook(tensor, [None, None])  # torch would leave them half here and half there
    try:
        torch.utils.swap_tensors(tensor, other)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise PointerError(f"{name} cannot change its place while something else holds it: {error}") from error
    finally:
        _hook(tensor, hooks)
    tensor.__dict__.update(own)


def _hook(tensor: torch.Tensor, hooks: Sequence[object]) -> None:
    for name, of in zip(_HOOKS, hooks, strict=True):
        if of is not getattr(tensor, name):
            setattr(tensor, name, of)
