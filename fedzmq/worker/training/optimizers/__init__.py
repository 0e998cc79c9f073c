"""The optimizers that train a plan, by name: each computes what the class of that name in `torch.optim` computes."""
