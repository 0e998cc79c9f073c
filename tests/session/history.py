"""What clients asked for, what took effect, and whether the two agree: each command exactly once and in order."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class History:
    """Commands by client, in order: invoked by the client, in effect on the worker, and answered to the client."""

    invoked: dict[str, list[bytes]] = field(default_factory=dict)
    effects: dict[str, list[bytes]] = field(default_factory=dict)
    answered: dict[str, list[bytes]] = field(default_factory=dict)

    def note(self, log: dict[str, list[bytes]], client: str, command: bytes) -> None:
        log.setdefault(client, []).append(command)

    @property
    def complete(self) -> bool:
        """Every command was answered."""
        return self.invoked == self.answered

    def check(self) -> None:
        """Raises AssertionError at the first command that took effect twice, never, out of turn or unasked."""
        for client, invoked in self.invoked.items():
            effects = self.effects.get(client, [])
            assert effects == invoked[: len(effects)], f"{client}: took effect {effects}, was asked {invoked}"
            answered = self.answered.get(client, [])
            assert answered == effects[: len(answered)], f"{client}: answered {answered}, took effect {effects}"
        assert set(self.effects) <= set(self.invoked)
