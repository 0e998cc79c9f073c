"""A function of yours, run once on pointers that lead nowhere, becomes a plan."""
