"""The only place that knows both torch tensors and bytes."""
