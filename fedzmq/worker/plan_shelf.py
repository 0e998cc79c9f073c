"""The plans that a worker was given, checked and compiled, by the hash of their bytes.

A plan that cannot run here has its error in its place, so that whoever asks for it learns why.
"""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakValueDictionary

from fedzmq.errors import FedzmqError, UsageError
from fedzmq.plans.check import check
from fedzmq.plans.compiled import MOST_BYTES
from fedzmq.plans.compiled_plan import CompiledPlan
from fedzmq.plans.plan import from_bytes, name_of
from fedzmq.worker.stored_plan import StoredPlan

MOST_PLANS = 64


class PlanShelf:
    """Keeps the plans used last. A name cannot be claimed by another plan, because it is a hash.

    No result of their operations may be of more than `most_bytes`.
    """

    def __init__(self, most: int = MOST_PLANS, *, most_bytes: int = MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._plans: OrderedDict[str, CompiledPlan | FedzmqError] = OrderedDict()
        # A plan that its owner drops, or leaves behind, is no longer shared.
        self._keys: WeakValueDictionary[str, StoredPlan] = WeakValueDictionary()
        self._tags: WeakValueDictionary[str, StoredPlan] = WeakValueDictionary()

    def add(self, body: bytes) -> str:
        """Take a plan in, good or not, and give its name."""
        name = name_of(body)
        if name not in self._plans:
            self._plans[name] = self._prepared(body)
            while len(self._plans) > self._most:
                self._plans.popitem(last=False)
        return name

    def get(self, name: str) -> CompiledPlan | None:
        """The plan of that name; None where it was never given, or has made room for others.

        Raises ProtocolError, PlanError or OperationRefused where it was given and cannot run here.
        """
        found = self._plans.get(name)
        if found is None:
            return None
        self._plans.move_to_end(name)
        if isinstance(found, FedzmqError):
            raise found.with_traceback(None)
        return found

    def share(self, key: str, tags: tuple[str, ...], plan: StoredPlan) -> None:
        """Let every client fetch it. A tag is of the plan that took it last. Raises UsageError for another's key."""
        if self._keys.setdefault(key, plan) is not plan:
            raise UsageError(f"another plan is shared under {key!r} already")
        plan.key = key
        for tag in tags:
            self._tags[tag] = plan

    def shared(self, name: str) -> StoredPlan | None:
        """By its key, or by a tag."""
        return self._keys.get(name) or self._tags.get(name)

    def _prepared(self, body: bytes) -> CompiledPlan | FedzmqError:
        try:
            plan = from_bytes(body)
            check(plan)
            return CompiledPlan(plan, self._most_bytes)
        except FedzmqError as error:
            return error
