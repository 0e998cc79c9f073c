from __future__ import annotations

from fedzmq.federated.seeds import derive


def test_a_seed_is_the_same_in_every_process() -> None:
    assert derive(1, "train", 2, "bob") == 206891896426546586


def test_every_purpose_has_a_seed_of_its_own() -> None:
    seeds = {derive(seed, what, number) for seed in (0, 1, -1) for what in ("a", "b") for number in range(50)}

    assert len(seeds) == 300


def test_a_seed_fits_a_field_of_the_wire() -> None:
    assert all(0 <= derive(seed, "x") < 1 << 62 for seed in range(100))
