"""What a worker is asked to do with a plan and a model: sent again with either that it lacks, once each."""

from __future__ import annotations

from abc import ABC, abstractmethod

from fedzmq.client.pending import Pending
from fedzmq.client.worker_handle import WorkerHandle
from fedzmq.errors import ProtocolError
from fedzmq.federated.edition import Edition
from fedzmq.tensors.buffers import Exported
from fedzmq.transports.connection import Buffer
from fedzmq.wire.messages import ModelMissing, PlanMissing, Reply


class Errand(ABC):
    """Begins with `_send`, which whoever derives from it calls once it is made. It ends with an answer, or an error."""

    def __init__(self, handle: WorkerHandle, plan: bytes, edition: Edition) -> None:
        self.handle = handle
        self._plan = plan
        self._edition = edition
        self._missed: set[type] = set()
        self._pending: Pending

    @property
    def done(self) -> bool:
        """Something came, or nothing will."""
        return self._pending.done

    def cancel(self) -> None:
        """Nobody will take the answer: it is dropped when it comes."""
        self.handle.cancel(self._pending)

    @abstractmethod
    def _ask(self, state: Exported, is_frozen: bool) -> Pending:
        """Ask for it: with this state, or with none where the worker has the model."""

    def _send(self) -> None:
        edition = self._edition
        is_there = not edition.lacks(self.handle) and ModelMissing not in self._missed
        self._pending = self._ask(Exported((), []) if is_there else edition.sent, edition.is_frozen and not is_there)

    def _lacked(self, reply: PlanMissing | ModelMissing) -> None:
        """The worker has not what it needs, and is about to be asked again."""
        if isinstance(reply, PlanMissing):
            self.handle.forget_plan(self._plan)
        else:
            self.handle.missed_model()

    def _answer(self) -> tuple[Reply, list[Buffer]] | None:
        """What came, once it is done; None where it lacked plan or model, and began once more.

        Raises RemoteError for a Failed, and ProtocolError where it lacks what it was given.
        """
        reply, buffers = self._pending.answer()
        if isinstance(reply, PlanMissing | ModelMissing):
            if type(reply) in self._missed:
                what = "plan" if isinstance(reply, PlanMissing) else "model"
                raise ProtocolError(f"it says that it has no {what}, and was given it twice")
            self._missed.add(type(reply))
            self._lacked(reply)
            self._send()
            return None
        return reply, buffers
