"""A local tensor goes to a worker: a copy of it, with its gradient, its labels and its rule."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from fedzmq.pointers.destination import Destination
from fedzmq.pointers.labelling import copy_labels
from fedzmq.pointers.metadata import CONSTANT, LEAF
from fedzmq.pointers.origins import warn
from fedzmq.pointers.pointer import Pointer
from fedzmq.pointers.private import check_send, users_among
from fedzmq.pointers.putting import put


def send_tensor(
    tensor: torch.Tensor,
    destination: Destination,
    *,
    requires_grad: bool = False,
    garbage_collect_data: bool = True,
    allowed_users: Iterable[str] | None = None,
    user: str | None = None,
) -> Pointer:
    """A copy of a local tensor on a worker, with its gradient if it holds one. A leaf there if it is one here.

    With `requires_grad` it requires grad there, and a backward over there goes on from the tensor here. With
    `allowed_users` it is private there, for these alone. Raises SendNotPermittedError for a private one.
    """
    check_send(tensor, destination.stream, user)
    users = None if allowed_users is None else users_among(allowed_users)
    flows = requires_grad and tensor.requires_grad
    if tensor.requires_grad and not tensor.is_leaf and not flows:
        _warn_of_history(destination.name)
    kind = LEAF if tensor.requires_grad or requires_grad else CONSTANT
    reference = put(destination.stream, tensor, kind)
    if flows:
        reference.become_doorway(tensor)
    pointer = Pointer.around(reference)
    if isinstance(tensor, nn.Parameter):
        pointer._is_param = True
    if not flows and tensor.is_leaf and tensor.grad is not None:
        pointer.grad = Pointer.around(put(destination.stream, tensor.grad))
    if not garbage_collect_data:
        reference.is_collected = False
    copy_labels(tensor, pointer)
    pointer._say_labels()
    return pointer if users is None else pointer.private_(*users)


def _warn_of_history(worker: str) -> None:
    warn(
        "this tensor was computed from others that require grad, and its history stays here: its gradient ends on "
        f"{worker!r}. Send it with requires_grad=True to have the gradient flow home, or send .detach()"
    )
