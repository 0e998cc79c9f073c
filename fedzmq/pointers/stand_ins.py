"""What is run on fakes in place of a function that has none, or whose fake gives another shape than its kernel.

Only shapes, dtypes and what the gradient reaches count; the worker runs the function itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from fedzmq.pointers.effects import Unforeseeable


def _multilabel_margin(*args: Any, **kwargs: Any) -> torch.Tensor:
    """As the kernel shapes it: without dimensions for a single example, where the fake gives one."""
    loss: torch.Tensor = F.multilabel_margin_loss(*args, **kwargs)
    value = args[0] if args else kwargs["input"]
    return loss.reshape(()) if value.dim() < 2 else loss


def _ctc(
    log_probs: torch.Tensor,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str | int = "mean",
    zero_infinity: bool = False,
) -> torch.Tensor:
    """A loss for each sequence of (time, batch, classes), or for the one of (time, classes)."""
    if log_probs.dim() not in (2, 3):
        raise RuntimeError(f"log_probs has the shape {tuple(log_probs.shape)}, and (T, N, C) or (T, C) is expected")
    losses = log_probs.sum((0, -1))
    return losses if reduction in ("none", 0) else losses.sum()


def _power(base: Any, exponent: Any) -> torch.Tensor:
    """As the kernel has it, to which a bool to the power of a bool is one, and to a fake an int."""
    result: torch.Tensor = torch.pow(base, exponent)
    is_bool = isinstance(base, torch.Tensor) and base.dtype is torch.bool and type(exponent) is bool
    return result.bool() if is_bool else result


def _powers(bases: Any, exponents: Any) -> tuple[torch.Tensor, ...]:
    length = len(bases if isinstance(bases, (list, tuple)) else exponents)
    pairs = [each if isinstance(each, (list, tuple)) else [each] * length for each in (bases, exponents)]
    return tuple([_power(base, exponent) for base, exponent in zip(*pairs, strict=True)])


def _grouped(
    rows: torch.Tensor,
    matrices: torch.Tensor,
    offs: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Each row multiplied by the matrix of its group, of dtypes that only a device's fake refuses."""
    if rows.dim() != 2 or matrices.dim() != 3 or offs is None:
        raise RuntimeError("grouped_mm takes a matrix of rows, a matrix for each group, and where the groups end")
    product = rows @ matrices.sum(0)
    product = product if bias is None else product + bias.sum(0)
    return product if out_dtype is None else product.to(out_dtype)


def _of_packed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of packed sequences, how many rows they have at each step decides, which no fake tells."""

    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if len(args) > 3 and isinstance(args[3], (list, tuple)):
            raise Unforeseeable
        return function(*args, **kwargs)

    return stand_in


def _in_order(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Its kernel gives a tensor in C order, and its fake one in the order of the operand."""

    def stand_in(*args: Any, **kwargs: Any) -> torch.Tensor:
        return function(*args, **kwargs).contiguous()

    return stand_in


def _unforeseeable(*args: Any, **kwargs: Any) -> Any:
    raise Unforeseeable


STAND_INS: dict[Callable[..., Any], Callable[..., Any]] = {
    F.ctc_loss: _ctc,
    F.multilabel_margin_loss: _multilabel_margin,
    F.one_hot: _in_order(F.one_hot),
    torch.poisson: _in_order(torch.poisson),
    torch._grouped_mm: _grouped,
    torch.ctc_loss: _ctc,
    **dict.fromkeys((torch.pow, torch.Tensor.pow, torch.Tensor.__pow__), _power),
    torch._foreach_pow: _powers,
    torch._pack_padded_sequence: _unforeseeable,
    torch._pad_packed_sequence: _unforeseeable,
    **{network: _of_packed(network) for network in (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)},
}
