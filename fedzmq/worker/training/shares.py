"""The data of a worker in two shares: what it trains on, and what it holds out to evaluate on."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from fedzmq.data.examples import Examples
from fedzmq.data.partition import hold_out
from fedzmq.errors import DataError
from fedzmq.wire.messages import HeldOut

MOST_SPLITS = 4  # that are kept; each may be a copy of the data in memory

_Split = tuple[Examples, Examples]


class Shares:
    """Data sets by name, and their last splits."""

    def __init__(self, data: Mapping[str, Examples]) -> None:
        self._data = data
        self._splits: OrderedDict[tuple[str, HeldOut], _Split] = OrderedDict()

    def to_train(self, name: str, held_out: HeldOut) -> Examples:
        """All but what is held out. Raises DataError."""
        whole = self.whole(name)
        return self._split(whole, held_out)[0] if held_out.share else whole

    def to_evaluate(self, name: str, held_out: HeldOut) -> Examples:
        """What is held out, or all where nothing is. Raises DataError."""
        whole = self.whole(name)
        return self._split(whole, held_out)[1] if held_out.share else whole

    def whole(self, name: str) -> Examples:
        """Raises DataError."""
        if name in self._data:
            return self._data[name]
        raise DataError(name, f"this worker has {', '.join(self._data) or 'none'}; start it with --data")

    def _split(self, whole: Examples, held_out: HeldOut) -> _Split:
        key = (whole.name, held_out)
        split = self._splits.get(key)
        if split is None:
            split = self._splits[key] = hold_out(whole, held_out.share, held_out.seed)
        self._splits.move_to_end(key)
        while len(self._splits) > MOST_SPLITS:
            self._splits.popitem(last=False)
        return split
