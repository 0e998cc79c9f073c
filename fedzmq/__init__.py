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
    FederatedMember,
    FedzmqError,
    FolderLocked,
    FunctionError,
    GetNotPermittedError,
    IntegerTooLarge,
    InvalidName,
    InvalidTensorForRemoteGet,
    JobFileError,
    LimitExceeded,
    MissingExtraError,
    ModelError,
    NameTaken,
    NeedsValueError,
    NotEnoughWorkers,
    NothingFound,
    NotInPlaceError,
    ObjectNotFoundError,
    OperationRefused,
    PlanArgumentError,
    PlanError,
    PlanNeedsValue,
    PlanNotBuilt,
    PointerError,
    ProtocolError,
    RemoteError,
    RequestTimeout,
    RunChanged,
    RunFolderError,
    RunFolderFull,
    RunLocked,
    RunNotFound,
    SendNotPermittedError,
    StrategyFailed,
    TensorsNotCollocatedException,
    TransportClosed,
    UnavailableError,
    UpdateNotFinite,
    UpdateRefused,
    UsageError,
    WorkerExists,
    WorkerLost,
    WorkerNotFoundError,
)

if TYPE_CHECKING:
    from fedzmq.client.client import Client, connect
    from fedzmq.client.grid import PrivateGridNetwork
    from fedzmq.client.hook import TorchHook
    from fedzmq.client.sandbox import create_sandbox
    from fedzmq.client.virtual import VirtualWorker
    from fedzmq.cluster.local_cluster import LocalCluster
    from fedzmq.datasets.base_dataset import BaseDataset
    from fedzmq.datasets.federate import federate
    from fedzmq.datasets.federated_dataset import FederatedDataset
    from fedzmq.datasets.federated_loader import FederatedDataLoader
    from fedzmq.federated.evaluation.metrics import Metric
    from fedzmq.federated.model_arithmetic import federated_avg
    from fedzmq.federated.optims import Optims
    from fedzmq.federation.federation import Federation
    from fedzmq.pointers.multi_pointer import MultiPointer, combine_pointers
    from fedzmq.recording.decorators import func2plan, plan
    from fedzmq.recording.evaluation_plan import Sum
    from fedzmq.recording.fetching import fetch_plan
    from fedzmq.recording.plan import Plan
    from fedzmq.recording.protocol import Protocol, func2protocol

    __version__: str

__all__ = [
    "AddressError",
    "AddressInUse",
    "BaseDataset",
    "BrokerUnreachable",
    "Client",
    "ClusterError",
    "DataError",
    "FederatedDataLoader",
    "FederatedDataset",
    "FederatedMember",
    "Federation",
    "FedzmqError",
    "FolderLocked",
    "FunctionError",
    "GetNotPermittedError",
    "IntegerTooLarge",
    "InvalidName",
    "InvalidTensorForRemoteGet",
    "JobFileError",
    "LimitExceeded",
    "LocalCluster",
    "Metric",
    "MissingExtraError",
    "ModelError",
    "MultiPointer",
    "NameTaken",
    "NeedsValueError",
    "NotEnoughWorkers",
    "NotInPlaceError",
    "NothingFound",
    "ObjectNotFoundError",
    "OperationRefused",
    "Optims",
    "Plan",
    "PlanArgumentError",
    "PlanError",
    "PlanNeedsValue",
    "PlanNotBuilt",
    "PointerError",
    "PrivateGridNetwork",
    "Protocol",
    "ProtocolError",
    "RemoteError",
    "RequestTimeout",
    "RunChanged",
    "RunFolderError",
    "RunFolderFull",
    "RunLocked",
    "RunNotFound",
    "SendNotPermittedError",
    "StrategyFailed",
    "Sum",
    "TensorsNotCollocatedException",
    "TorchHook",
    "TransportClosed",
    "UnavailableError",
    "UpdateNotFinite",
    "UpdateRefused",
    "UsageError",
    "VirtualWorker",
    "WorkerExists",
    "WorkerLost",
    "WorkerNotFoundError",
    "combine_pointers",
    "connect",
    "create_sandbox",
    "federate",
    "federated_avg",
    "fetch_plan",
    "func2plan",
    "func2protocol",
    "plan",
]

_LAZY = {
    "MultiPointer": "fedzmq.pointers.multi_pointer",
    "combine_pointers": "fedzmq.pointers.multi_pointer",
    "Client": "fedzmq.client.client",
    "connect": "fedzmq.client.client",
    "LocalCluster": "fedzmq.cluster.local_cluster",
    "PrivateGridNetwork": "fedzmq.client.grid",
    "create_sandbox": "fedzmq.client.sandbox",
    "Metric": "fedzmq.federated.evaluation.metrics",
    "Optims": "fedzmq.federated.optims",
    "Sum": "fedzmq.recording.evaluation_plan",
    "TorchHook": "fedzmq.client.hook",
    "VirtualWorker": "fedzmq.client.virtual",
    "Plan": "fedzmq.recording.plan",
    "BaseDataset": "fedzmq.datasets.base_dataset",
    "FederatedDataLoader": "fedzmq.datasets.federated_loader",
    "FederatedDataset": "fedzmq.datasets.federated_dataset",
    "federate": "fedzmq.datasets.federate",
    "Federation": "fedzmq.federation.federation",
    "federated_avg": "fedzmq.federated.model_arithmetic",
    "fetch_plan": "fedzmq.recording.fetching",
    "func2plan": "fedzmq.recording.decorators",
    "Protocol": "fedzmq.recording.protocol",
    "func2protocol": "fedzmq.recording.protocol",
    "plan": "fedzmq.recording.decorators",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        # Read from what was installed: pyproject.toml is the one place that says it.
        return import_module("importlib.metadata").version("fedzmq")
    if name == "local_worker":  # of the client that was made last, as programs written for PySyft ask for theirs
        newest = import_module("fedzmq.pointers.destination").DIRECTORIES.newest_first()
        if newest:
            return newest[0].home
        raise AttributeError("fedzmq.local_worker is that of a client: make one first, with fedzmq.TorchHook(torch)")
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
