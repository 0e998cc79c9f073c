"""The commands, each imported when it is called: the broker, and the help, start without torch."""

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
    "status": "fedzmq.cli.status",
    "train": "fedzmq.cli.train",
    "worker": "fedzmq.cli.worker",
}
# What the help says of each: its own first sentence, which is not asked for because most of them import torch.
_SUMMARIES = {
    "bench": "Measure fedzmq beside plain torch, torch.distributed.rpc and raw pyzmq, on this machine and in one run.",
    "broker": "Route messages between workers and clients.",
    "data": "Data sets: show one, split one.",
    "runs": "Runs of `fedzmq train`: list, show, plot.",
    "status": "Say who is at a broker, what they do, and what is on its way to whom.",
    "train": "Train a model by federated averaging.",
    "worker": "Hold tensors and data, and run the commands of clients on them.",
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _SUMMARIES[name]) for name in self.list_commands(ctx)])

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
