"""The modes of torch under which one client's commands run, put on and taken off around each batch.

They belong to a thread, or to the whole process, and a worker may share both with the client and with other clients:
whatever was in force before a batch is in force after it.
"""

from __future__ import annotations

from typing import Any

import torch

from fedzmq.errors import ProtocolError
from fedzmq.tensors.dtypes import dtype_of
from fedzmq.wire.messages import Mode

_set_grad_enabled = torch._C._set_grad_enabled  # what torch.set_grad_enabled makes an object of


class Modes:
    """Grad mode, autocast and default dtype of one client. Overrides of the process, of functions and of inference
    mode, do not reach its commands."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._grad = True
        self._autocast: torch.dtype | None = None
        self._default = torch.float32
        self._before: tuple[bool, bool, torch.dtype, torch.dtype] | None = None
        self._guards: list[Any] = []

    @property
    def are_on(self) -> bool:
        """They are in force now."""
        return self._before is not None

    def set(self, mode: Mode) -> None:
        """Change them, for the rest of this batch and for later ones. Raises ProtocolError for an unfit dtype."""
        autocast = None if mode.autocast is None else dtype_of(mode.autocast)
        default = dtype_of(mode.default_dtype)
        for dtype in (autocast, default):
            if dtype is not None and not dtype.is_floating_point:
                raise ProtocolError(f"a mode's dtype is a floating one, not {dtype}")
        if self._autocast is not None:
            torch.clear_autocast_cache()
        self._grad, self._autocast, self._default = mode.grad, autocast, default
        if self._before is not None:
            self._apply()

    def enter(self) -> None:
        """Put them on; `leave` must follow."""
        self._before = (
            torch.is_grad_enabled(),
            torch.is_autocast_enabled(self._device),
            torch.get_autocast_dtype(self._device),
            torch.get_default_dtype(),
        )
        self._guards = [torch._C.DisableTorchFunction()]
        if torch.is_inference_mode_enabled():  # only now: to leave it turns gradients on
            self._guards.append(torch.inference_mode(False))
        for guard in self._guards:
            guard.__enter__()
        self._apply()

    def leave(self) -> None:
        """Take them off."""
        assert self._before is not None
        if self._autocast is not None:
            torch.clear_autocast_cache()  # it holds copies of weights that other commands may change
        grad, autocast, dtype, default = self._before
        self._before = None
        torch.set_autocast_enabled(self._device, autocast)
        torch.set_autocast_dtype(self._device, dtype)
        if torch.get_default_dtype() is not default:
            torch.set_default_dtype(default)
        for guard in reversed(self._guards):
            guard.__exit__(None, None, None)
        _set_grad_enabled(grad)

    def _apply(self) -> None:
        _set_grad_enabled(self._grad)
        torch.set_autocast_enabled(self._device, self._autocast is not None)
        if self._autocast is not None:
            torch.set_autocast_dtype(self._device, self._autocast)
        if torch.get_default_dtype() is not self._default:
            torch.set_default_dtype(self._default)
