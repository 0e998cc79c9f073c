"""Ways to share one data set out, for experiments; each file is a way, or a family of them, named for it."""

from __future__ import annotations

from fedzmq.data.partitioners.partitioner import Marks, Partitioner
from fedzmq.data.partitioners.table import PARTITIONERS, by_name

__all__ = ["PARTITIONERS", "Marks", "Partitioner", "by_name"]
