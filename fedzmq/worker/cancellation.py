"""What one client takes back: tasks, each by its request, and the runs of plans among its commands so far.

Any thread may say so, before what is taken back began or while it runs. Whoever runs it looks from time to time.
"""

from __future__ import annotations


class Cancelled(Exception):
    """What raises it has not begun, or ends in the middle."""

    def __init__(self) -> None:
        super().__init__("the client took it back, or is gone")


class Cancellation:
    def __init__(self) -> None:
        self.is_gone = False
        """The client left: nothing of what it asked for is wanted any more."""
        self._tasks: set[int] = set()
        self._finished = 0  # the last task that is over; a client numbers its requests upwards
        self._commands = 0

    def cancel(self, request: int) -> None:
        """This task alone."""
        if request > self._finished:
            self._tasks.add(request)

    def interrupt(self, commands: int) -> None:
        """Every run of a plan among the client's first so many commands."""
        self._commands = max(self._commands, commands)

    def leave(self) -> None:
        self.is_gone = True

    def finish(self, request: int) -> None:
        """A task is over."""
        self._finished = max(self._finished, request)
        self._tasks.discard(request)

    def is_cancelled(self, request: int) -> bool:
        return self.is_gone or request in self._tasks

    def is_interrupted(self, command: int) -> bool:
        return self.is_gone or command <= self._commands

    def look(self, request: int) -> None:
        """To be called while a task runs. Raises Cancelled."""
        if self.is_cancelled(request):
            raise Cancelled
