"""What becomes of the updates of a round: pulled, checked, and combined piece by piece."""
