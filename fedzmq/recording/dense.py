"""Embeddings whose gradients are sparse, made ones whose gradients are dense: the same numbers, in another form."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn


def make_dense(parts: Iterable[object]) -> None:
    """A worker's optimizers take dense gradients. The attribute `sparse` is to be set back."""
    for each in parts:
        if isinstance(each, nn.Embedding | nn.EmbeddingBag) and each.sparse:
            each.sparse = False
