from __future__ import annotations

import subprocess
import sys

import click

from fedzmq.cli.commands import fedzmq


def test_the_help_says_of_each_command_what_it_says_of_itself() -> None:
    context = click.Context(fedzmq, info_name="fedzmq", terminal_width=200, max_content_width=200)
    lines = dict(line.split(maxsplit=1) for line in fedzmq.get_help(context).partition("Commands:\n")[2].splitlines())
    commands = {name: fedzmq.get_command(context, name) for name in fedzmq.list_commands(context)}
    assert lines == {name: command.get_short_help_str(200) for name, command in commands.items() if command is not None}


def test_the_help_does_not_wait_for_torch() -> None:
    program = "import sys; from fedzmq.cli.main import run; run(['--help']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
