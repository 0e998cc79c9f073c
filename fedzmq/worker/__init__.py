"""The process that holds tensors and data, and runs commands on them."""
