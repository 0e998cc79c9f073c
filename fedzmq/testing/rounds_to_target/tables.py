"""The two tables of the paper, in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedzmq.testing.rounds_to_target.cell import Cell, Found
from fedzmq.testing.rounds_to_target.digits import SPLITS

WAYS: tuple[tuple[int, int | None], ...] = (
    (1, None),
    (5, None),
    (1, 50),
    (20, None),
    (1, 10),
    (5, 50),
    (20, 50),
    (5, 10),
    (20, 10),
)
"""Local epochs E and batch size B, as in the paper's table 2; the first is FedSGD."""
FRACTIONS = (0.05, 0.2, 0.5, 1.0)
COMPARED: tuple[tuple[int, int | None], ...] = ((1, None), (5, 10))


def local_work(found: Mapping[Cell, Found], ways: Sequence[tuple[int, int | None]] = WAYS) -> str:
    """By local epochs and batch size, each beside FedSGD: the paper's table 2."""
    lines = [f"| | E | B | u | {' | '.join(SPLITS)} |", "|---|---|---|---|" + "---|" * len(SPLITS)]
    for epochs, size in ways:
        cells = [found[Cell(split, epochs, size)] for split in SPLITS]
        name = "FedSGD" if cells[0].cell.is_fedsgd else "FedAvg"
        firsts = [found[Cell(split, *ways[0])] for split in SPLITS]
        texts = [_text(cell, first) for cell, first in zip(cells, firsts, strict=True)]
        lines.append(f"| {name} | {epochs} | {size or '∞'} | {cells[0].cell.updates:.3g} | {' | '.join(texts)} |")
    return "\n".join(lines)


def participation(found: Mapping[Cell, Found]) -> str:
    """By the share of workers that a round asks: the paper's table 1."""
    heads = [
        f"{'FedSGD' if size is None else f'E={epochs} B={size}'}, {split}"
        for split in SPLITS
        for epochs, size in COMPARED
    ]
    lines = [f"| C | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for fraction in FRACTIONS:
        texts = []
        for split in SPLITS:
            first = found[Cell(split, *COMPARED[0], fraction)]
            texts += [_text(found[Cell(split, *way, fraction)], first) for way in COMPARED]
        lines.append(f"| {fraction:g} | {' | '.join(texts)} |")
    return "\n".join(lines)


def work_cells() -> list[Cell]:
    """What `local_work` shows."""
    return [Cell(split, *way) for split in SPLITS for way in WAYS]


def participation_cells() -> list[Cell]:
    """What `participation` shows."""
    return [Cell(split, *way, fraction) for split in SPLITS for way in COMPARED for fraction in FRACTIONS]


def _text(found: Found, first: Found) -> str:
    """Rounds, and how many times fewer than FedSGD's."""
    if found.mean is None:
        return "—"
    if found is first or first.mean is None:
        return f"{found.mean:.0f}"
    ratio = f"{first.mean / found.mean:.1f}x"
    return f"{found.mean:.1f} ({f'**{ratio}**' if first.mean >= 10 * found.mean else ratio})"
