from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedzmq.data.data import targets_of
from fedzmq.data.load import load
from fedzmq.data.partitioners import PARTITIONERS, Marks, Partitioner, by_name
from fedzmq.data.partitioners.classes import Classes
from fedzmq.data.partitioners.column import Column
from fedzmq.data.partitioners.dirichlet import Dirichlet
from fedzmq.data.partitioners.iid import Iid
from fedzmq.data.partitioners.shards import Shards
from fedzmq.data.partitioners.sizes import PowerLaw, Quantity
from fedzmq.data.split import AUTO, WAYS, Split
from fedzmq.errors import DataError, UsageError

DIGITS = Marks("digits", targets_of(load("digits")), torch.arange(1797) % 7)

ALWAYS = {
    "iid": [[0, 1, 2, 5], [3, 6, 8, 11], [4, 7, 9, 10]],
    "shards": [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]],
    "classes": [[3, 5, 9, 11], [2, 4, 8, 10], [0, 1, 6, 7]],
    "powerlaw": [[0, 1, 2, 5, 8, 11], [6, 9, 10], [3, 4, 7]],
}

EACH = [Iid(), Dirichlet(0.3), Shards(2), Classes(3), Quantity(0.5), PowerLaw(1.2), Column("site")]
IDS = [type(each).__name__ for each in EACH]


def marks(labels: list[int] | torch.Tensor, groups: list[int] | None = None) -> Marks:
    targets = torch.as_tensor(labels)
    return Marks("numbered", targets, None if groups is None else torch.tensor(groups))


def sizes(parts: list[torch.Tensor]) -> list[int]:
    return [len(each) for each in parts]


def skew(targets: torch.Tensor, parts: list[torch.Tensor]) -> float:
    """Mean over the parts of how far a part's mix of classes is from the whole's (total variation)."""
    classes = int(targets.max()) + 1
    whole = torch.bincount(targets, minlength=classes) / len(targets)
    mixes = [torch.bincount(targets[index], minlength=classes) / len(index) for index in parts]
    return float(torch.stack([(mix - whole).abs().sum() / 2 for mix in mixes]).mean())


@pytest.mark.parametrize("way", EACH, ids=IDS)
@pytest.mark.parametrize("parts", [1, 4, 7])
def test_every_row_is_in_exactly_one_part(way: Partitioner, parts: int) -> None:
    if isinstance(way, Classes) and parts == 1:
        way = Classes(10)  # one worker needs them all
    split = way.split(DIGITS, parts, seed=3)

    assert len(split) == parts
    assert sorted(torch.cat(split).tolist()) == list(range(1797))
    assert min(sizes(split)) > 0


@pytest.mark.parametrize("way", EACH, ids=IDS)
def test_the_same_seed_gives_the_same_parts(way: Partitioner) -> None:
    first, second = way.split(DIGITS, 5, seed=3), way.split(DIGITS, 5, seed=3)

    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("way", EACH[:-1], ids=IDS[:-1])
def test_another_seed_gives_other_parts(way: Partitioner) -> None:
    assert not torch.equal(way.split(DIGITS, 5, seed=3)[0], way.split(DIGITS, 5, seed=4)[0])


@pytest.mark.parametrize("way", EACH, ids=IDS)
def test_more_workers_than_examples_are_refused(way: Partitioner) -> None:
    with pytest.raises(DataError, match="'numbered': 3 examples cannot give 5 workers one each"):
        way.split(marks([0, 1, 2], [0, 1, 2]), 5, seed=0)


@given(
    labels=st.lists(st.integers(0, 4), min_size=12, max_size=60),
    parts=st.integers(1, 6),
    alpha=st.floats(1e-9, 1e4),
    seed=st.integers(0, 2**70),
    minimum=st.integers(1, 2),
)
def test_label_skew_leaves_no_row_out_and_no_part_too_small(
    labels: list[int], parts: int, alpha: float, seed: int, minimum: int
) -> None:
    split = Dirichlet(alpha, minimum).split(marks(labels), parts, seed)

    assert sorted(torch.cat(split).tolist()) == list(range(len(labels)))
    assert min(sizes(split)) >= minimum


@given(rows=st.integers(6, 300), parts=st.integers(1, 6), alpha=st.floats(1e-9, 1e4), exponent=st.floats(0, 100))
def test_unequal_sizes_leave_no_row_out_and_no_worker_empty(
    rows: int, parts: int, alpha: float, exponent: float
) -> None:
    for way in (Quantity(alpha), PowerLaw(exponent)):
        split = way.split(marks([0] * rows), parts, seed=rows)

        assert sorted(torch.cat(split).tolist()) == list(range(rows))
        assert min(sizes(split)) >= 1


def test_a_small_alpha_skews_more_than_a_large_one() -> None:
    targets = DIGITS.targets

    assert skew(targets, Dirichlet(0.1).split(DIGITS, 5, seed=0)) > 0.4
    assert skew(targets, Dirichlet(1000.0).split(DIGITS, 5, seed=0)) < 0.05


def test_measurements_are_dealt_out_at_random_unless_label_skew_is_asked_for() -> None:
    assert Split().fitting(classes=None).partitioner() == Iid()
    assert Split().fitting(classes=3).partitioner() == Dirichlet(1.0)
    for asked in (Split("dirichlet"), Split(alpha=0.1)):
        with pytest.raises(DataError, match="its targets are measurements, and only classes can be"):
            asked.fitting(classes=None).partitioner().split(marks(torch.linspace(0, 1, 10)[:, None]), 3, seed=0)


def test_a_seed_gives_the_parts_that_it_always_gave() -> None:
    # Workers of different releases split one set between them: after a change, two would hold the same rows.
    def parts(way: Partitioner) -> list[list[int]]:
        return [index.tolist() for index in way.split(marks(torch.arange(12) % 3), 3, seed=0)]

    assert parts(Dirichlet(1.0)) == [[0, 3, 4, 6, 9, 10, 11], [1, 2, 5, 8], [7]]
    assert parts(Iid()) == ALWAYS["iid"]
    assert parts(Shards(2)) == ALWAYS["shards"]
    assert parts(Classes(2)) == ALWAYS["classes"]
    assert parts(PowerLaw(1.0)) == ALWAYS["powerlaw"]


def test_the_same_seed_gives_the_same_part_in_another_process() -> None:
    program = (
        "import torch\nfrom fedzmq.data.partitioners import Marks, by_name\n"
        "print(by_name('shards').split(Marks('x', torch.arange(60) % 7), 3, 11)[1].tolist())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    assert ran.stdout.strip() == str(Shards().split(marks(torch.arange(60) % 7), 3, 11)[1].tolist())


def test_shards_are_as_large_as_the_next_or_one_larger() -> None:
    split = Shards(2).split(DIGITS, 10, seed=1)

    assert set(sizes(split)) <= {178, 179, 180}


def test_two_shards_hold_few_classes() -> None:
    found = [len(DIGITS.targets[index].unique()) for index in Shards(2).split(DIGITS, 10, seed=1)]

    assert max(found) <= 4
    assert sum(found) / len(found) < 4


def test_measurements_can_be_cut_into_shards() -> None:
    split = Shards(1).split(marks(torch.linspace(0, 1, 12)[:, None]), 3, seed=0)

    assert sorted(part.tolist() for part in split) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize(("parts", "each"), [(5, 2), (10, 1), (10, 3), (4, 10), (20, 2)])
def test_each_worker_has_so_many_classes_and_each_class_a_worker(parts: int, each: int) -> None:
    split = Classes(each).split(DIGITS, parts, seed=2)
    held = [set(DIGITS.targets[index].tolist()) for index in split]

    assert [len(classes) for classes in held] == [each] * parts
    assert set().union(*held) == set(range(10))


def test_classes_are_held_by_as_many_workers_as_the_next_or_one_more() -> None:
    split = Classes(3).split(DIGITS, 7, seed=2)
    held = np.bincount([label for index in split for label in DIGITS.targets[index].unique().tolist()])

    assert held.max() - held.min() <= 1


def test_sizes_follow_a_power_law() -> None:
    found = sorted(sizes(PowerLaw(1.0).split(DIGITS, 4, seed=0)), reverse=True)

    assert found == [862, 432, 288, 215] or all(
        abs(size - 1797 * share) < 3 for size, share in zip(found, (0.48, 0.24, 0.16, 0.12), strict=True)
    )


def test_unequal_sizes_keep_the_mix_of_classes() -> None:
    assert skew(DIGITS.targets, PowerLaw(0.5).split(DIGITS, 4, seed=0)) < 0.1


def test_rows_that_agree_in_a_column_stay_together() -> None:
    groups = [0, 1, 2, 2, 1, 0, 1]

    assert [part.tolist() for part in Column("site").split(marks([0] * 7, groups), 3, 0)] == [[0, 5], [1, 4, 6], [2, 3]]


def test_more_values_than_workers_share_the_rows_as_evenly_as_they_can() -> None:
    groups = [0] * 6 + [1] * 3 + [2] * 2 + [3]

    assert sorted(sizes(Column("site").split(marks([0] * 12, groups), 2, 0))) == [6, 6]


@pytest.mark.parametrize(
    ("way", "reason"),
    [
        (Shards(4), "12 examples cannot be cut into 20 shards"),
        (Shards(0), "1 is the least"),
        (Classes(1), "leave some of the 6 classes to nobody"),
        (Classes(7), "7 classes per worker were asked for, and there are 6"),
        (Classes(0), "0 classes per worker were asked for"),
        (Dirichlet(0.0), "alpha is 0, and it must be above 0"),
        (Dirichlet(float("nan")), "must be above 0"),
        (Dirichlet(1.0, minimum=3), "12 examples cannot give 5 workers at least 3 each"),
        (Quantity(-1.0), "must be above 0"),
        (PowerLaw(-1.0), "must lie between 0"),
        (PowerLaw(float("nan")), "must lie between 0"),
        (Column("site"), "say by which column"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(way: Partitioner, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        way.split(marks(torch.arange(12) % 6), 5, seed=0)

    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_of_few_values_is_refused() -> None:
    with pytest.raises(DataError, match="the column 'site' has 2 values, which cannot give 3 workers one each"):
        Column("site").split(marks([0] * 6, [0, 0, 1, 1, 1, 1]), 3, 0)


def test_a_worker_that_would_get_nothing_is_an_error() -> None:
    with pytest.raises(DataError, match="would get no examples"):
        Classes(1).split(marks([0, 1, 1, 1, 1]), 4, seed=0)


def test_measurements_have_no_classes() -> None:
    with pytest.raises(DataError, match="its targets are measurements"):
        Classes(1).split(marks(torch.linspace(0, 1, 9)[:, None]), 3, seed=0)


def test_a_wrong_name_gets_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"known: iid, dirichlet, .*did you mean 'shards'\?"):
        by_name("shard")


def test_the_names_without_torch_are_those_of_the_table() -> None:
    assert (AUTO, *PARTITIONERS) == WAYS


def test_a_split_gives_its_partitioner_the_numbers_that_it_takes() -> None:
    assert Split("classes", per_worker=3).partitioner() == Classes(3)
    assert Split("column", column="site").partitioner() == Column("site")
