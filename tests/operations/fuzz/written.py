"""Good calls of operations of which torch has no samples, or none of the way that a kernel goes here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import arange, rand, randn, tensor

_RATES = {"lr": 0.1, "weight_decay": 0.0, "maximize": False}
_SGD = {**_RATES, "momentum": 0.9, "dampening": 0.0, "nesterov": False, "is_first_step": False}
_ADAM = {**_RATES, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "amsgrad": False}
_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def written() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """By the names of the catalog."""
    yield from _optimizers()
    yield from _recurrences()
    yield from _attentions()
    yield from _others()


def _optimizers() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    for kind in (torch.float32, torch.bfloat16):

        def some(kind: torch.dtype = kind) -> list[torch.Tensor]:
            return [randn(3, 4, dtype=kind), randn(5, dtype=kind)]

        def steps() -> list[torch.Tensor]:
            return [tensor(1.0), tensor(1.0)]

        yield "torch._fused_sgd_", (some(), some(), some()), _SGD
        yield "torch._fused_sgd_", (some(), some(), []), {**_SGD, "momentum": 0.0, "lr": tensor(0.1)}
        yield "torch._fused_adagrad_", (some(), some(), some(), steps()), {**_RATES, "lr_decay": 0.0, "eps": 1e-8}
        for name in ("torch._fused_adam_", "torch._fused_adamw_"):
            yield name, (some(), some(), some(), some(), some(), steps()), {**_ADAM, "amsgrad": True}
            yield name, (some(), some(), some(), some(), [], steps()), {**_ADAM, "grad_scale": tensor(2.0)}
            yield name, (some(), some(), some(), some(), [], steps()), {**_ADAM, "found_inf": tensor(0.0)}
    yield "torch._foreach_powsum", ([randn(3), randn(2, 2)], 2), {}


def _recurrences() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    for name, gates in _GATES.items():
        for two_ways, layers, projected in ((False, 1, 4), (True, 2, 4), (False, 1, 3)):
            if projected != 4 and gates != 4:
                continue
            torch.manual_seed(1)
            network = getattr(torch.nn, "RNN" if gates == 1 else name.upper())
            words = {"nonlinearity": name.removeprefix("rnn_")} if gates == 1 else {}
            words |= {"proj_size": projected} if projected != 4 else {}
            weights = [each.detach() for each in network(5, 4, layers, bidirectional=two_ways, **words)._flat_weights]
            rows = layers * (1 + two_ways)
            hidden = [rand(rows, 3, projected), rand(rows, 3, 4)][: 1 + (gates == 4)]
            state = hidden if gates == 4 else hidden[0]
            end = (True, layers, 0.0, False, two_ways)
            yield f"torch.{name}", (rand(6, 5), tensor([3, 2, 1]), state, weights, *end), {}
            yield f"torch.{name}", (rand(2, 3, 5), state, weights, *end, False), {}
        cell = (rand(2, 5), [rand(2, 4), rand(2, 4)] if gates == 4 else rand(2, 4))
        sizes = ((gates * 4, 5), (gates * 4, 4), (gates * 4,), (gates * 4,))
        yield f"torch.{name}_cell", (*cell, *map(rand, sizes)), {}
    yield "torch._pack_padded_sequence", (rand(4, 3, 2), tensor([4, 2, 1]), False), {}
    yield "torch._pack_padded_sequence", (rand(3, 4, 2), tensor([4, 2, 1]), True), {}
    yield "torch._pad_packed_sequence", (rand(7, 2), tensor([3, 2, 1, 1]), False, 0.0, 4), {}
    yield "torch._pad_packed_sequence", (rand(7, 2), tensor([3, 2, 1, 1]), True, 1.0, 6), {}


def _attentions() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    name = "nn.functional.scaled_dot_product_attention"
    for kind in (torch.float32, torch.bfloat16):
        query, key, value = (torch.rand(2, 4, n, 8, dtype=kind) for n in (5, 7, 7))
        few = torch.rand(2, 2, 7, 8, dtype=kind)
        yield name, (query, key, value), {"is_causal": True}
        yield name, (query, key, value), {"attn_mask": torch.ones(5, 7) > 0, "scale": 0.5}
        yield name, (query, key, value), {"attn_mask": torch.zeros(2, 1, 5, 7, dtype=kind), "dropout_p": 0.0}
        yield name, (query, few, few), {"enable_gqa": True}
        yield name, (query, key, value, torch.zeros(5, 7, dtype=kind), 0.5, False), {}


def _others() -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    image, square = rand(1, 4, 4, 4), rand(3, 3)
    yield "torch._grouped_mm", (rand(6, 8).bfloat16(), rand(2, 8, 8).bfloat16()), {"offs": tensor([2, 6]).int()}
    for dim in (0, 1, -1):
        shape = [3 if dim == 0 else 1, 4 if dim == 1 else 1]
        yield "torch._weight_norm", (rand(3, 4), rand(shape) if dim >= 0 else rand(()), dim), {}
    yield "torch.norm_except_dim", (rand(3, 4), 2, 0), {}
    yield "torch.conv_tbc", (rand(4, 2, 3), rand(2, 3, 5), rand(5), 1), {}
    yield "torch.native_channel_shuffle", (image, 2), {}
    yield "torch.affine_grid_generator", (rand(1, 2, 3), [1, 1, 4, 4], True), {}
    yield "nn.functional.affine_grid", (rand(1, 3, 4), [1, 1, 2, 4, 4]), {"align_corners": False}
    for mode in (0, 1, 2):
        yield "torch.grid_sampler", (image, rand(1, 3, 3, 2), mode, mode, True), {}
    yield "torch.tensordot", (rand(2, 3, 4), rand(4, 3, 2), ([1, 2], [1, 0])), {}
    yield "torch.slice_copy", (rand(5, 4), 0, 1, 4, 2), {}
    yield "torch.pca_lowrank", (rand(6, 5),), {"q": 2, "niter": 1}
    yield "torch.svd_lowrank", (rand(6, 5),), {"q": 2, "niter": 1, "M": rand(6, 5)}
    yield "torch.binomial", (torch.full((3,), 9.0), rand(3)), {}
    yield "torch.poisson", (rand(3) * 9,), {}
    for name in ("torch.orgqr", "Tensor.orgqr"):
        yield name, (rand(4, 3), rand(3)), {}
    yield "torch.frobenius_norm", (square, [0, 1]), {}
    yield "torch.nuclear_norm", (square, [0, 1], True), {}
    yield "torch.chain_matmul", (rand(2, 3), rand(3, 4), rand(4, 1)), {}
    for name in ("Tensor.moveaxis", "torch.moveaxis"):
        yield name, (image, [0, 1], [2, 3]), {}
    for index in (
        1,
        (slice(1, None), 0),
        tensor([0, 2]),
        square > 0.5,
        (tensor([0, 1]), tensor([1, 1])),
        (..., None, 1),
    ):
        yield "Tensor.__setitem__", (rand(3, 3), index, 0.5), {}
        yield "Tensor.__setitem__", (rand(3, 3), index, rand(1)), {}
    yield "Tensor.fill_diagonal_", (rand(4, 3), 1.0, True), {}
    yield "nn.functional.fold", (rand(1, 12, 9), (4, 4), (2, 2)), {"dilation": 1, "padding": 0, "stride": 1}
    yield "nn.functional.normalize", (square, 2.0, 1, 1e-12), {}
    yield "nn.functional.gumbel_softmax", (square, 1.0, True), {}
    yield "nn.init.dirac_", (rand(4, 2, 3, 3), 2), {}
    yield "nn.init.orthogonal_", (rand(4, 3), 1.0), {}
    made = square.requires_grad_()
    yield "torch.autograd.grad", ([made.sum() * 2], [made], [tensor(1.0)]), {"retain_graph": True}
    for name in ("bartlett", "blackman", "cosine", "gaussian", "hamming", "hann", "kaiser", "nuttall"):
        yield f"signal.windows.{name}", (7,), {"sym": False, "dtype": torch.float64}
    yield "signal.windows.general_cosine", (7,), {"a": [0.5, 0.3, 0.2]}
    yield "torch.multinomial", (rand(2, 5), 3, True), {}
    yield "torch.randperm", (9,), {"dtype": torch.int32}
    yield "torch.gather", (arange(12).view(3, 4), 1, tensor([[0], [3], [1]])), {}
