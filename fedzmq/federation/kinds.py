"""Whether what a user gives a training is of the kind that is expected: what is not is said before anything is made."""

from __future__ import annotations

from difflib import get_close_matches

import torch

from fedzmq.errors import UsageError
from fedzmq.federated.strategies import Strategy

_ALIKE = 0.8  # a slip of the keyboard, and not a name of another meaning


def check_model_kind(model: object) -> None:
    """Raises UsageError for what is neither a module nor a name."""
    if isinstance(model, type):
        raise UsageError(f"the model is the class {model.__name__}, and an instance is expected: {_made(model)}")
    if not isinstance(model, torch.nn.Module | str):
        raise UsageError(
            f"the model is {model!r:.60}, and a torch.nn.Module is expected, or a name that --model takes, as 'mlp'"
        )


def check_loss_kind(loss: object) -> None:
    """Raises UsageError for what is no name and cannot be called."""
    if isinstance(loss, type):
        raise UsageError(f"the loss is the class {loss.__name__}, and an instance is expected: {_made(loss)}")
    if loss is not None and not isinstance(loss, str) and not callable(loss):
        raise UsageError(
            f"the loss is {loss!r:.60}, and a function of the model's answers and the targets is expected, "
            "as torch.nn.functional.cross_entropy, or a name, as 'huber'; leave it out for what fits the data"
        )


def checked_strategy(strategy: object) -> Strategy:
    """Raises UsageError for what is no strategy, and for one whose method nobody would call for its name's sake."""
    if isinstance(strategy, type):
        raise UsageError(
            f"the strategy is the class {strategy.__name__}, and an instance is expected: {_made(strategy)}"
        )
    if not isinstance(strategy, Strategy):
        raise UsageError(f"the strategy is {strategy!r:.60}, and a name is expected, as 'fedavg', or a Strategy")
    kinds = type(strategy).__mro__
    base = next(kind for kind in kinds if kind.__module__.startswith(Strategy.__module__.rpartition(".")[0]))
    known = [name for name in dir(base) if not name.startswith("_") and callable(getattr(base, name))]
    own = {name: value for kind in kinds[: kinds.index(base)] for name, value in vars(kind).items()}
    unmet = [name for name in known if name not in own]
    for name, value in own.items():
        near = get_close_matches(name, unmet, n=1, cutoff=_ALIKE)
        if near and callable(value) and not hasattr(base, name) and not name.startswith("_"):
            raise UsageError(
                f"the strategy {type(strategy).__name__} has a method {name!r}, which nobody calls; did you mean "
                f"{near[0]!r}? One of its own begins with an underscore: '_{name}'"
            )
    return strategy


def _made(kind: type) -> str:
    return f"{kind.__name__}(...)"
