"""The commands, each imported when it is called: the broker starts without torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from fedzmq.suggestion import nearest

_COMMANDS = {
    "bench": "fedzmq.cli.bench",
    "broker": "fedzmq.cli.broker",
    "data": "fedzmq.cli.data",
    "runs": "fedzmq.cli.runs",
    "train": "fedzmq.cli.train",
    "worker": "fedzmq.cli.worker",
}


class _Commands(click.Group):
    """Finds a command by its module."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(_COMMANDS[cmd_name]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-"):
            ctx.fail(f"no command {name!r} (known: {', '.join(self.list_commands(ctx))}){nearest(name, _COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fedzmq")
def fedzmq() -> None:
    """PyTorch tensors that live somewhere else, and models trained where the data is."""


def run_command(arguments: Sequence[str] | None) -> int:
    """Run a command line, and give its exit code. Raises FedzmqError, KeyboardInterrupt and BrokenPipeError."""
    try:
        result: Any = fedzmq.main(arguments, prog_name="fedzmq", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return result if isinstance(result, int) else 0
