"""Layers that stay on the worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.strategies.strategy import Strategy


@dataclass(eq=False)
class FedPer(Strategy):
    """The base layers are averaged, and each worker keeps personal layers on top of them, trained together with them.

    keep: patterns of the names that stay, such as "head.*,norm.*"; empty is the last layer that has parameters.
    Arivazhagan et al. 2019, Federated Learning with Personalization Layers, algorithms 1 and 2.
    """

    keep: str = ""

    def personal(self, model: torch.nn.Module) -> Sequence[str]:
        names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
        parameters = [name for name, _ in model.named_parameters()]
        patterns = [each.strip() for each in self.keep.split(",") if each.strip()]
        if not patterns:
            layer = parameters[-1].rpartition(".")[0] if parameters else ""
            patterns = [f"{layer}.*" if layer else "*"]
        kept = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
        if not kept:
            raise UsageError(f"no name matches {', '.join(patterns)} (the model has {', '.join(names)})")
        if set(kept) >= set(parameters):
            raise UsageError("all parameters would stay on the workers, and nothing would be shared; use 'keep'")
        return kept
