"""Ways to make one model of many workers' answers; each file is a strategy, or a family, named for it.

`strategy.py` is what they override, `table.py` gives them the names that the command line knows, and `server_step.py`
and `numbers.py` are what several of them share.
"""

from __future__ import annotations

from fedzmq.federated.strategies.strategy import Instructions, Opening, Strategy
from fedzmq.federated.strategies.table import STRATEGIES, by_name, options_of

__all__ = ["STRATEGIES", "Instructions", "Opening", "Strategy", "by_name", "options_of"]
