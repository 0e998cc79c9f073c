"""How far a worker's optimizer goes: what all of its steps weigh together, in units of the gradients.

A number, and no tensor: the rule of SGD is the same for every parameter, and linear in the gradients.
"""

from __future__ import annotations

from fedzmq.worker.training.optimizers.table import learning_rate
from fedzmq.worker.training.options import Options


class Way:
    """`length` is how far a gradient of one in every step takes a parameter: the sum of the learning rates, at first.

    Momentum has a gradient act in later steps too, and a pull back to where the parameter was, as FedProx has it,
    shortens the way. With the learning rate taken out of it, that is |a|_1 of FedNova (Wang et al. 2020, section 4.2).
    An optimizer other than SGD counts by its learning rates alone.
    """

    def __init__(self, optimizer: str, options: Options, pull: float = 0.0) -> None:
        self._lr = learning_rate(optimizer, options)
        given = options if optimizer == "sgd" else {}
        self._momentum = float(given.get("momentum", 0))
        self._dampening = float(given.get("dampening", 0))
        self._is_nesterov = bool(given.get("nesterov", False))
        self._pull = pull if optimizer == "sgd" else 0.0
        self._velocity: float | None = None  # the first gradient is not dampened
        self.length = 0.0

    def step(self, rate: float) -> None:
        """One step, in which that part of the learning rate counts."""
        gradient = 1 - self._pull * self.length
        if self._velocity is None:
            self._velocity = gradient
        else:
            self._velocity = self._momentum * self._velocity + (1 - self._dampening) * gradient
        if not self._momentum:
            move = gradient
        elif self._is_nesterov:
            move = gradient + self._momentum * self._velocity
        else:
            move = self._velocity
        self.length += self._lr * rate * move
