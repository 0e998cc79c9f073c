"""The operations by the namespace of torch that they come from, each written out."""
