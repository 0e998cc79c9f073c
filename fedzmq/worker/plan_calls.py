"""The plans that one client stored, and their runs: each is one command of the client's, however long the plan is.

A run has neither gradients nor modes but those that it was recorded under. What it makes is stored like the result of
any operation, and so is its failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor

from fedzmq.errors import PlanError, ProtocolError
from fedzmq.operations.catalog import CATALOG
from fedzmq.plans.compiled import Look
from fedzmq.tensors.buffers import export_all
from fedzmq.wire.limits import check_size
from fedzmq.wire.messages import FetchPlan, PlanFetched, PlanMissing, PutPlan, RunPlan, SharePlan
from fedzmq.worker.answer import Answer
from fedzmq.worker.cancellation import Cancellation, Cancelled
from fedzmq.worker.failure import failure_of
from fedzmq.worker.guarded import guarded_plan, withheld
from fedzmq.worker.plan_shelf import PlanShelf
from fedzmq.worker.randomness import Randomness
from fedzmq.worker.record import written
from fedzmq.worker.slots import check_columns, check_state
from fedzmq.worker.store import Inherited, Store, TensorNotStored
from fedzmq.worker.stored_plan import StoredPlan

MOST_STORED = 1024  # plans of one client


class PlanCalls:
    """Handles the commands about plans on one client's store. Plans are compiled on the `shelf` of all clients."""

    def __init__(self, store: Store, shelf: PlanShelf, randomness: Randomness, cancellation: Cancellation) -> None:
        self._store = store
        self._shelf = shelf
        self._randomness = randomness
        self._cancellation = cancellation

    def put(self, command: PutPlan) -> None:
        """Raises ProtocolError, PlanError or OperationRefused for a plan that cannot run here."""
        found = self._shelf.get(self._shelf.add(command.plan))
        assert found is not None
        plan = found.plan
        if len(command.state) != len(plan.buffers):
            raise PlanError(f"the plan keeps {len(plan.buffers)} tensors, and {len(command.state)} came")
        given = plan.given - len(plan.constants)
        if any(register > given for register in command.writes):
            raise ProtocolError(f"a plan that is given {given} tensors cannot write to more")
        count = len(self._store.plans) + 1
        check_size("the number of plans that this client keeps on the worker", count, MOST_STORED)
        touches = frozenset(register for record in plan.records for register in written(record, CATALOG))
        is_random = any(CATALOG.is_random(record[0]) for record in plan.records)
        self._store.drop(command.id)
        self._store.plans[command.id] = StoredPlan(
            self._store.tensor, plan, found.step, command.state, command.writes, touches, is_random
        )

    def run(self, command: RunPlan) -> None:
        """What fails is in the place of the results, and of all that the plan may have written to, afterwards.

        A run that its client takes back has written nothing: one that began to write goes on to its end.
        """
        store = self._store
        if not store.is_guarded:
            return self._run(command)
        stored = store.plans.get(command.plan)
        given = command.arguments if stored is None else stored.ids(command.arguments)
        touched = () if stored is None else [id for at, id in enumerate(given, 1) if at in stored.touches]
        is_hidden = store.privacy.hides([store.tensors.get(id) for id in given], store.client)
        is_apart = is_hidden and stored is not None and stored.is_random
        with (
            guarded_plan(store, given, touched, command.results),
            self._randomness.apart() if is_apart else nullcontext(),
        ):
            self._run(command)

    def _run(self, command: RunPlan) -> None:
        store, spoilt = self._store, [*command.results]
        before = {id: store.tensors[id]._version for id in self._written(command) if id in store.tensors}
        broken_off: BaseException | None = None

        def touched() -> list[int]:
            return [id for id, version in before.items() if store.tensors[id]._version != version]

        try:
            stored = self._stored(command.plan)
            outputs = self._outputs(stored, command, self._look(touched))
            for id, output in zip(command.results, outputs, strict=True):
                if id:
                    store.keep(id, output.detach() if output.requires_grad else output)
            return
        except Inherited as error:
            failure = error.failure  # it did not begin
            if self._written(command):
                store.skip_write(failure)
        except Cancelled as error:
            failure = failure_of(error, store.position, "a plan")
        except Exception as error:
            given = [store.tensors.get(id) for id in command.arguments]
            failure = failure_of(error, store.position, _operation(error), given)
            if store.is_guarded:
                failure = withheld(store, failure, store.tensors.values())
            store.remember(failure)
            spoilt += self._written(command)
        except BaseException as error:  # Ctrl-C, between two operations
            broken_off, failure = error, failure_of(error, store.position, "a plan")
            spoilt += touched()
        for id in spoilt:
            if id:
                store.poison(id, failure)
        if broken_off is not None:
            raise broken_off

    def share(self, command: SharePlan) -> None:
        """Raises UsageError where another plan has that key."""
        self._shelf.share(command.key, command.tags, self._stored(command.plan))

    def fetch(self, command: FetchPlan) -> Answer:
        """A plan that this client or another one has shared."""
        found = self._shelf.shared(command.name)
        if found is None:
            return Answer(PlanMissing(command.request, command.name))
        try:
            values = [found.tensor(id) for id in found.state]
        except Inherited:  # what its owner may be told of that failure is not for everybody
            raise PlanError(f"the state of plan {command.name!r} has failed where it was computed") from None
        for value in values:
            self._store.privacy.check(value, self._store.client)
        state, buffers = export_all(values, copy=True)
        return Answer(PlanFetched(command.request, found.key, found.plan.to_bytes(), state), buffers)

    def _stored(self, id: int) -> StoredPlan:
        found = self._store.plans.get(id)
        if found is not None:
            return found
        failure = self._store.failures.get(id)
        raise TensorNotStored(id) if failure is None else Inherited(failure)

    def _written(self, command: RunPlan) -> list[int]:
        stored = self._store.plans.get(command.plan)
        if stored is None:
            return []
        ids = stored.ids(command.arguments)
        return [ids[register - 1] for register in stored.writes if register <= len(ids)]

    def _outputs(self, stored: StoredPlan, command: RunPlan, look: Look) -> Sequence[Tensor]:
        plan = stored.plan
        if len(command.arguments) != len(plan.parameters) + len(plan.columns):
            taken = len(plan.parameters) + len(plan.columns)
            raise PlanError(f"the plan takes {taken} arguments, and {len(command.arguments)} came")
        if len(command.results) != len(plan.outputs):
            raise ProtocolError(f"the plan gives {len(plan.outputs)} tensors, and {len(command.results)} ids came")
        # Detached: nothing in the store stays in a graph of the plan's, whose backward would run outside of it.
        given = [self._store.tensor(id).detach() for id in stored.ids(command.arguments)]
        count = len(plan.state)
        check_state(plan, given[:count])
        rows = check_columns(plan, given[count:])
        with _recorded_modes(), self._randomness.undone_by(Cancelled) if stored.is_random else nullcontext():
            return stored.step(rows, *given, *stored.fresh_constants(), look=look)

    def _look(self, touched: Callable[[], list[int]]) -> Look:
        command, cancellation = self._store.position, self._cancellation

        def look() -> None:
            if cancellation.is_interrupted(command) and (cancellation.is_gone or not touched()):
                raise Cancelled

        return look


@contextmanager
def _recorded_modes() -> Iterator[None]:
    """Whatever the client is in now, a plan was recorded without autocast and with float32 as the default."""
    default = torch.get_default_dtype()
    autocast = torch._C._is_any_autocast_enabled()
    if default is not torch.float32:
        torch.set_default_dtype(torch.float32)
    try:
        with torch.no_grad(), torch.autocast("cpu", enabled=False) if autocast else nullcontext():
            yield
    finally:
        if default is not torch.float32:
            torch.set_default_dtype(default)


def _operation(error: BaseException) -> str:
    number = getattr(error, "failed_operation", None)
    return "a plan" if number is None else f"{CATALOG.name(number)} in a plan"
