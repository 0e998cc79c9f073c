"""What every place among workers answers alike, be it this process or a worker: by the names that PySyft has for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import torch

from fedzmq.pointers.destination import Destination, Home, worker_of
from fedzmq.pointers.pointer import Pointer
from fedzmq.recording.fetching import fetch_plan
from fedzmq.recording.plan import Plan

Self = TypeVar("Self", bound="Neighbour")


class Neighbour:
    """A place. All of one broker, or of one hook, reach each other anyhow."""

    def add_worker(self: Self, worker: Any) -> Self:
        """Itself: every worker finds every other one by way of the bus."""
        return self

    def add_workers(self: Self, workers: Iterable[Any]) -> Self:
        return self

    def is_framework_supported(self, name: str) -> bool:
        """Whether it computes with that framework, which is torch."""
        return name == "torch"

    def send_obj(self, obj: torch.Tensor, location: Destination | Home | str) -> torch.Tensor:
        """Send a tensor that is here, or move one, to stay there whatever becomes of its pointers; gives one."""
        if isinstance(obj, Pointer):
            moved = obj.move(location)
            return moved.disable_gc if isinstance(moved, Pointer) else moved
        return obj.send(location, garbage_collect_data=False)  # type: ignore[attr-defined, no-any-return]  # a verb

    def request_obj(self, obj_id: int, location: Destination | Home | str) -> torch.Tensor:
        """The value of what a worker stores for this client under that number, which stays there. One round trip."""
        (value,) = worker_of(location).stream.fetch([obj_id])
        return value

    def request_search(self, terms: str | Iterable[str], location: Any) -> list[Pointer]:
        """What a search on that worker finds."""
        found: list[Pointer] = location.search(terms)
        return found

    def fetch_plan(self, plan_id: str, location: Destination | str | None = None, copy: bool = True) -> Plan:
        """A plan that was sent to a worker, this one where none is named. See `fedzmq.fetch_plan`."""
        place: Any = self if location is None else location
        return fetch_plan(plan_id, place, copy)
