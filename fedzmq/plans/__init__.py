"""Recorded computations: checked, compiled, and run without traffic."""
