"""What all clients of one worker share: its owner's data and functions, and what is kept and ruled for all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fedzmq.data.examples import Examples
from fedzmq.errors import WorkerLost
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import DatasetInfo, Deliver, Undelivered
from fedzmq.worker.dataset_info import dataset_info
from fedzmq.worker.exchange import Exchange
from fedzmq.worker.fingerprints import Fingerprints
from fedzmq.worker.functions import Functions
from fedzmq.worker.labels import AllLabels
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.privacy import Privacy
from fedzmq.worker.store import DEFAULT_QUOTA
from fedzmq.worker.training.memory import Memory
from fedzmq.worker.training.results import Results


def _nowhere(worker: str, boot: bytes, message: Deliver | Undelivered, buffers: Sequence[Buffer]) -> None:
    raise WorkerLost(worker, "this worker reaches no other")


@dataclass(frozen=True, slots=True, eq=False)
class Commons:
    """`infos` are what clients are told of the data, and `quota` is how many bytes each of them may keep.

    `memory` and `results` outlive the clients: a coordinator that was killed comes back as another one.
    """

    data: Mapping[str, Examples] = field(default_factory=dict)
    tell_labels: bool = False
    quota: int = DEFAULT_QUOTA
    functions: Functions = field(default_factory=Functions)
    plans: PlanShelf = field(default_factory=PlanShelf)
    memory: Memory = field(default_factory=Memory)
    results: Results = field(default_factory=Results)
    fingerprints: Fingerprints = field(default_factory=Fingerprints)
    exchange: Exchange = field(default_factory=lambda: Exchange(_nowhere))
    labels: AllLabels = field(default_factory=AllLabels)
    privacy: Privacy = field(default_factory=Privacy)
    infos: tuple[DatasetInfo, ...] = field(init=False)

    def __post_init__(self) -> None:
        infos = tuple(dataset_info(each, labels=self.tell_labels) for each in self.data.values())
        object.__setattr__(self, "infos", infos)
