"""Peers that do not what is asked of them."""
