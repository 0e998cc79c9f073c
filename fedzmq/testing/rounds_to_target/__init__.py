"""Rounds to a target accuracy, FedSGD against federated averaging, after McMahan et al. 2017 (arXiv:1602.05629)."""
