"""What the owner's own function gives, as two tensors.

It may give arrays, tensors or a torch Dataset; anything else is said in one sentence, with what it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from fedzmq.data.own_code import one_line, own_function
from fedzmq.errors import DataError

_WIDE = {"f": "float64", "i": "int64", "u": "int64", "b": "bool"}


def read_owned(source: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and targets that `module:function` returns, called without arguments."""
    function = own_function(source, DataError)
    try:
        result = function()
    except Exception as error:
        raise DataError(source, f"the function failed with {one_line(error)}") from error
    features, targets = pair_of(source, result, "the function returned")
    return as_tensor(source, "features", features), as_tensor(source, "targets", targets)


def as_tensor(source: str, what: str, values: object) -> torch.Tensor:
    """On the CPU and as float32, int64, uint8 or bool, whichever kind it was."""
    if not isinstance(values, torch.Tensor):
        try:
            array = np.asarray(values)
        except ValueError:
            raise DataError(source, f"the {what} have rows of different lengths; all must be alike") from None
        if array.dtype.kind not in "fiub":
            found = f"an array of {array.dtype}" if isinstance(values, np.ndarray) else _a(values)
            raise DataError(source, f"the {what} are {found}, and numbers were expected (classes: 0, 1, 2, ...)")
        plain = array.dtype if array.dtype in (np.uint8, np.bool_) else np.dtype(_WIDE[array.dtype.kind])
        # A copy in the machine's byte order and of a width that torch has; what came may be read-only or reversed.
        values = torch.from_numpy(array.astype(plain, order="C"))
    values = values.detach().cpu()
    if values.layout != torch.strided:
        values = values.to_dense()
    if values.is_complex():
        raise DataError(source, f"the {what} are complex, and real numbers were expected")
    if values.is_floating_point():
        return values.float()
    return values if values.dtype in (torch.bool, torch.uint8) else values.long()


def pair_of(source: str, result: object, came: str) -> tuple[object, object]:
    """Features and targets out of a pair of them or a torch Dataset. `came` begins a complaint: how it came."""
    if isinstance(result, TensorDataset):
        result = result.tensors
    elif isinstance(result, Dataset):
        result = _columns(source, result)
    if not isinstance(result, tuple | list) or len(result) != 2:
        size = f" of {len(result)}" if isinstance(result, tuple | list) else ""
        raise DataError(
            source,
            f"{came} {_a(result)}{size}, and a pair of features and targets "
            "(arrays or tensors) or a torch Dataset was expected",
        )
    return result[0], result[1]


def _columns(source: str, dataset: Dataset[Any]) -> tuple[object, object]:
    """All examples of a torch Dataset, stacked."""
    features: list[torch.Tensor] = []
    targets: list[torch.Tensor] = []
    for number, example in enumerate(_examples(source, dataset)):
        if not isinstance(example, tuple | list) or len(example) != 2:
            raise DataError(source, f"example {number} of the Dataset is {_a(example)}, and a pair was expected")
        features.append(as_tensor(source, f"features of example {number}", example[0]))
        targets.append(as_tensor(source, f"target of example {number}", example[1]))
        if features[-1].shape != features[0].shape or targets[-1].shape != targets[0].shape:
            shape, first = tuple(features[-1].shape), tuple(features[0].shape)
            raise DataError(source, f"example {number} has the shape {shape}, and the first {first}; all must be alike")
    if not features:
        raise DataError(source, "it has no examples")
    return torch.stack(features), torch.stack(targets)


def _examples(source: str, dataset: Dataset[Any]) -> Iterator[object]:
    try:
        if isinstance(dataset, IterableDataset):
            yield from dataset
        else:
            # By index up to the length: a Dataset need not say by itself where it ends.
            for number in range(len(dataset)):  # type: ignore[arg-type]
                yield dataset[number]
    except Exception as error:
        raise DataError(source, f"reading the Dataset failed with {one_line(error)}") from error


def _a(value: object) -> str:
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
