"""What is said while something is waited for: soon at first, and then ever more rarely."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from fedzmq.session.presence import AWAY, BACK, HUSH, Presence

if TYPE_CHECKING:
    from fedzmq.client.client import Client

FIRST = 5.0  # seconds of waiting that need no words
LOOK = 0.25  # seconds between two looks at who is silent
RAREST = 60.0  # seconds between two words in the long run
MOST = 3  # workers that are told of one by one
MOST_NAMES = 12  # the same, where nothing is said of them but their names


class Waiting:
    """`begin` when a wait does. The pace is kept from one wait to the next, unless that was short."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = FIRST
        self._began = self._due = self._look = 0.0
        self._hushed: set[str] = set()
        self._is_away = False
        self._away_since = math.inf
        self.begin()

    @property
    def seconds(self) -> float:
        """For so long."""
        return self._clock() - self._began

    def begin(self) -> None:
        now = self._clock()
        if now - self._began < FIRST:
            self._pause = FIRST
        self._began, self._due, self._look = now, now + self._pause, now + LOOK

    def is_due(self, silent: Iterable[str] = ()) -> bool:
        """Whether to say something now: it is time again, or one that is waited for has fallen silent."""
        before, self._hushed = self._hushed, set(silent)
        if self._hushed <= before and self._clock() < self._due:
            return False
        self._pause = min(2 * self._pause, RAREST)
        self._due = self._clock() + self._pause
        return True

    def change(self, client: Client) -> str | None:
        """That the medium does not answer, or that it does again, in words, once for each time.

        What is away for a moment alone is not worth a word: nobody may have looked, as this process was busy.
        """
        if not client.endpoint.presence.away:
            self._away_since = math.inf
        elif self._away_since == math.inf:
            self._away_since = self._clock()
        was_away, self._is_away = self._is_away, self._clock() - self._away_since >= LOOK
        return None if self._is_away is was_away else f"{client.address} {AWAY if self._is_away else BACK}"

    def remark(self, client: Client, names: Iterable[str]) -> str | None:
        """For how long, for whom and why, in words, where it is time to say so. It costs nothing to ask often."""
        if self._clock() < self._look:
            return None
        self._look = self._clock() + LOOK
        if not self.is_due(silent_among(client, names)):
            return None
        away = f"{client.address} to answer again: start its broker again"
        return f"has waited {self.seconds:.0f} s for {away if client.endpoint.presence.away else doing(client, names)}"


def silent_for(presence: Presence, heard: float, now: float) -> float:
    """Seconds, as far as this side has listened. None at all where nobody has to show a sign of life."""
    return 0.0 if presence.roster.silence == math.inf else min(presence.listening(now), max(0.0, now - heard))


def silent_among(client: Client, names: Iterable[str]) -> list[str]:
    """Those of whom nothing is heard, while the medium itself answers."""
    if client.endpoint.presence.away:
        return []
    silent = {worker.name for worker in client.workers() if worker.silent_for > HUSH}
    return [name for name in names if name in silent]


def what_is_wrong(presence: Presence, address: str, name: str, now: float) -> str | None:
    """Why nothing may come of a worker, in words; None where it is there, and may only take its time."""
    if presence.away:
        return f"{address} does not answer; it is waited for as long as it takes"
    member = presence.roster.get(name)
    silent = 0.0 if member is None else silent_for(presence, member.heard, now)
    if silent <= HUSH:
        return None
    return f"nothing is heard of {name!r} for {silent:.0f} s; after {presence.roster.silence:g} s it counts as lost"


def doing(client: Client, names: Iterable[str]) -> str:
    """What these workers say that they do, in words."""
    here = {worker.name: worker for worker in client.workers()}
    silence = client.endpoint.presence.roster.silence
    told = []
    names = sorted(names)
    for name in names[:MOST]:
        worker = here.get(name)
        if worker is not None and worker.silent_for > HUSH:
            told.append(f"{name} (nothing heard for {worker.silent_for:.0f} s; after {silence:g} s it counts as lost)")
        elif worker is not None and worker.busy:
            told.append(f"{name} ({worker.busy})")
        else:
            told.append(name)
    return _listed(told, len(names) - MOST)


def first_of(names: Iterable[str], most: int = MOST) -> str:
    """Some of them, and how many more."""
    names = sorted(names)
    return _listed(names[:most], len(names) - most)


def _listed(told: list[str], more: int) -> str:
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")
