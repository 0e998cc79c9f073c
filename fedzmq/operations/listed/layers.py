"""The functions of torch that layers and losses of torch.nn end in, beside those of torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

LAYERS: dict[str, Callable[..., Any]] = {
    # Dropout of other kinds.
    "torch.alpha_dropout": torch.alpha_dropout,
    "torch.feature_alpha_dropout": torch.feature_alpha_dropout,
    "torch.feature_dropout": torch.feature_dropout,
    "torch.native_dropout": torch.native_dropout,
    # Losses, with the reduction as a number.
    "torch.binary_cross_entropy_with_logits": torch.binary_cross_entropy_with_logits,
    "torch.cosine_embedding_loss": torch.cosine_embedding_loss,
    "torch.ctc_loss": torch.ctc_loss,
    "torch.hinge_embedding_loss": torch.hinge_embedding_loss,
    "torch.margin_ranking_loss": torch.margin_ranking_loss,
    "torch.poisson_nll_loss": torch.poisson_nll_loss,
    "torch.triplet_margin_loss": torch.triplet_margin_loss,
    # Pooling, with a guard where indices or random numbers come from the caller.
    "torch.adaptive_max_pool1d": torch.adaptive_max_pool1d,
    "torch.max_pool1d": torch.max_pool1d,
    "torch.max_pool1d_with_indices": torch.max_pool1d_with_indices,
    "torch.max_pool2d": torch.max_pool2d,
    "torch.max_pool3d": torch.max_pool3d,
    "nn.functional.fractional_max_pool2d": functional.fractional_max_pool2d,
    "nn.functional.fractional_max_pool2d_with_indices": functional.fractional_max_pool2d_with_indices,
    "nn.functional.fractional_max_pool3d": functional.fractional_max_pool3d,
    "nn.functional.fractional_max_pool3d_with_indices": functional.fractional_max_pool3d_with_indices,
    "nn.functional.max_unpool1d": functional.max_unpool1d,
    "nn.functional.max_unpool2d": functional.max_unpool2d,
    "nn.functional.max_unpool3d": functional.max_unpool3d,
    # Bags of embeddings: the offsets come from the caller and have a guard.
    "nn.functional.embedding_bag": functional.embedding_bag,
    # A classifier's last layer and its loss in one.
    "nn.functional.linear_cross_entropy": functional.linear_cross_entropy,
    # Sampling along a grid: the modes are numbers, which a guard checks.
    "torch.affine_grid_generator": torch.affine_grid_generator,
    "torch.grid_sampler": torch.grid_sampler,
    "torch.grid_sampler_2d": torch.grid_sampler_2d,
    "torch.grid_sampler_3d": torch.grid_sampler_3d,
    # Norms that are told sizes, and are given statistics, which a guard checks.
    "torch.native_batch_norm": torch.native_batch_norm,
    "torch.native_group_norm": torch.native_group_norm,
    # Others that check their arguments.
    "torch.constant_pad_nd": torch.constant_pad_nd,
    "torch.conv_tbc": torch.conv_tbc,
    "torch.native_channel_shuffle": torch.native_channel_shuffle,
    "torch.native_layer_norm": torch.native_layer_norm,
}
