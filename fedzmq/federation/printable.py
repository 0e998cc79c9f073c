"""Text that came from elsewhere, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The same with every control character but the end of a line written out: a terminal would obey them."""
    return "".join(each if each.isprintable() or each == "\n" else f"\\x{ord(each):02x}" for each in text)
