"""A worker: it holds tensors and data sets, and runs the commands of its clients, one message at a time."""

from __future__ import annotations

import gc
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from torch import Tensor

from fedzmq.data.examples import Examples
from fedzmq.errors import FedzmqError, ProtocolError, WorkerLost
from fedzmq.plans.compiled import MOST_BYTES
from fedzmq.session.endpoint import Arrival, Endpoint
from fedzmq.session.outbound import Ticket
from fedzmq.session.presence import AWAY, BACK
from fedzmq.session.roster import SILENCE, Roster
from fedzmq.session.session import MOST_MESSAGE_BYTES, Peer
from fedzmq.tensors.buffers import allocate
from fedzmq.transports.connection import Buffer, Connection
from fedzmq.wire.codec import decode, encode
from fedzmq.wire.messages import (
    Cancel,
    Deliver,
    Failed,
    Failure,
    Interrupt,
    Listen,
    Lost,
    Progress,
    Pull,
    Reply,
    Undelivered,
)
from fedzmq.worker.allowance import Allowance
from fedzmq.worker.answer import Answer
from fedzmq.worker.cancellation import Cancelled
from fedzmq.worker.commons import Commons
from fedzmq.worker.exchange import Exchange
from fedzmq.worker.fingerprints import Fingerprints
from fedzmq.worker.functions import Functions
from fedzmq.worker.guest import Guest
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.store import DEFAULT_QUOTA
from fedzmq.worker.subscriptions import Subscriptions
from fedzmq.worker.training.memory import Files, Memory
from fedzmq.worker.training.results import Results
from fedzmq.worker.training.tasks import EVALUATION, TRAINING

LOOK = 0.1  # seconds until a worker that waits notices that it was told to stop
_WORTH = 1 << 20  # bytes that somebody keeps who is let go for them
_OF_WORKERS = frozenset({Deliver, Undelivered})  # what one worker sends to another


class Worker:
    """Serves clients over one connection until it is stopped.

    A client that is silent for `silence` seconds is gone, and so is all that it kept here. `functions` are the owner's
    own, which clients may call by these names. With `tell_labels`, clients learn how many examples of each class there
    are. `kept` is where what rounds leave here outlives the worker, and `secret` lets who comes back be told from who
    has other data, see `fedzmq.worker.fingerprints`. With `direct`, whatever it exchanges with the
    same user's processes here goes past the medium: messages by a socket, and what is large by memory. A client keeps
    at most `quota` bytes here, and no operation of a plan makes more; all of them together take at most the
    `allowance`. `say` is given a line for the operator at every turn of events.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        data: Iterable[Examples] = (),
        functions: Mapping[str, Callable[..., Any]] | None = None,
        tell_labels: bool = False,
        silence: float = SILENCE,
        kept: Files | None = None,
        secret: bytes | None = None,
        direct: bool = True,
        quota: int = DEFAULT_QUOTA,
        allowance: Allowance | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._commons = Commons(
            {each.name: each for each in data},
            tell_labels=tell_labels,
            quota=quota,
            functions=Functions(functions),
            plans=PlanShelf(most_bytes=min(MOST_BYTES, quota)),
            memory=Memory(files=kept, most_bytes=quota),
            results=Results(most_bytes=quota),
            fingerprints=Fingerprints(connection.name, secret),
            exchange=Exchange(self._hand, quota, lambda client: client in self._served()),
        )
        self._guests: dict[Peer, Guest] = {}
        self._lent: list[tuple[Ticket, Peer]] = []  # replies out of memory of the stores
        self._allowance = allowance
        self._say = say
        self._is_away: bool | None = None  # the medium; None before it was found
        self._stopped = threading.Event()
        self._endpoint = Endpoint(
            connection,
            is_worker=True,
            roster=Roster(silence),
            # Memory is taken at a message's word. Who sends a little more than it may keep is told so.
            most_bytes=min(MOST_MESSAGE_BYTES, quota + quota // 2),
            allocate=allocate,
            direct=direct,
        )
        self._endpoint.urgent = self._urgent
        self._endpoint.departed = self._departed
        self._endpoint.ticked = self._look_around
        self._subscriptions = Subscriptions(self._endpoint, most_bytes=quota)
        self._endpoint.found = self._subscriptions.broke

    @property
    def name(self) -> str:
        return self._endpoint.connection.name

    @property
    def boot(self) -> bytes:
        """The incarnation of this worker: another one for every process."""
        return self._endpoint.boot

    @property
    def functions(self) -> Functions:
        """Those that clients may call."""
        return self._commons.functions

    def stored(self, client: str) -> int:
        """How many tensors a client keeps here."""
        return sum(guest.stored for peer, guest in list(self._guests.items()) if peer.name == client)

    def tensors(self, client: str) -> dict[int, Tensor]:
        """The tensors that a client keeps here, by its numbers for them; for a worker in this process."""
        return {
            number: tensor
            for peer, guest in list(self._guests.items())
            if peer.name == client
            for number, tensor in guest.tensors.items()
        }

    def keep_in(self, kept: Files) -> None:
        """From the next round on, what rounds leave here outlives it there. Between two of its steps."""
        self._commons.memory.files = kept

    def start(self) -> None:
        """Give signs of life from now on, whatever else this process does. `run` does it, too; twice is fine."""
        self._endpoint.start()

    def run(self) -> None:
        """Serve until `stop`. Raises NameTaken when another worker of this name lives."""
        self.start()
        while not self._stopped.is_set():
            self.step(LOOK)

    def step(self, timeout: float) -> None:
        """Serve what comes within `timeout` seconds."""
        self._endpoint.pump(timeout)
        if not self._serve():
            self._resume()
            self._make_room()
            return
        while self._serve():
            pass

    def _serve(self) -> bool:
        """Run one message that came, if there is one."""
        arrival = self._endpoint.take()
        if arrival is None or self._stopped.is_set():
            return False
        self._run(arrival.peer, partial(self._commands, arrival))
        del arrival  # its memory does not count where room is made
        self._resume()
        self._make_room()
        return True

    def stop(self) -> None:
        """Have `run` return after the message in hand; may come from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Stop what runs, say goodbye and close the connection."""
        self.stop()
        for guest in list(self._guests.values()):
            guest.leave()
        self._endpoint.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look_around(self) -> None:
        """In the thread that looks in while something is computed."""
        self._look_for_medium()
        if self._allowance is not None:
            self._allowance.extend()

    def _look_for_medium(self) -> None:
        """Say where it went away, and that it is back."""
        is_away, was_away = self._endpoint.presence.away, self._is_away
        if was_away is None and is_away:
            return  # it has not been found yet
        self._is_away = is_away
        if was_away is not None and is_away is not was_away:
            self._say(f"{self._endpoint.connection.address} {AWAY if is_away else BACK}")

    def _commands(self, arrival: Arrival) -> list[Answer]:
        peer, (body, *buffers) = arrival.peer, arrival.frames
        try:
            records = decode(body, buffers)
        except ProtocolError:
            self._guest(peer)  # whose it was, so that its end is told like that of the others
            raise
        if records and type(records[0]) in _OF_WORKERS:
            self._endpoint.presence.hear_workers()
            self._commons.exchange.arrived((peer.name, peer.boot), records[0], buffers)
            return []
        return self._guest(peer).run(records, buffers)

    def _resume(self) -> None:
        """Go on for those clients whose tensors have come from other workers, or will not come."""
        for peer, guest in list(self._guests.items()):
            if guest.is_waiting:
                self._run(peer, guest.resume)

    def _run(self, peer: Peer, commands: Callable[[], list[Answer]]) -> None:
        self._endpoint.presence.busy = f"running commands of {peer.name}"
        try:
            if self._lent:
                self._take_back()
            for answer in commands():
                if isinstance(answer.reply, Failed):
                    self._failed(peer, answer.reply.failure)
                self._post(peer, answer.reply, answer.buffers, is_stable=answer.is_stable)
        except ProtocolError as error:
            self._let_go(peer, f"it sent what no fedzmq sends: {error}")
        except FedzmqError:
            raise
        except Exception as error:  # a fault of this worker's, or no memory: it must not cost the others what they keep
            self._let_go(peer, f"its commands met a fault here: {type(error).__name__}: {error}")
        finally:
            self._endpoint.presence.busy = ""

    def _make_room(self) -> None:
        """Where the clients have taken all that they may together, what takes most has to go, if it is worth it."""
        if self._allowance is None or not self._allowance.is_used_up():
            return
        kept, exchange = self._kept(), self._commons.exchange
        greediest, most = max(kept.items(), key=itemgetter(1), default=("", 0))
        if max(most, exchange.most) < _WORTH:
            return
        if exchange.most > most:
            exchange.refuse_most()
        else:
            self._release(greediest)
        gc.collect()  # what lies in cycles of it too, before anybody else is to go

    def _kept(self) -> Counter[str]:
        """The bytes that each party keeps here, by its name: with its messages, and with what its runs keep here, which
        outlives it.
        """
        kept = self._commons.results.held()
        kept.update(self._commons.memory.held())
        for held in (self._endpoint.held(), self._subscriptions.held()):
            for peer, size in held.items():
                kept[peer.name] += size
        for peer, guest in self._guests.copy().items():
            try:
                kept[peer.name] += guest.footprint()
            except MemoryError:  # so many small things that there is no place to count them
                kept[peer.name] = sys.maxsize
        return kept

    def _release(self, party: str) -> None:
        """All that it keeps."""
        for peer in {*self._endpoint.held(), *self._guests.copy()}:
            if peer.name == party:
                self._let_go(peer, "it took most of the memory that all clients may take together")
        self._commons.results.forget(party)
        self._commons.memory.forget(party)

    def _served(self) -> set[str]:
        """The names of the clients that are here."""
        return {peer.name for peer in self._guests.copy()}

    def _let_go(self, peer: Peer, why: str) -> None:
        """It is here, but not to be trusted: nor is what it posted for others."""
        self._endpoint.give_up(peer, why)
        self._commons.exchange.broke((peer.name, peer.boot))

    def _hand(self, worker: str, boot: bytes, message: Deliver | Undelivered, buffers: Sequence[Buffer]) -> None:
        if worker == self.name:  # no party has a session with itself
            self._commons.exchange.arrived((worker, boot), message, buffers)
            return
        self._endpoint.presence.hear_workers()
        peer = self._endpoint.reach(worker, boot)
        self._endpoint.post(peer, [encode([message]), *buffers], donate=True)

    def _guest(self, peer: Peer) -> Guest:
        """May come from the thread that pumps as well as from the one that serves."""
        guest = self._guests.get(peer)
        if guest is not None:
            return guest
        guest = Guest(
            self._commons,
            lambda reply, buffers: self._tell(peer, reply, buffers),
            client=peer.name,
            owner=peer,
            reception=self._subscriptions.reception(peer),
        )
        kept = self._guests.setdefault(peer, guest)
        if kept is guest:
            self._say(f"{peer.name} is served")
            if not self._endpoint.has(peer):  # it left meanwhile, and nobody will say so again
                self._departed(peer, "it left")
        return kept

    def _tell(self, peer: Peer, reply: Reply, buffers: Sequence[Buffer]) -> None:
        """What comes of a task while it runs."""
        if isinstance(reply, Progress):
            how_far = f"epoch {reply.epoch + 1}, step {reply.step} of {reply.steps}"
            self._endpoint.presence.busy = f"{how_far} for {peer.name}"
        self._post(peer, reply, buffers)

    def _failed(self, peer: Peer, failure: Failure) -> None:
        """What a client sees of its own commands is its own; but what its tasks meet here is for the operator too."""
        if failure.operation in (TRAINING, EVALUATION) and failure.error != Cancelled.__name__:
            self._say(f"{failure.operation} for {peer.name} failed: {failure.error}: {failure.message}")

    def _post(self, peer: Peer, reply: Reply, buffers: Sequence[Buffer], *, is_stable: bool = True) -> None:
        try:
            ticket = self._endpoint.post(peer, [encode([reply]), *buffers], donate=is_stable)
        except WorkerLost:
            return  # the client went away while its commands ran
        if not (is_stable or ticket.left):
            self._lent.append((ticket, peer))

    def _take_back(self) -> None:
        """Before anything is run that might write to it: no reply that is still on its way needs the stores' memory."""
        for ticket, peer in self._lent:
            self._endpoint.detach(ticket, peer)
        self._lent.clear()

    def _urgent(self, arrival: Arrival) -> None:
        for message in decode(arrival.frames[0]):
            if isinstance(message, Cancel):
                self._guest(arrival.peer).cancel(message.request)
            elif isinstance(message, Interrupt):
                self._guest(arrival.peer).interrupt(message.commands)
            elif isinstance(message, Pull):
                answer = self._guest(arrival.peer).pull(message)
                self._post(arrival.peer, answer.reply, answer.buffers)
            elif isinstance(message, Listen):
                self._guest(arrival.peer)  # whoever is told of its end drops what it listens to
                self._subscriptions.listen(arrival.peer, message.topic)
            elif isinstance(message, Lost):
                self._guest(arrival.peer).lose(message.worker, message.boot)

    def _departed(self, peer: Peer, reason: str) -> None:
        self._subscriptions.leave(peer)
        guest = self._guests.pop(peer, None)
        self._commons.exchange.broke((peer.name, peer.boot), self._served())
        if guest is not None:
            guest.leave()
            self._commons.exchange.forget(peer.name)
            self._say(f"{peer.name} is gone: {reason}; what it kept here is released")
