"""The data sets that come inside scikit-learn, read from its files.

scikit-learn itself is not imported: that takes a second, and a worker is to be training by then.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fedzmq.errors import DataError, MissingExtraError

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def read_bundled(name: str) -> Arrays:
    """Features and targets of one of BUNDLED, rows in scikit-learn's order."""
    return BUNDLED[name](name)


def _digits(name: str) -> Arrays:
    # Pixels count from 0 to 16.
    table = np.loadtxt(_file(name, "digits.csv.gz"), delimiter=",", dtype=np.float32)
    return table[:, :-1] / 16, table[:, -1].astype(np.int64)


def _iris(name: str) -> Arrays:
    return _classes(_file(name, "iris.csv"))


def _wine(name: str) -> Arrays:
    return _classes(_file(name, "wine_data.csv"))


def _breast_cancer(name: str) -> Arrays:
    return _classes(_file(name, "breast_cancer.csv"))


def _diabetes(name: str) -> Arrays:
    features = np.loadtxt(_file(name, "diabetes_data_raw.csv.gz"))
    targets = np.loadtxt(_file(name, "diabetes_target.csv.gz"))
    # The target too: a loss in squared units of hundreds makes ordinary learning rates diverge.
    return _standardised(features), _standardised(targets)


def _classes(file: Path) -> Arrays:
    # The first line gives counts and the classes' names.
    table = np.loadtxt(file, delimiter=",", skiprows=1)
    return _standardised(table[:, :-1]), table[:, -1].astype(np.int64)


def _standardised(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Mean 0 and variance 1 per column, because columns of these sets differ by factors of thousands."""
    scaled: np.ndarray[Any, Any] = (values - values.mean(axis=0)) / values.std(axis=0)
    return scaled.astype(np.float32)


def _file(source: str, name: str) -> Path:
    found = importlib.util.find_spec("sklearn")
    if found is None or found.origin is None:
        raise MissingExtraError("scikit-learn", "data", f"the built-in data set {source!r}")
    file = Path(found.origin).parent / "datasets" / "data" / name
    if not file.is_file():
        raise DataError(source, f"this scikit-learn has no {file}; install another: pip install '.[data]'")
    return file


BUNDLED: dict[str, Callable[[str], Arrays]] = {
    "digits": _digits,
    "breast_cancer": _breast_cancer,
    "iris": _iris,
    "wine": _wine,
    "diabetes": _diabetes,
}
