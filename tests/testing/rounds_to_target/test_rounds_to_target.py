from __future__ import annotations

import pytest

from fedzmq.testing.rounds_to_target.__main__ import main
from fedzmq.testing.rounds_to_target.cell import Cell, Effort, Found, measure, rounds_to
from fedzmq.testing.rounds_to_target.digits import split_digits
from fedzmq.testing.rounds_to_target.tables import WAYS, local_work, participation, participation_cells, work_cells


def test_averaging_reaches_in_a_tenth_of_the_rounds_what_fedsgd_does_not() -> None:
    averaging = rounds_to(Cell("IID", 20, 10), 0.46, seed=0, target=0.9, most=10)

    assert averaging is not None
    assert rounds_to(Cell("IID", 1, None), 0.46, seed=0, target=0.9, most=round(10 * averaging)) is None


def test_two_shards_are_few_digits_and_a_random_part_has_nearly_all() -> None:
    shards, held = split_digits("two shards")
    parts, _ = split_digits("IID")

    assert [len(parts), len(shards), len(held)] == [20, 20, 359]
    assert max(len(each.targets.unique()) for each in shards.values()) <= 4  # type: ignore[attr-defined]
    assert min(len(each.targets.unique()) for each in parts.values()) >= 9  # type: ignore[attr-defined]
    assert sum(len(each) for each in shards.values()) == sum(len(each) for each in parts.values()) == 1438


def test_the_rate_is_the_best_for_the_first_seed() -> None:
    effort = Effort(target=0.5, seeds=(0, 1), rates=(0.03, 0.3), first=0.03, most=40)
    found = measure(Cell("IID", 1, 10), effort)

    assert found.rate == 0.3
    assert found.rounds == tuple(rounds_to(found.cell, 0.3, seed, 0.5, 40) for seed in (0, 1))


@pytest.mark.parametrize("rate", [0.0, 1e30])
def test_a_rate_that_does_not_learn_finds_nothing(rate: float) -> None:
    effort = Effort(target=0.9, seeds=(0,), rates=(rate,), first=rate, most=3)

    assert measure(Cell("IID", 1, None), effort) == Found(Cell("IID", 1, None))


def test_the_tables_compare_each_cell_with_fedsgd() -> None:
    cells = [*work_cells(), *participation_cells()]
    rounds = [100.0 if cell.is_fedsgd else 100 / (cell.epochs * 50 / (cell.batch_size or 50)) for cell in cells]
    found = {cell: Found(cell, 0.1, (each,)) for cell, each in zip(cells, rounds, strict=True)}
    found[Cell("two shards", 20, 10)] = Found(Cell("two shards", 20, 10))
    work, share = local_work(found).splitlines(), participation(found).splitlines()

    assert len(work) == 2 + len(WAYS)
    assert work[2] == "| FedSGD | 1 | ∞ | 1 | 100 | 100 |"
    assert work[3] == "| FedAvg | 5 | ∞ | 5 | 20.0 (5.0x) | 20.0 (5.0x) |"
    assert work[-1] == "| FedAvg | 20 | 10 | 144 | 1.0 (**100.0x**) | — |"
    assert share[2] == "| 0.05 | 100 | 4.0 (**25.0x**) | 100 | 4.0 (**25.0x**) |"


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--quick"])
    out, err = capsys.readouterr()

    assert out.startswith("| | E | B | u | IID | two shards |\n")
    assert len(err.splitlines()) == 4
