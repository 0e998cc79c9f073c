"""pyarrow, which is imported only where a parquet file is read or written."""

from __future__ import annotations

from types import ModuleType

from fedzmq.errors import MissingExtraError


def pyarrow_for(source: str) -> ModuleType:
    """The package with its parts. Raises MissingExtraError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", f"the parquet file {source}") from error
    module: ModuleType = pyarrow
    return module
