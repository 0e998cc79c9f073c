"""PyTorch tensors that live somewhere else, and models trained where the data is.

Importing this imports no torch: a name is imported when it is first used, because a broker needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fedzmq.errors import (
    AddressError,
    AddressInUse,
    BrokerUnreachable,
    ClusterError,
    DataError,
    FedzmqError,
    GetNotPermittedError,
    InvalidName,
    LimitExceeded,
    MissingExtraError,
    ModelError,
    NameTaken,
    NeedsValueError,
    NotEnoughWorkers,
    OperationRefused,
    PlanError,
    PointerError,
    ProtocolError,
    RemoteError,
    RequestTimeout,
    RunFolderError,
    TensorsNotCollocatedException,
    TransportClosed,
    UnavailableError,
    UpdateRefused,
    UsageError,
    WorkerLost,
    WorkerNotFoundError,
)

if TYPE_CHECKING:
    from fedzmq.client.client import Client, connect
    from fedzmq.client.hook import TorchHook
    from fedzmq.client.virtual import VirtualWorker
    from fedzmq.testing.cluster import LocalCluster

    __version__: str

__all__ = [
    "AddressError",
    "AddressInUse",
    "BrokerUnreachable",
    "Client",
    "ClusterError",
    "DataError",
    "FedzmqError",
    "GetNotPermittedError",
    "InvalidName",
    "LimitExceeded",
    "LocalCluster",
    "MissingExtraError",
    "ModelError",
    "NameTaken",
    "NeedsValueError",
    "NotEnoughWorkers",
    "OperationRefused",
    "PlanError",
    "PointerError",
    "ProtocolError",
    "RemoteError",
    "RequestTimeout",
    "RunFolderError",
    "TensorsNotCollocatedException",
    "TorchHook",
    "TransportClosed",
    "UnavailableError",
    "UpdateRefused",
    "UsageError",
    "VirtualWorker",
    "WorkerLost",
    "WorkerNotFoundError",
    "connect",
]

_LAZY = {
    "Client": "fedzmq.client.client",
    "connect": "fedzmq.client.client",
    "LocalCluster": "fedzmq.testing.cluster",
    "TorchHook": "fedzmq.client.hook",
    "VirtualWorker": "fedzmq.client.virtual",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Read from what was installed: pyproject.toml is the one place that says it.
        return import_module("importlib.metadata").version("fedzmq")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
