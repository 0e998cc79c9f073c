"""The process in the middle: it routes frames and holds no truth."""
