"""`bin/fuzz`: hours of it, or one call again."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from random import Random

import torch

from fedzmq.operations.catalog import CATALOG
from tests.operations.fuzz.corpus import corpus
from tests.operations.fuzz.trial import Trials
from tests.operations.fuzz.watch import Watch


def main() -> int:
    parser = argparse.ArgumentParser(prog="bin/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--rounds", type=int, help="trials of each operation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--of", default="", help="operations whose name holds this text")
    parser.add_argument("--again", nargs=2, metavar=("NAME", "SEED"), help="one call, in this process, told in full")
    options = parser.parse_args()
    torch.set_num_threads(1)
    calls = corpus(options.of)
    if options.again:
        name, seed = options.again
        trials = Trials(calls)
        arguments, keywords = trials.bent(CATALOG.number_of(name), int(seed))
        print(name, arguments, keywords, flush=True)
        print(trials.run(CATALOG.number_of(name), int(seed)) or "nothing is wrong")
        return 0
    numbers = [number for number, name in enumerate(CATALOG.names) if options.of in name]
    watch = Watch(calls, pairs(numbers, options.seed, options.rounds), options.seconds)
    watch.run()
    print(f"{watch.trials} trials of {len(numbers)} operations: {dict(watch.signals) or 'all survived'}")
    return bool(watch.findings)


def pairs(numbers: list[int], seed: int, rounds: int | None) -> Iterator[tuple[int, int]]:
    """Each operation once in a round, in another order in each, so that few share a process's memory twice."""
    random = Random(seed)
    for turn in itertools.count() if rounds is None else range(rounds):
        order = random.sample(numbers, len(numbers))
        for number in order:
            yield number, seed * 1_000_000 + turn


if __name__ == "__main__":
    raise SystemExit(main())
