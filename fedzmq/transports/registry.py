"""Which transport serves which scheme of address.

A scheme that was registered here comes first, then those that ship with fedzmq, then what other packages offer under
the entry point group `fedzmq.transports`. Nothing is imported before an address asks for it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from fedzmq.errors import AddressError, MissingExtraError
from fedzmq.suggestion import suggestion
from fedzmq.transports.connection import Connection
from fedzmq.transports.names import check_name

ENTRY_POINTS = "fedzmq.transports"

Connect = Callable[[str, str], Connection]  # (address, name)


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """Where a transport of our own is, and what to install where its library is missing."""

    module: str
    function: str
    package: str = ""
    extra: str = ""


_BUILT_IN = {
    "memory": BuiltIn("fedzmq.transports.memory", "connect"),
    "tcp": BuiltIn("fedzmq.transports.zeromq", "connect"),
    "ipc": BuiltIn("fedzmq.transports.zeromq", "connect"),
}
# The one list that must be the process's own: whoever registers a transport wants every later `connect` to know it.
_registered: dict[str, Connect] = {}


def connect(address: str, name: str) -> Connection:
    """A connection to the medium at `address`, under `name`. Never waits for the other side.

    Raises AddressError for a scheme that nothing serves, InvalidName, and MissingExtraError.
    """
    check_name(name)
    scheme, separator, _ = address.partition("://")
    if not separator:
        raise AddressError(address, f"expected scheme://place, with one of the schemes {', '.join(schemes())}")
    return _find(scheme, address)(address, name)


def register_transport(scheme: str, connect_function: Connect) -> None:
    """Let `connect_function(address, name)` serve a scheme from now on, before any other that does."""
    _registered[scheme] = connect_function


def schemes() -> list[str]:
    """Every scheme that is served here."""
    return sorted({*_registered, *_BUILT_IN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def _find(scheme: str, address: str) -> Connect:
    if scheme in _registered:
        return _registered[scheme]
    if scheme in _BUILT_IN:
        return _load(_BUILT_IN[scheme], scheme)
    for point in entry_points(group=ENTRY_POINTS, name=scheme):
        return _load_entry(point, address)
    known = schemes()
    hint = suggestion(scheme, known)
    raise AddressError(address, f"no transport for scheme {scheme!r} (known: {', '.join(known)}){hint}")


def _load(entry: BuiltIn, scheme: str) -> Connect:
    try:
        module = importlib.import_module(entry.module)
    except ModuleNotFoundError as error:
        if entry.package and error.name is not None and error.name.partition(".")[0] == entry.package:
            raise MissingExtraError(entry.package, entry.extra, f"the transport {scheme}://") from None
        raise
    return cast(Connect, getattr(module, entry.function))


def _load_entry(point: EntryPoint, address: str) -> Connect:
    try:
        return cast(Connect, point.load())
    except Exception as error:  # whatever a stranger's module does on import
        raise AddressError(
            address, f"the transport {point.value!r} that another package offers for it does not load: {error}"
        ) from error
