"""docs/reference/commands.md: every command with its options, from the command line's own descriptions."""

from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args

from typer.main import get_command

from bulk_pipeline.cli.app import app
from bulk_pipeline_tests.reference.markdown import escaped, table

_TITLE = """# Commands

Every command and its options, made from the code by `make reference`. `bulk-pipeline COMMAND --help` shows the same.
"""
_PROGRAM = "bulk-pipeline"
_VALUES = {"str": "TEXT", "Path": "PATH", "int": "NUMBER", "float": "NUMBER"}


def document() -> str:
    """Return the page."""
    return "".join(
        [_TITLE, *(_section(name, command) for name, command in _commands(get_command(app), _PROGRAM))]
    )


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        found = f"{path} {name}"
        if hasattr(command, "commands"):
            yield from _commands(command, found)
        else:
            yield found, command


def _section(name: str, command: Any) -> str:
    text, *examples = command.help.split("Example:")
    lines = [" ".join(example.split()) for example in examples]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    usage = " ".join([name, *(["[OPTIONS]"] if options else []), *map(_argument, arguments)])
    rows = [(f"`{_argument(one)}`", escaped(one.help or ""), "") for one in arguments]
    rows += [(f"`{_option(one)}`", escaped(one.help or ""), _default(one)) for one in options]
    parameters = f"\n{table(('argument or option', 'meaning', 'default'), rows)}" if rows else ""
    shown = "\n".join([usage, "", *lines] if lines else [usage])
    return f"\n## {name}\n\n{' '.join(text.split())}\n\n```text\n{shown}\n```\n{parameters}"


def _argument(one: Any) -> str:
    name = one.metavar or one.name.upper()
    name = f"{name}…" if one.nargs == -1 else name
    return name if one.required else f"[{name}]"


def _option(one: Any) -> str:
    names = ", ".join(one.opts)
    if one.is_flag:
        return " / ".join([names, *one.secondary_opts])
    return f"{names} {one.metavar or _value(one)}"


def _value(one: Any) -> str:
    kinds = [one.type_descriptor.annotation, *get_args(one.type_descriptor.annotation)]
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, Enum):
            return "|".join(str(choice.value) for choice in kind)
    names = [kind.__name__ for kind in kinds if isinstance(kind, type)]
    return next((_VALUES[name] for name in names if name in _VALUES), "VALUE")


def _default(one: Any) -> str:
    if one.required:
        return "required"
    if one.default in (None, False, (), []) or callable(one.default):
        return ""
    value = one.default.value if isinstance(one.default, Enum) else one.default
    return f"`{one.opts[0] if value is True else value}`"
