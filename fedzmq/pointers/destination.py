"""Where tensors can be sent: workers, named or held by their handles, and back to this process."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from weakref import ref

from fedzmq.errors import UsageError, WorkerNotFoundError
from fedzmq.pointers.stream import Stream

NAMED_WAIT = 2.0  # seconds that a worker has to show itself whom `x.send("bob")` names


@dataclass(frozen=True, slots=True)
class Route:
    """From one worker to another, past the client: the incarnations of both."""

    source: bytes
    target: bytes


class Destination(Protocol):
    """A worker as the one who sends to it sees it: handles and virtual workers are destinations.

    `route_from` is given the location of a pointer. It is None where that place cannot post to this one, so that a
    tensor has to pass through the client.
    """

    @property
    def name(self) -> str: ...

    @property
    def stream(self) -> Stream: ...

    def route_from(self, source: object) -> Route | None: ...


class Home:
    """This process, as a place to move to: what a client's own worker is in PySyft."""

    name = "me"


class Directory(Protocol):
    """Whoever knows workers by name: a client."""

    def find(self, name: str) -> Destination | None:
        """The worker of that name where it is known to be here; never waits."""

    def worker(self, name: str, *, timeout: float) -> Destination:
        """Raises WorkerNotFoundError, after `timeout` seconds where it may still come."""

    def names(self) -> tuple[str, ...]:
        """Those that are known to be here."""

    def forked(self) -> None:
        """This process was forked from that of the workers' connections, which it must not touch."""

    @property
    def home(self) -> Home: ...


class Directories:
    """The clients of this process, the newest last, held weakly."""

    def __init__(self) -> None:
        self._all: list[ref[Directory]] = []

    def add(self, directory: Directory) -> None:
        self._all = [each for each in self._all if each() is not None]
        self._all.append(ref(directory))

    def remove(self, directory: Directory) -> None:
        self._all = [each for each in self._all if each() not in (None, directory)]

    def newest_first(self) -> list[Directory]:
        return [found for each in reversed(self._all) if (found := each()) is not None]

    def forked(self) -> None:
        for directory in self.newest_first():
            directory.forked()

    def find(self, name: str) -> Destination | Home:
        """Raises WorkerNotFoundError."""
        directories = self.newest_first()
        for directory in directories:
            found = directory.find(name)
            if found is not None:
                return found
            if name == directory.home.name:
                return directory.home
        if not directories:
            raise WorkerNotFoundError(name, (), "make a client first, with fedzmq.connect(...) or a TorchHook")
        if len(directories) == 1:
            return directories[0].worker(name, timeout=NAMED_WAIT)
        known = tuple(sorted({each for directory in directories for each in directory.names()}))
        raise WorkerNotFoundError(name, known)


# The verbs belong to torch's tensors, and so to the whole process; a name in `x.send("bob")` has no other context.
DIRECTORIES = Directories()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=DIRECTORIES.forked)


def destination_of(place: Destination | Home | str) -> Destination | Home:
    """Raises WorkerNotFoundError for a name that no client knows, and UsageError for what is no place."""
    if isinstance(place, str):
        return DIRECTORIES.find(place)
    if isinstance(place, Home) or hasattr(place, "stream"):
        return place
    home = getattr(place, "home", None)
    if isinstance(home, Home):  # a client: it is where it is
        return home
    raise UsageError(f"a tensor cannot go to {place!r}: a worker or the name of one is expected")


def worker_of(place: Destination | Home | str) -> Destination:
    """As `destination_of`, for what can only be a worker."""
    destination = destination_of(place)
    if isinstance(destination, Home):
        raise UsageError("what is here already cannot be sent here; a worker is expected")
    return destination


def workers_of(places: Iterable[Destination | Home | str]) -> list[Destination]:
    return [worker_of(place) for place in places]
