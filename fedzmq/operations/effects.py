"""What an operation does besides its result: which arguments it writes to, and whether it draws random numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_WRITES = {
    "Tensor.__setitem__": (0,),
    "nn.functional.batch_norm": (1, 2),
    "nn.functional.instance_norm": (1, 2),
    "torch.batch_norm": (3, 4),
    "torch.instance_norm": (3, 4),
    "torch._fused_sgd_": (0, 2),
    "torch._fused_adagrad_": (0, 2, 3),
    "torch._fused_adam_": (0, 2, 3, 4, 5),
    "torch._fused_adamw_": (0, 2, 3, 4, 5),
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
        "torch.bernoulli",
        "torch.dropout",
        "torch.dropout_",
        "torch.gru",
        "torch.lstm",
        "torch.multinomial",
        "torch.normal",
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
    }
)
"""Those that draw, or draw under some arguments: dropout inside a recurrent network, for example."""


_UPDATES_STATISTICS = {
    # The position, the keyword and the default of the argument that says whether statistics are updated.
    "nn.functional.batch_norm": (5, "training", False),
    "nn.functional.instance_norm": (5, "use_input_stats", True),
    "torch.batch_norm": (5, "training", False),
    "torch.instance_norm": (5, "use_input_stats", True),
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
    if name in _UPDATES_STATISTICS:
        position, keyword, default = _UPDATES_STATISTICS[name]
        updates = arguments[position] if len(arguments) > position else keywords.get(keyword, default)
        return writes(name) if updates else ()
    return (0,) if keywords.get("inplace") is True else writes(name)
