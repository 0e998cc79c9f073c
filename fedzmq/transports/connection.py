"""What every transport promises: mailboxes and topics, the weakest thing that every medium can give.

A transport moves lists of frames and knows nothing of what they carry. It is not a reliable channel: the session layer
above it numbers, resends and de-duplicates. The conformance suite in `fedzmq.testing.conformance` holds one test for
each promise below.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Union

Buffer = Union[bytes, bytearray, memoryview]

MEDIUM = "broker"  # the sender of what the medium itself says; no party can have this name
DEPARTURES = "departures"  # the topic on which a medium that can tell says who went; no party can publish there
PARTIES = "parties"  # the same for who is connected


class Delivery(NamedTuple):
    """One message as it arrived.

    `sender` is the name that the medium vouches for, never one that the sender wrote into the message. `topic` is None
    for mail. Frames are read-only by agreement: a receiver that wants to write copies first.
    """

    sender: str
    topic: str | None
    frames: list[Buffer]


Read = Callable[[], Union[Delivery, None]]


class Connection(ABC):
    """One party's mailbox on a medium, under a name that it alone holds.

    - Frame boundaries, empty frames and the order per sender are kept, among bulk messages and among the others; a bulk
      message never delays another by more than one message.
    - Delivery is at most once. Mail for a name that nobody holds is dropped, and so is mail sent while the medium is
      away: nothing is queued for later, nothing is raised.
    - Frames keep no alias of the caller's memory after `send` and `publish` return, unless `donate` says that they may.
    - `recv` belongs to one thread at a time; `send`, `publish`, `subscribe` and `unsubscribe` may come from any.
    - Mail that a party sends after it subscribed, or unsubscribed, says so: whoever has it may count on that.
    - `connect` never waits for the other side. A medium that comes back is found again without a new connection, and
      subscriptions are kept, as they were last.
    - A name belongs to one living connection. While its holder lives, a newcomer's `recv` raises `NameTaken`; when the
      holder closed or died, the next to connect takes the name over and mail goes to it from then on.
    - A medium that can tell publishes, as MEDIUM, on the topic DEPARTURES who went. The frames are the name, a tag of
      the connection that had it, and `left` (it closed) or `lost` (its link broke: it may be back, with the same tag).
    - A medium that can tell publishes, as MEDIUM, on the topic PARTIES who is connected, when somebody begins to
      hear it and again from then on, as it changes or now and then; see `fedzmq.transports.party`. On one that cannot,
      a client that comes waits a second for those who may be there.
    - A medium may refuse frames above a size of its own, of 16 MiB at least: `send` raises `LimitExceeded` for them.
    - After `close`, every call but `close` raises `TransportClosed`. No exception but fedzmq's own comes out.
    """

    name: str
    address: str

    @abstractmethod
    def send(self, to: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        """Put one message into the mailbox of `to`, which may be this party's own. Never blocks on a slow reader."""

    @abstractmethod
    def publish(self, topic: str, frames: Sequence[Buffer], *, bulk: bool = False, donate: bool = False) -> None:
        """Deliver one message to every other connection that subscribed to `topic` before.

        It leaves this party once, however many they are.
        """

    @abstractmethod
    def subscribe(self, topic: str) -> None:
        """Receive from now on what others publish on `topic`. Twice is the same as once."""

    @abstractmethod
    def unsubscribe(self, topic: str) -> None:
        """Receive no more of what is published on `topic` from now on; what is on its way may still come.

        However often it was subscribed to; fine where it never was.
        """

    @abstractmethod
    def recv(self, timeout: float | None) -> Delivery | None:
        """The next message, or None after `timeout` seconds (None: no limit, 0: only what is here already)."""

    def watch(self, descriptor: int, read: Read) -> bool:
        """From now on `recv` also gives what `read` does, which it calls when this descriptor can be read.

        `read` raises EOFError when nothing more will come. False where a connection cannot wait for two things at once;
        then nothing is read.
        """
        return False

    def unwatch(self, descriptor: int) -> None:  # noqa: B027 - with nothing to watch there is nothing to do
        """Read there no more, from when this returns; fine where it never was, and after `close`."""

    @abstractmethod
    def wake(self) -> None:
        """Make a `recv` that waits in another thread return None at once; if none waits, the next one that would."""

    @abstractmethod
    def silent_for(self) -> float:
        """Seconds since the medium itself last showed a sign of life; infinite before the first, 0.0 where it cannot
        be away.

        A peer can only be called silent while the medium is not: that is what this is for.
        """

    @abstractmethod
    def found(self) -> int:
        """How many times the medium was found, the first time or again: once it has grown, mail may have been lost."""

    @abstractmethod
    def close(self) -> None:
        """Give the name back. Twice is fine."""

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
