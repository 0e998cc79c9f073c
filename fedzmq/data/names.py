"""What clients call a data set where its owner says nothing else. Importing this imports no torch."""

from __future__ import annotations

from pathlib import Path

from fedzmq.data.own_code import names_a_function


def name_of(source: str) -> str:
    """A built-in name, a file's name without its ending, or a function's name."""
    return source.rpartition(":")[2] if names_a_function(source) else Path(source.partition(",")[0]).stem
