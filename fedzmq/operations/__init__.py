"""The closed list of what a worker may be asked to compute."""
