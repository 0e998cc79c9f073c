"""Batch normalization that stays on the worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.strategies.strategy import Strategy


@dataclass(eq=False)
class FedBN(Strategy):
    """All is averaged but what belongs to batch normalization: each worker keeps its own scale, shift and statistics.

    Li et al. 2021, FedBN: Federated Learning on Non-IID Features via Local Batch Normalization, algorithm 1. The
    model at the coordinator keeps the normalization that it began with.
    """

    def personal(self, model: torch.nn.Module) -> Sequence[str]:
        names = [
            f"{path}.{name}" if path else name
            for path, module in model.named_modules()
            if isinstance(module, torch.nn.modules.batchnorm._NormBase)
            for name in (*dict(module.named_parameters()), *dict(module.named_buffers()))
        ]
        if not names:
            raise UsageError(
                "FedBN keeps batch normalization on the workers, and this model has none; of the built-in ones, cnn has"
            )
        return names
