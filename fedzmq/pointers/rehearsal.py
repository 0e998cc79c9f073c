"""A call tried here on small tensors of ones, for what torch's kernels say of its shapes and dtypes.

Fakes find nearly all errors, but some in other words than a kernel does, or as another type of error. What is computed
here is thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F

from fedzmq.errors import FedzmqError, LimitExceeded, RemoteError
from fedzmq.pointers.metadata import Meta

LARGEST = 1 << 16  # elements of all operands together, of a call that is tried
MOST_BYTES = 1 << 26  # of what it gives

# Functions whose kernels check more of shapes and dtypes than their fakes do, and to which ones and zeros are as good
# as any values.
CHECKED: frozenset[Callable[..., Any]] = frozenset(
    {
        F.fractional_max_pool2d,
        F.fractional_max_pool2d_with_indices,
        F.fractional_max_pool3d,
        F.fractional_max_pool3d_with_indices,
        torch.bucketize,
        torch.complex,
        torch.index_add,
        torch.Tensor.index_add,
        torch.Tensor.index_add_,
        torch.masked_scatter,
        torch.Tensor.masked_scatter,
        torch.Tensor.masked_scatter_,
        torch.ldexp_,
        torch.logit_,
        torch.Tensor.ldexp_,
        torch.Tensor.logit_,
        torch._foreach_pow,
        torch._foreach_pow_,
        torch.multinomial,
        torch.native_group_norm,
        torch.Tensor.multinomial,
    }
)

Call = Callable[[Sequence[torch.Tensor]], Any]


def check(func: Callable[..., Any], call: Call, metas: Sequence[Meta]) -> None:
    """Raises what the kernel says of such operands, where the fake of `func` may have said nothing."""
    if func in CHECKED:
        found = tried(call, metas)
        if found is not None:
            raise found


def in_its_words(error: Exception, call: Call, metas: Sequence[Meta]) -> Exception | None:
    """The error that a kernel raises for operands of these metadata, for the one that their fakes raised.

    None where it raises none: the fakes are mistaken.
    """
    if isinstance(error, FedzmqError):
        return error
    return tried(call, metas) if metas and can_be_tried(metas) else error


def can_be_tried(metas: Sequence[Meta]) -> bool:
    return sum(meta.shape.numel() for meta in metas) <= LARGEST


def at_home(error: RemoteError, call: Call, metas: Sequence[Meta]) -> Exception:
    """The worker's error as the one that torch raises here, where metadata alone are the cause."""
    found = tried(call, metas)
    if found is None or type(found).__name__ != error.error:
        return error
    return found if error.reason.startswith(str(found).partition("\n")[0]) else error


def tried(call: Call, metas: Sequence[Meta]) -> Exception | None:
    """What a kernel raises, or None."""
    if not can_be_tried(metas):
        return None
    drawn = torch.default_generator.get_state()  # it may draw, and what the program draws next must not depend on that
    try:
        with torch._C.DisableTorchFunctionSubclass():
            call([meta.ones() for meta in metas])
    except LimitExceeded:
        return None
    except Exception as error:
        return error.with_traceback(None)
    finally:
        torch.default_generator.set_state(drawn)
    return None
