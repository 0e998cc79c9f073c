from __future__ import annotations

from dataclasses import dataclass, field

from fedzmq.worker.allowance import Allowance

MIB = 1 << 20


@dataclass
class FakeMemory:
    """As a test says it is."""

    has: int = 100 * MIB
    free: int = 0
    limits: list[int] = field(default_factory=list)

    def taken(self) -> int:
        return self.has

    def unused(self) -> int:
        return self.free

    def give_back(self) -> None: ...

    def limit(self, nbytes: int) -> None:
        self.limits.append(nbytes)


def allowance(memory: FakeMemory, nbytes: int = 256 * MIB) -> Allowance:
    return Allowance(nbytes, memory, lambda: 0.0)


def test_it_is_used_up_before_the_last_part_is_taken() -> None:
    memory = FakeMemory()
    shared = allowance(memory)
    memory.has += 224 * MIB
    assert not shared.is_used_up()
    memory.has += MIB

    assert shared.is_used_up()


def test_it_is_not_used_up_by_memory_that_was_freed_and_not_given_back() -> None:
    memory = FakeMemory()
    shared = allowance(memory)
    memory.has += 250 * MIB
    memory.free = 200 * MIB

    assert not shared.is_used_up()
    assert memory.limits[-1] == (100 + 256 + 200) * MIB


def test_what_was_free_counts_once_it_is_taken_again() -> None:
    memory = FakeMemory()
    shared = allowance(memory)
    memory.has += 250 * MIB
    memory.free = 200 * MIB
    shared.is_used_up()
    memory.free = 0

    assert shared.is_used_up()


def test_while_something_runs_the_process_may_have_what_is_nobodys() -> None:
    memory = FakeMemory()
    shared = allowance(memory)
    memory.has += 250 * MIB
    shared.extend()

    assert memory.limits[-1] == memory.has + shared.kept


def test_it_is_not_extended_without_end() -> None:
    memory = FakeMemory()
    shared = allowance(memory)
    for _ in range(100):
        memory.has = memory.limits[-1]
        shared.extend()

    assert memory.limits[-1] <= (100 + 256) * MIB + 2 * shared.kept
