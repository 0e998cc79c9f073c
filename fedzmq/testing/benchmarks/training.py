"""Training with every operation remote, against the same loop here: a worker in another process, and a virtual one."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from fedzmq.client.hook import TorchHook
from fedzmq.client.virtual import VirtualWorker
from fedzmq.pointers.destination import Destination
from fedzmq.testing.benchmarks.mlp import Training
from fedzmq.testing.benchmarks.outcome import THROUGH_THE_BROKER, Bound, Outcome, beside, microseconds
from fedzmq.testing.benchmarks.site import Site

AT_A_WORKER, AT_A_VIRTUAL_ONE = Bound(1.3), Bound(2.2)


def measure(site: Site) -> Iterator[Outcome]:
    yield _at(site, site.worker, "training", "MLP, every operation remote", AT_A_WORKER)
    if site.is_ours:
        with site.far_worker() as worker:
            yield _at(site, worker, "training", THROUGH_THE_BROKER)


def measure_virtual(site: Site) -> Iterator[Outcome]:
    hook = TorchHook(torch)
    try:
        bob = VirtualWorker(hook, "bob")
        yield _at(site, bob, "virtual", "MLP, every operation at a virtual worker", AT_A_VIRTUAL_ONE)
    finally:
        hook.close()


def _at(site: Site, place: Destination, figure: str, what: str, bound: Bound | None = None) -> Outcome:
    steps = site.effort.steps
    there, here = Training(place), Training()
    turns = site.alternate(lambda: there.time(steps), (lambda: here.time(steps)) if site.is_ours else None)
    return beside(figure, what, "us/step", turns.to(microseconds), "plain torch", bound)
