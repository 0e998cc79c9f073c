"""Who is there when a client comes: the medium says who is connected, and each worker says that it lives."""

from __future__ import annotations

from collections.abc import Callable

from fedzmq.session.endpoint import Endpoint
from fedzmq.session.heartbeat import ROLL_CALL
from fedzmq.session.presence import SLOWEST_BEAT
from fedzmq.transports import party
from fedzmq.transports.connection import PARTIES, Delivery


def wait_for_all(endpoint: Endpoint, wait_until: Callable[[Callable[[], bool], float], bool]) -> None:
    """Call the roll, and wait until all workers are on the roster: no longer than all that live take to say so.

    Those that the medium heard nothing of for longer than that are not waited for.
    """
    missing: set[str] | None = None  # until the medium says

    def note(delivery: Delivery, _: float) -> None:
        nonlocal missing
        parties = map(party.parse, delivery.frames)
        missing = {each.name for each in parties if ROLL_CALL in each.hears and each.silent <= SLOWEST_BEAT}

    def is_known(name: str) -> bool:
        return endpoint.presence.roster.get(name) is not None

    endpoint.hear(PARTIES, note)
    endpoint.presence.ask()
    wait_until(lambda: missing is not None and all(map(is_known, missing)), SLOWEST_BEAT)
    endpoint.unhear(PARTIES)
