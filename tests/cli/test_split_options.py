from __future__ import annotations

import pytest

from fedzmq.cli.worker import command
from fedzmq.data.split import WAYS, Split
from fedzmq.errors import UsageError


@pytest.mark.parametrize(
    "split",
    [
        *(Split(how) for how in WAYS if how != "column"),
        Split("dirichlet", alpha=0.3, seed=7),
        Split("shards", per_worker=4),
        Split("powerlaw", exponent=0.5),
        Split("column", column="hospital"),
    ],
    ids=str,
)
def test_a_worker_takes_a_split_as_its_cluster_says_it(split: Split) -> None:
    taken = command.make_context("worker", ["--id", "bob", *split.arguments()]).params
    names = ("how", "alpha", "per_worker", "exponent", "column", "split_seed")

    assert Split(*(taken[name] for name in names)) == split


def test_a_split_by_column_needs_one() -> None:
    with pytest.raises(UsageError, match="say by which column to split: --column NAME"):
        Split("column")
