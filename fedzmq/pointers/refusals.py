"""What a pointer cannot do, each with an error that says why: it has no value here, and no code travels."""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from fedzmq.errors import OperationRefused, PointerError
from fedzmq.pointers.remote import Handler, Remote

T = torch.Tensor

_WITH_VALUE = """
    item tolist __bool__ __int__ __float__ __index__ __complex__ numpy __array__ __contains__ data_ptr untyped_storage
    storage storage_type _typed_storage __dlpack__ __dlpack_device__ share_memory_ pin_memory equal allclose
    __cuda_array_interface__ is_nonzero
"""
_LOCAL_CODE = ("register_hook", "register_post_accumulate_grad_hook", "apply_", "map_", "map2_")


def refuse_pickle(p: Remote, *args: Any) -> NoReturn:
    raise PointerError(f"{p!r} cannot be pickled or saved: its values are on the worker; .get() it first")


def _needs_value(name: str) -> Handler:
    spoken = name.strip("_") + "()" if name.startswith("__") else name

    def handler(*args: Any, **kwargs: Any) -> NoReturn:
        pointer = next(arg for arg in (*args, *kwargs.values()) if isinstance(arg, Remote))
        raise pointer._ref.stream.needs_value(spoken)

    return handler


def _local_code(name: str) -> Handler:
    def handler(*args: Any, **kwargs: Any) -> NoReturn:
        raise OperationRefused(name, "it takes a function of yours, and no code travels to a worker")

    return handler


def _table() -> dict[Any, Handler]:
    table: dict[Any, Handler] = {T.__reduce_ex__: refuse_pickle}
    for name in _WITH_VALUE.split():
        attribute = getattr(T, name, None)
        if attribute is not None:
            table[attribute if callable(attribute) else attribute.__get__] = _needs_value(name)
    for name in ("equal", "allclose", "is_nonzero"):
        table[getattr(torch, name)] = _needs_value(name)
    for name in _LOCAL_CODE:
        if hasattr(T, name):
            table[getattr(T, name)] = _local_code(name)
    return table


REFUSALS = _table()
