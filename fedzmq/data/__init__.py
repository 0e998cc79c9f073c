"""Data sets at their owner's: read, ordered into batches, and shared out. Nothing here knows of workers or the wire."""
