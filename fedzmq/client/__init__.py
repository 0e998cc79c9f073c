"""Tensors and modules that live on workers."""
