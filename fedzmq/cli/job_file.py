"""A command's options in a TOML file: `--config job.toml`, and back.

An option has one name: what it is called on the command line, without its dashes. What the command line says wins. The
options are the command's own, so that whatever option a command gets is in its job files.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import tomli_w
from click.core import ParameterSource

from fedzmq.cli.values import WordOrOwn, of_what
from fedzmq.errors import JobFileError, UsageError
from fedzmq.suggestion import nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG = "config"
NAMED = "NAME=VALUE"  # the metavar of an option that repeats: a table in a file
_TYPED = "fedzmq.cli.job_file"  # where a context keeps what was typed

_Kinds = type | tuple[type, ...]
_TYPES: tuple[tuple[_Kinds, _Kinds, str], ...] = (
    (click.types.BoolParamType, bool, "true or false"),
    (click.types.IntParamType, int, "a whole number"),
    (click.types.FloatParamType, (int, float), "a number"),
    ((click.types.StringParamType, click.Choice, click.Path), str, "a text"),
)


class JobCommand(click.Command):
    """A command with `--config`."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.params.append(
            click.Option(
                [f"--{CONFIG}"],
                type=click.Path(),
                is_eager=True,  # the others take their values from it
                expose_value=False,
                callback=_read,
                metavar="FILE",
                help="A TOML file with any of these options, by their names here without the dashes. "
                "What is said here wins.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        typed, _, _ = self.make_parser(ctx).parse_args(list(args))
        for option in self.params:
            for value in _several(typed.get(str(option.name))):
                if isinstance(option, click.Option) and _is_blank(option, value):
                    raise click.BadParameter(_blank(option, repr(value)), ctx, option)
        ctx.meta[_TYPED] = typed
        return super().parse_args(ctx, args)


def job_of(ctx: click.Context, without: Container[str] = ()) -> dict[str, Any]:
    """The options that a command runs with, wherever they came from, as a job file has them.

    without: options that are no part of what is done. Left out too is what has no value.
    """
    job: dict[str, Any] = {}
    for key, option in _options(ctx.command):
        value = ctx.params.get(str(option.name))
        if key in without or value is None or (option.multiple and not value):
            continue
        # What was given, and not the value, of which a callback may have made anything.
        typed = ctx.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        given: Any = ctx.meta[_TYPED][option.name] if typed else option.get_default(ctx)
        if _is_table(option):
            job[key] = _named(given)
        elif option.multiple:
            job[key] = [*map(_plain, option.type_cast_value(ctx, given), given)]
        else:
            job[key] = _plain(option.type_cast_value(ctx, given), given)
    return job


def defaults_of(command: click.Command) -> dict[str, Any]:
    """What each option is where nobody asks for anything, by its name in a job file."""
    return {key: option.default for key, option in _options(command)}


def to_toml(job: Mapping[str, Any], command: str) -> str:
    """The text of a job file."""
    return f"# What was asked for: `{command} --{CONFIG}` with this file asks for it again.\n{tomli_w.dumps(job)}"


def _read(ctx: click.Context, param: click.Parameter, path: str | None) -> None:
    """Make the file's values the command's defaults. Raises JobFileError."""
    if path is None:
        return
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise JobFileError(path, f"it is not text in UTF-8: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise JobFileError(path, error.strerror or str(error)) from error
    take_over(ctx, path, text)


def take_over(ctx: click.Context, path: str, text: str) -> None:
    """Make the values of a job file the command's defaults. `path` is for messages. Raises JobFileError."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise JobFileError(path, f"it is not TOML: {error}") from error
    options = dict(_options(ctx.command))
    defaults = {}
    for key, value in values.items():
        line = _line_of(key, text)
        if key in _said_first(ctx):
            raise JobFileError(path, f"{key} belongs on the command line: --{key}", line)
        if key not in options:
            reason = f"no option of {ctx.command.name!r} is called {key!r}"
            raise JobFileError(path, reason + (nearest(key, options) or "; --help lists them"), line)
        option = options[key]
        try:
            defaults[str(option.name)] = _checked(ctx, option, value)
        except click.BadParameter as error:
            hint = _hint(key, options) if isinstance(value, dict) else ""
            raise JobFileError(path, f"{key}: {error.message.rstrip('.')}{hint}", line) from error
        except UsageError as error:
            raise JobFileError(path, f"{key}: {error}", line) from error
    ctx.default_map = {**(ctx.default_map or {}), **defaults}


def _checked(ctx: click.Context, option: click.Option, value: Any) -> Any:
    """What click is to be given for a value of the file. Raises BadParameter where it would not take it."""
    if _is_table(option):
        if not isinstance(value, dict):
            raise click.BadParameter(f"{_shown(value)} is not a table of names and values, such as {{ mu = 0.1 }}")
        each = [f"{name}={_text(item)}" for name, item in value.items()]
    elif option.multiple:
        each = [_of_type(option, item) for item in value] if isinstance(value, list) else [_of_type(option, value)]
    else:
        each = [_of_type(option, value)]
    result = each if option.multiple else each[0]
    option.process_value(ctx, result)
    return result


def _of_type(option: click.Option, value: Any) -> Any:
    """The value itself where TOML has the option's type, and its text where only the option knows how to read it."""
    for kind, wanted, words in _TYPES:
        if isinstance(option.type, kind):
            if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
                raise click.BadParameter(f"{_shown(value)} is not {words}{of_what(option)}")
            if _is_blank(option, value):
                raise click.BadParameter(_blank(option, _shown(value)))
            return value
    return _text(value)


def _is_blank(option: click.Option, value: Any) -> bool:
    """Nothing is written where a text is to be; what is no text says so by itself."""
    is_text = isinstance(option.type, click.types.StringParamType | click.Path | WordOrOwn)
    return is_text and isinstance(value, str) and not value.strip()


def _blank(option: click.Option, shown: str) -> str:
    return f"{shown} is blank: give it a value{'' if option.required else ', or leave it out'}"


def _several(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _text(value: Any) -> str:
    """A value as one writes it on the command line."""
    if isinstance(value, dict):
        raise click.BadParameter("a table is within the table, and each name has one value")
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _shown(value: Any) -> str:
    """As it is written in TOML."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text: str = tomli_w.dumps({"x": value})
    return text.removeprefix("x = ").strip()


def _hint(key: str, known: Container[str]) -> str:
    table = f"{key}-option"
    return f"; what it has to set goes into the table [{table}]" if table in known else ""


def _options(command: click.Command) -> Iterator[tuple[str, click.Option]]:
    """Those that a file can hold, by their names."""
    for param in command.params:
        if isinstance(param, click.Option) and not param.hidden and not param.is_eager:
            yield _key(param), param


def _said_first(ctx: click.Context) -> Iterator[str]:
    """Those that are done before a file is read, or read one."""
    for param in ctx.command.get_params(ctx):
        if isinstance(param, click.Option) and param.is_eager:
            yield _key(param)


def _key(option: click.Option) -> str:
    return max(option.opts, key=len).lstrip("-")


def _is_table(option: click.Option) -> bool:
    return option.metavar == NAMED


def _plain(value: Any, given: Any) -> Any:
    """A value in a type that TOML has."""
    return value if isinstance(value, str | bool | int | float) else str(given)


def _named(pairs: Iterable[str]) -> dict[str, Any]:
    """Each `name=value`, with numbers as numbers."""
    return {name: _literal(text) for name, _, text in (pair.partition("=") for pair in pairs)}


def _literal(text: str) -> Any:
    for read in (int, float):
        with suppress(ValueError):
            if str(read(text)) == text:  # else a number would not come back as it was written
                return read(text)
    return {"true": True, "false": False}.get(text, text)


def _line_of(key: str, text: str) -> int:
    """The line that the key of the file itself, or the table of that name, begins at."""
    name = rf"[\"']?{re.escape(key)}[\"']?"
    found = re.search(rf"^\s*(\[\s*)?{name}\s*[=.\]]", text, re.MULTILINE)
    return 1 if found is None else text.count("\n", 0, found.end()) + 1
