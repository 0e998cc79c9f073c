"""What is checked before an operation runs: how much memory its numbers ask for, and what crashes kernels."""
