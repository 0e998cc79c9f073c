"""A broker and workers on this machine."""
