"""One optimizer for each worker over the same parameters, for a program that sends one model around.

Adam's averages of bob's gradients then stay bob's: each optimizer's state lives where it was last stepped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch.optim import Optimizer

from fedzmq.errors import UsageError
from fedzmq.pointers.copies import built_like


class Optims:
    """`optims.get_optim(data.location.id)` is the optimizer for that worker. All are made like `optim`."""

    def __init__(self, workers: Iterable[Any], optim: Optimizer) -> None:
        self.optim = optim
        self.workers = [_name(worker) for worker in workers]
        parameters = [list(group["params"]) for group in optim.param_groups]
        self.optimizers = {name: built_like(optim, parameters) for name in self.workers}
        for made in self.optimizers.values():
            for group, of in zip(made.param_groups, optim.param_groups, strict=True):
                group.update({name: value for name, value in of.items() if name != "params"})

    def get_optim(self, worker: Any) -> Optimizer:
        """Raises UsageError for a worker that none was made for."""
        found = self.optimizers.get(_name(worker))
        if found is None:
            raise UsageError(f"no optimizer is for worker {_name(worker)!r} (there are: {', '.join(self.workers)})")
        return found

    def count(self) -> int:
        return len(self.optimizers)

    def __len__(self) -> int:
        return len(self.optimizers)


def _name(worker: Any) -> str:
    return worker if isinstance(worker, str) else str(worker.name)
