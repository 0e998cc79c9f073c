"""How much is measured: enough to be believed, or only enough to see that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """`repeats` turns for each side, of so many operations, training steps, or round trips; tensors of `sizes` MiB, of
    which a turn moves so many that they come to `together` MiB.

    `endurance` counts the steps of the long run. `rounds` are those of one turn, and `crowd` the workers of a large
    one; a coordinator's memory is looked at with a model of `model` MiB and each of the `crews`.
    """

    repeats: int = 7
    operations: int = 5000
    steps: int = 400
    round_trips: int = 300
    sizes: tuple[int, ...] = (1, 16, 64, 256)
    together: int = 64
    endurance: int = 100_000
    rounds: int = 40
    crowd: int = 50
    model: int = 64
    crews: tuple[int, ...] = (2, 8, 64)


QUICK = Effort(
    repeats=1,
    operations=50,
    steps=5,
    round_trips=5,
    sizes=(1,),
    together=1,
    endurance=40,
    rounds=2,
    crowd=3,
    model=2,
    crews=(2,),
)
