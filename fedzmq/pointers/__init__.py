"""The tensor that lives on a worker, and modules and optimizers of such tensors."""
