"""Federated averaging, with which the others are compared."""

from __future__ import annotations

from dataclasses import dataclass

from fedzmq.federated.strategies.strategy import Strategy


@dataclass(eq=False)
class FedAvg(Strategy):
    """The new model is the mean of the workers' models, weighted by their examples.

    McMahan et al. 2017, Communication-Efficient Learning of Deep Networks from Decentralized Data, algorithm 1.
    """
