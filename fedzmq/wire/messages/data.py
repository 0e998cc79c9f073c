"""The data sets that the owner of a worker offers."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.wire.messages.fields import Count, Shape
from fedzmq.wire.messages.message import Reply, Request


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """One data set of a worker: its columns (features, then target) by the shape and dtype of one example.

    labels: how many examples of each class it has, where the owner lets that be told; empty otherwise.
    """

    name: str
    rows: Count
    shapes: tuple[Shape, ...]
    dtypes: tuple[str, ...]
    classes: Count | None
    labels: tuple[Count, ...] = ()


@dataclass(frozen=True, slots=True)
class DescribeData(Request):
    """Ask which data sets the worker offers; answered by DataDescribed."""


@dataclass(frozen=True, slots=True)
class DataDescribed(Reply):
    """The answer to DescribeData."""

    datasets: tuple[DatasetInfo, ...]
