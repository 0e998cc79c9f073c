"""The recurrent kernels of torch trust the shapes of their weights and states: here they are checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from fedzmq.errors import OperationRefused
from fedzmq.operations.guards.guard import Arguments, Guard, Keywords
from fedzmq.operations.guards.packed import check_packed

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def network(name: str, function: Callable[..., Any]) -> Guard:
    """For `(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`.

    For packed sequences it is `(data, batch_sizes, hx, params, ..., bidirectional)`.
    """
    gates = _GATES[name.rpartition(".")[2]]
    states = 2 if gates == 4 else 1

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if keywords or len(arguments) != 9:
            raise OperationRefused(name, "it takes nine positional arguments")
        packed = isinstance(arguments[3], (list, tuple))
        if packed:
            value, sizes, hidden, weights, biases, layers, dropout, train, two_ways = arguments
            batch_first = False
            check_packed(name, value, sizes)
        else:
            value, hidden, weights, biases, layers, dropout, train, two_ways, batch_first = arguments
        hidden = [hidden] if isinstance(hidden, Tensor) else hidden
        flags = (biases, train, two_ways, batch_first)
        if not _tensors([value], 1) or (packed and value.dim() != 2) or not _tensors(hidden, states):
            raise OperationRefused(name, "input and states must be tensors of 2 or 3 dimensions")
        if any(type(flag) is not bool for flag in flags) or type(layers) is not int or not 0 < layers <= 1024:
            raise OperationRefused(name, "its flags must be bools and its number of layers an int from 1 to 1024")
        if type(dropout) is not float or not 0 <= dropout <= 1:
            raise OperationRefused(name, f"its dropout must be a float from 0 to 1, not {dropout!r:.20}")
        width = hidden[-1].shape[-1]
        wanted = _weight_shapes(gates, width, hidden[0].shape[-1], value.shape[-1], layers, two_ways, biases)
        if not isinstance(weights, (list, tuple)) or [_shape(weight) for weight in weights] != wanted:
            raise OperationRefused(name, f"its weights must have the shapes {wanted[:4]}...")
        if packed:
            batch: tuple[int, ...] = (int(sizes[0]),)
        else:
            batch = () if value.dim() == 2 else (value.shape[0] if batch_first else value.shape[1],)
        for state in hidden:
            if state.shape[:-1] != ((1 + two_ways) * layers, *batch) or value.numel() == 0:
                raise OperationRefused(name, f"a state of shape {list(state.shape)} does not fit {list(value.shape)}")

    return guard


def cell(name: str, function: Callable[..., Any]) -> Guard:
    """For `(input, hx, w_ih, w_hh, b_ih, b_hh)`."""
    gates = _GATES[name.rpartition(".")[2].removesuffix("_cell")]

    def guard(limit: int, arguments: Arguments, keywords: Keywords) -> None:
        if keywords or not 4 <= len(arguments) <= 6:
            raise OperationRefused(name, "it takes four to six positional arguments")
        value, hidden, first, second, *biases = arguments
        hidden = [hidden] if isinstance(hidden, Tensor) else hidden
        if not _tensors([value], 1) or value.dim() != 2 or not _tensors(hidden, 2 if gates == 4 else 1):
            raise OperationRefused(name, "input and states must be tensors of two dimensions")
        batch, size = value.shape
        width = hidden[0].shape[-1]
        shapes = [_shape(first), _shape(second), *(_shape(bias) for bias in biases if bias is not None)]
        wanted = [(gates * width, size), (gates * width, width), (gates * width,), (gates * width,)]
        if shapes != wanted[: len(shapes)] or any(_shape(state) != (batch, width) for state in hidden):
            raise OperationRefused(name, f"its weights must have the shapes {wanted}, and its states {(batch, width)}")

    return guard


def _weight_shapes(
    gates: int, width: int, projected: int, size: int, layers: int, two_ways: bool, biases: bool
) -> list[tuple[int, ...]]:
    """The shapes of an LSTM, GRU or RNN's flat weights; where `projected` differs from `width` it projects."""
    shapes: list[tuple[int, ...]] = []
    for layer in range(layers):
        entering = size if layer == 0 else projected * (1 + two_ways)
        for _ in range(1 + two_ways):
            shapes += [(gates * width, entering), (gates * width, projected)]
            shapes += [(gates * width,)] * (2 * biases)
            shapes += [(projected, width)] * (projected != width)
    return shapes


def _tensors(values: Any, count: int) -> bool:
    if not isinstance(values, (list, tuple)) or len(values) != count:
        return False
    return all(isinstance(value, Tensor) and value.dim() in (2, 3) for value in values)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None
