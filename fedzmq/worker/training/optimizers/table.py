"""The optimizers by name, and what is wrong with a name or an option."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from fedzmq.errors import UsageError
from fedzmq.suggestion import check_named
from fedzmq.worker.training.optimizers.adagrad import Adagrad
from fedzmq.worker.training.optimizers.adam import Adam, AdamW
from fedzmq.worker.training.optimizers.adam_variants import Adamax, NAdam, RAdam
from fedzmq.worker.training.optimizers.optimizer import Optimizer
from fedzmq.worker.training.optimizers.rmsprop import Adadelta, RMSprop
from fedzmq.worker.training.optimizers.sgd import SGD
from fedzmq.worker.training.options import Options, check_number

OPTIMIZERS: Mapping[str, type[Optimizer]] = {
    "adadelta": Adadelta,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamax": Adamax,
    "adamw": AdamW,
    "nadam": NAdam,
    "radam": RAdam,
    "rmsprop": RMSprop,
    "sgd": SGD,
}

_OPTIONS = {name: kind.DEFAULTS for name, kind in OPTIMIZERS.items()}
_BELOW_ONE = ("alpha", "beta1", "beta2", "rho")


def make_optimizer(name: str, parameters: Sequence[Tensor], options: Options) -> Optimizer:
    """The optimizer of that name over these parameters. UsageError names the known names and options."""
    return _known(name, options)(parameters, options)


def check_optimizer(name: str, options: Options) -> None:
    """Raises the UsageError that `make_optimizer` would."""
    make_optimizer(name, (), options)


def learning_rate(name: str, options: Options) -> float:
    """That of an optimizer with these options: the given one, or its own."""
    return float(options.get("lr", OPTIMIZERS[name].DEFAULTS["lr"]))


def _known(name: str, options: Options) -> type[Optimizer]:
    check_named("optimizer", name, _OPTIONS, options)
    for option, value in options.items():
        check_number("an optimizer", option, value)
        if option in _BELOW_ONE and value >= 1:
            raise UsageError(f"the option {option!r} of an optimizer is {value:g}, and it must be below 1")
    return OPTIMIZERS[name]
