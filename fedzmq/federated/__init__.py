"""Models trained where the data is."""
