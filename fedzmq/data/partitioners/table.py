"""The partitioners by the names that the command line uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from fedzmq.data.partitioners.classes import Classes
from fedzmq.data.partitioners.column import Column
from fedzmq.data.partitioners.dirichlet import Dirichlet
from fedzmq.data.partitioners.iid import Iid
from fedzmq.data.partitioners.partitioner import Partitioner
from fedzmq.data.partitioners.shards import Shards
from fedzmq.data.partitioners.sizes import PowerLaw, Quantity
from fedzmq.errors import UsageError
from fedzmq.suggestion import suggestion

PARTITIONERS: Mapping[str, type[Partitioner]] = {
    "iid": Iid,
    "dirichlet": Dirichlet,
    "shards": Shards,
    "classes": Classes,
    "quantity": Quantity,
    "powerlaw": PowerLaw,
    "column": Column,
}


def by_name(name: str, **options: object) -> Partitioner:
    """The partitioner of that name; of the options it takes those that it has. Raises UsageError."""
    known = PARTITIONERS.get(name)
    if known is None:
        hint = suggestion(name, PARTITIONERS)
        raise UsageError(f"no way to split is called {name!r} (known: {', '.join(PARTITIONERS)}){hint}")
    taken = {field.name for field in fields(known)}  # type: ignore[arg-type]
    return known(**{option: value for option, value in options.items() if option in taken})
