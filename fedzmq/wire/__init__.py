"""What crosses the wire: a closed set of messages, and their bytes."""
