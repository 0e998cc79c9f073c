"""Functions of TorchScript's: they take no pointers, and say so.

Torch asks nobody what such a function shall do with a tensor, and loses what is raised within it.
"""

from __future__ import annotations

from typing import Any

import torch

from fedzmq.errors import OperationRefused
from fedzmq.pointers.remote import SCRIPT, Remote


def watch_scripts() -> None:
    """Have every one refuse pointers, from now on."""
    scripted: Any = torch.jit.ScriptFunction
    local = scripted.__call__

    def call(function: Any, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(each, Remote) for each in (*args, *kwargs.values())):
            raise OperationRefused(function.name, SCRIPT)
        return local(function, *args, **kwargs)

    scripted.__call__ = call
