"""A plan that is on a worker already, brought here by its id or by a tag: whoever sent it."""

from __future__ import annotations

from collections.abc import Callable

from fedzmq.errors import PlanError, ProtocolError
from fedzmq.plans.plan import from_bytes
from fedzmq.pointers.destination import worker_of
from fedzmq.pointers.origins import origin
from fedzmq.pointers.verbs import Place
from fedzmq.recording.plan import Plan
from fedzmq.tensors.buffers import restore_all
from fedzmq.wire.messages import FetchPlan, PlanFetched, PlanMissing


def fetch_plan(name: str, location: Place, copy: bool = True) -> Plan:
    """A plan that was sent to a worker, by its id or by a tag of it, whoever sent it; one round trip.

    It comes with the values that its state has now, and without a function: it is run as it was recorded. What is
    fetched is always a copy, and the worker keeps its own. Raises PlanError where there is no such plan.
    """
    stream = worker_of(location).stream
    make: Callable[[int], FetchPlan] = lambda request: FetchPlan(request, name)  # noqa: E731
    reply, buffers = stream.answer(stream.ask(make, origin()))
    if isinstance(reply, PlanMissing):
        raise PlanError(
            f"worker {stream.worker!r} has no plan {name!r}: it was not sent there, or whoever sent it has left"
        )
    if not isinstance(reply, PlanFetched):
        raise ProtocolError(f"worker {stream.worker!r} answered a FetchPlan with {type(reply).__name__}")
    return Plan.of_recorded(reply.key, from_bytes(reply.plan), restore_all(reply.state, buffers))
