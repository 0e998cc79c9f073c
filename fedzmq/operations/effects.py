"""What an operation does besides its result: which arguments it writes to, and whether it draws random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_WRITES = {
    "Tensor.__setitem__": (0,),
    "nn.functional.batch_norm": (1, 2),
    "nn.functional.embedding": (1,),
    "nn.functional.embedding_bag": (1,),
    "nn.functional.instance_norm": (1, 2),
    "torch.batch_norm": (3, 4),
    "torch.instance_norm": (3, 4),
    "torch.native_batch_norm": (3, 4),
    "torch._fused_sgd_": (0, 2),
    "torch._fused_adagrad_": (0, 2),
    "torch._fused_adam_": (0, 2, 3, 4),
    "torch._fused_adamw_": (0, 2, 3, 4),
}
_STATISTICS = frozenset({"running_mean", "running_var"})
_KEYWORDS = {
    "nn.functional.batch_norm": _STATISTICS,
    "nn.functional.embedding": frozenset({"weight"}),
    "nn.functional.embedding_bag": frozenset({"weight"}),
    "nn.functional.instance_norm": _STATISTICS,
    "torch.batch_norm": _STATISTICS,
    "torch.instance_norm": _STATISTICS,
    "torch.native_batch_norm": _STATISTICS,
}
_INPLACE_OPERATORS = frozenset(
    f"Tensor.__i{name}__"
    for name in (
        "add",
        "and",
        "floordiv",
        "lshift",
        "mod",
        "mul",
        "or",
        "pow",
        "rshift",
        "sub",
        "truediv",
        "xor",
    )
)

RANDOM = frozenset(
    {
        "Tensor.bernoulli",
        "Tensor.bernoulli_",
        "Tensor.cauchy_",
        "Tensor.exponential_",
        "Tensor.geometric_",
        "Tensor.log_normal_",
        "Tensor.multinomial",
        "Tensor.normal_",
        "Tensor.random_",
        "Tensor.uniform_",
        "nn.functional.alpha_dropout",
        "nn.functional.dropout",
        "nn.functional.dropout1d",
        "nn.functional.dropout2d",
        "nn.functional.dropout3d",
        "nn.functional.feature_alpha_dropout",
        "nn.functional.fractional_max_pool2d",
        "nn.functional.fractional_max_pool2d_with_indices",
        "nn.functional.fractional_max_pool3d",
        "nn.functional.fractional_max_pool3d_with_indices",
        "nn.functional.gumbel_softmax",
        "nn.functional.multi_head_attention_forward",
        "nn.functional.rrelu",
        "nn.functional.rrelu_",
        "nn.functional.scaled_dot_product_attention",
        "nn.init.kaiming_normal_",
        "nn.init.kaiming_uniform_",
        "nn.init.normal_",
        "nn.init.orthogonal_",
        "nn.init.uniform_",
        "nn.init.xavier_normal_",
        "nn.init.xavier_uniform_",
        "torch._sample_dirichlet",
        "torch._standard_gamma",
        "torch.alpha_dropout",
        "torch.alpha_dropout_",
        "torch.bernoulli",
        "torch.binomial",
        "torch.dropout",
        "torch.dropout_",
        "torch.feature_alpha_dropout",
        "torch.feature_alpha_dropout_",
        "torch.feature_dropout",
        "torch.feature_dropout_",
        "torch.gru",
        "torch.lstm",
        "torch.multinomial",
        "torch.native_dropout",
        "torch.normal",
        "torch.pca_lowrank",
        "torch.poisson",
        "torch.rand",
        "torch.rand_like",
        "torch.randint",
        "torch.randint_like",
        "torch.randn",
        "torch.randn_like",
        "torch.randperm",
        "torch.rnn_relu",
        "torch.rnn_tanh",
        "torch.rrelu",
        "torch.svd_lowrank",
    }
)
"""Those that draw, or draw under some arguments: dropout inside a recurrent network, for example."""


_WRITES_WHEN: dict[str, tuple[int, str, bool | None]] = {
    # The position, the keyword and the default of the argument that says whether it writes: statistics are updated,
    # or rows are renormed to a greatest norm.
    "nn.functional.embedding": (3, "max_norm", None),
    "nn.functional.embedding_bag": (3, "max_norm", None),
    "nn.functional.batch_norm": (5, "training", False),
    "nn.functional.instance_norm": (5, "use_input_stats", True),
    "torch.batch_norm": (5, "training", False),
    "torch.instance_norm": (5, "use_input_stats", True),
    "torch.native_batch_norm": (5, "training", False),
}
_INPLACE_AT = {
    # Where `inplace` comes among the arguments.
    "nn.functional.celu": 2,
    "nn.functional.elu": 2,
    "nn.functional.hardsigmoid": 1,
    "nn.functional.hardswish": 1,
    "nn.functional.hardtanh": 3,
    "nn.functional.leaky_relu": 2,
    "nn.functional.mish": 1,
    "nn.functional.relu": 1,
    "nn.functional.relu6": 1,
    "nn.functional.rrelu": 4,
    "nn.functional.selu": 1,
    "nn.functional.silu": 1,
    "nn.functional.threshold": 3,
    "nn.functional.alpha_dropout": 3,
    "nn.functional.dropout": 3,
    "nn.functional.dropout1d": 3,
    "nn.functional.dropout2d": 3,
    "nn.functional.dropout3d": 3,
    "nn.functional.feature_alpha_dropout": 3,
}


def writes(name: str) -> tuple[int, ...]:
    """The positions of the arguments that the operation may write to; each is a tensor, a list of them or None."""
    if name in _WRITES:
        return _WRITES[name]
    last = name.rpartition(".")[2]
    in_place = name in _INPLACE_OPERATORS or (last.endswith("_") and not last.endswith("__"))
    return (0,) if in_place else ()


def writes_now(name: str, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[int, ...]:
    """The same under these arguments: those of a normalisation in evaluation are not written, `inplace=True` is."""
    if keywords.get("grad_scale") is not None:
        return (*writes(name), 1)  # the fused optimizers divide the gradients by it
    if name in _WRITES_WHEN:
        position, keyword, default = _WRITES_WHEN[name]
        chosen = arguments[position] if len(arguments) > position else keywords.get(keyword, default)
        return () if chosen is None or chosen is False else writes(name)
    position = _INPLACE_AT.get(name, len(arguments))
    chosen = arguments[position] if position < len(arguments) else keywords.get("inplace")
    is_flag = chosen is None or isinstance(chosen, (int, float))
    return (0,) if (chosen if is_flag else True) else writes(name)


def written_keywords(name: str) -> frozenset[str]:
    """The names under which the arguments that it writes to, where it does, may come as keywords instead."""
    return _KEYWORDS.get(name, frozenset())
