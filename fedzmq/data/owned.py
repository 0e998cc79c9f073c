"""What the owner's own function gives, as examples.

It may give arrays, tensors or a torch Dataset; anything else is said in one sentence, with what it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import Dataset, TensorDataset

from fedzmq.data.examples import Examples
from fedzmq.data.forms import Form, a
from fedzmq.data.opening import held
from fedzmq.data.own_code import one_line, own_function
from fedzmq.data.own_dataset import read_dataset
from fedzmq.errors import DataError


def read_owned(source: str, memory: int) -> Examples:
    """What `module:function` returns, called without arguments. Raises DataError."""
    function = own_function(source, DataError)
    try:
        result = function()
    except Exception as error:
        raise DataError(source, f"the function failed with {one_line(error)}") from error
    return read_given(source, result, memory, "the function returned")


def read_given(source: str, result: object, memory: int, came: str) -> Examples:
    """A pair of features and targets, or a torch Dataset of such pairs. `came` begins a complaint: how it came."""
    if isinstance(result, Dataset) and not isinstance(result, TensorDataset):
        return read_dataset(source, result, memory)
    inputs, target = _parts(source, result, came)
    return held(source, [*inputs, target], Form.unnamed(len(inputs)))


def _parts(source: str, result: object, came: str) -> tuple[Sequence[object], object]:
    """The inputs and the target."""
    if isinstance(result, TensorDataset) and len(result.tensors) > 1:
        return result.tensors[:-1], result.tensors[-1]
    if not isinstance(result, tuple | list) or len(result) != 2:
        size = f" of {len(result)}" if isinstance(result, tuple | list) else ""
        raise DataError(
            source,
            f"{came} {a(result)}{size}, and a pair of features and targets "
            "(arrays or tensors) or a torch Dataset was expected",
        )
    features, target = result
    # A tuple, and not a list: a list of lists is one array.
    return features if isinstance(features, tuple) and features else (features,), target
