"""A data set by what its owner calls it: a built-in name, a file, or the owner's own function."""

from __future__ import annotations

import difflib
from pathlib import Path

import torch

from fedzmq.data.bundled import BUNDLED, read_bundled
from fedzmq.data.data import Data
from fedzmq.data.examples import Examples
from fedzmq.data.own_code import names_a_function
from fedzmq.data.owned import as_tensor, pair_of, read_owned
from fedzmq.data.tables import TABLES, read_table
from fedzmq.errors import DataError

# Whole numbers beyond this, and beyond the number of examples, are taken for measurements and not for classes.
CLASSES_CREDIBLE = 1000


def load(source: str) -> Data:
    """Reads a built-in set, a .csv, .npz or .parquet file, or what the owner's own `module:function` returns.

    The function takes no arguments and returns features and targets, as two arrays or tensors or as a torch Dataset of
    such pairs. Targets that are whole numbers are classes, and floats are measurements. Raises DataError, or
    MissingExtraError where a package is not installed.
    """
    if source in BUNDLED:
        features, targets = read_bundled(source)
        return _checked(source, torch.from_numpy(features), torch.from_numpy(targets))
    if Path(source).suffix.lower() in TABLES:
        features, targets = read_table(source)
        return _checked(source, as_tensor(source, "features", features).float(), as_tensor(source, "targets", targets))
    if names_a_function(source):
        return _checked(source, *read_owned(source))
    raise DataError(source, _unknown(source))


def examples_of(name: str, given: object) -> Examples:
    """What a program has of its own, under a name: Examples, a pair of features and targets, or a torch Dataset.

    Raises DataError.
    """
    if isinstance(given, Examples):
        return given.called(name)
    features, targets = pair_of(name, given, "this is")
    return _checked(name, as_tensor(name, "features", features), as_tensor(name, "targets", targets))


def _unknown(source: str) -> str:
    ends = ", ".join(TABLES)
    if Path(source).exists():
        return f"it is there, but only files that end in {ends} can be read; module:function may read any other"
    near = difflib.get_close_matches(source, BUNDLED, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"expected a built-in set ({', '.join(BUNDLED)}), a file ({ends}) or module:function{hint}"


def _checked(source: str, features: torch.Tensor, targets: torch.Tensor) -> Data:
    """The form that Data promises, or the first thing that stands in its way."""
    if features.dtype in (torch.bool, torch.uint8):
        features = features.float()
    if features.dim() == 0 or targets.dim() == 0:
        what = "features" if features.dim() == 0 else "targets"
        raise DataError(source, f"the {what} are a single number, and one row per example was expected")
    if len(features) != len(targets):
        raise DataError(
            source, f"it has {len(features)} rows of features and {len(targets)} targets; each row needs one"
        )
    if len(features) == 0 or features.numel() == 0:
        raise DataError(source, f"it has no examples (the features' shape is {tuple(features.shape)})")
    if features.dim() == 1:
        features = features[:, None]
    for what, values in (("features", features), ("targets", targets)):
        finite = values.isfinite().flatten(1) if values.dim() > 1 else values.isfinite()[:, None]
        if not finite.all():
            row = int((~finite.all(dim=1)).nonzero()[0])
            raise DataError(source, f"the {what} of example {row + 1} are not all finite; fill such values or drop it")
    if targets.is_floating_point():
        # (rows, 1) and not (rows,): against a model's (rows, 1), a loss would broadcast to (rows, rows).
        return Data(source, features.contiguous(), targets.reshape(len(targets), -1).contiguous(), None)
    if targets.dim() > 1:
        if targets.numel() != len(targets):
            raise DataError(source, f"the classes have the shape {tuple(targets.shape)}; give one number per example")
        targets = targets.flatten()
    return Data(source, features.contiguous(), targets.long().contiguous(), _count_classes(source, targets))


def _count_classes(source: str, targets: torch.Tensor) -> int:
    lowest, highest = int(targets.min()), int(targets.max())
    if lowest < 0:
        raise DataError(source, f"a class is {lowest}, and classes count from 0: write 0, 1, 2, ...")
    if highest >= max(CLASSES_CREDIBLE, len(targets)):
        raise DataError(
            source,
            f"whole numbers are classes, and {highest} would make {highest + 1} of them for {len(targets)} examples; "
            "number the classes 0, 1, 2, ..., or write measurements with a decimal point",
        )
    return max(highest + 1, 2)


def name_of(source: str) -> str:
    """What clients call a data set by default: a file's name without its ending, a function's name, a built-in name."""
    if source in BUNDLED:
        return source
    return source.rpartition(":")[2] if names_a_function(source) else Path(source).stem
