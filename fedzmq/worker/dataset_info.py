"""What clients are told of a data set: how many examples, of which form. Labels only where the owner lets them be."""

from __future__ import annotations

from fedzmq.data.counts import label_counts
from fedzmq.data.examples import Examples
from fedzmq.tensors.dtypes import name_of
from fedzmq.wire.messages import DatasetInfo


def dataset_info(data: Examples, *, labels: bool) -> DatasetInfo:
    """Found once, because counting may read the whole set."""
    return DatasetInfo(
        data.name,
        len(data),
        tuple(column.shape for column in data.columns),
        tuple(name_of(column.dtype) for column in data.columns),
        data.classes,
        label_counts(data) if labels else (),
    )
