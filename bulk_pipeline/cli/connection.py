"""Which servers a command talks to: each that the environment names, else that of the stack in the home folder."""

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bulk_pipeline.errors import StackError
from bulk_pipeline.settings import Settings, read_settings

if TYPE_CHECKING:  # drivers are imported when a command first needs them
    from bulk_pipeline.orchestration.stores import Stores

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="BULK_HOME", help="The folder of the stack.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DEFAULT_HOME = Path(".bulk")
_POSTGRES = ("DATABASE_URL",)
_S3 = ("S3_ENDPOINT_URL", "S3_ACCESS_KEY")
"""The variables by which the environment names a server."""
_AT_END: ContextVar[ExitStack | None] = ContextVar("at_end", default=None)


def stores_of(home: Path) -> "Stores":
    """The stores that the environment or the running stack names; closed when the command ends."""
    from bulk_pipeline.orchestration.stores import Stores

    stores = Stores(settings_of(home))
    if (at_end := _AT_END.get()) is not None:
        at_end.callback(stores.close)
    return stores


def start_command(home: Path) -> str:
    """The command that starts the stack in the folder."""
    where = "" if home == DEFAULT_HOME else f" --home {shlex.quote(str(home))}"
    return f"bulk-pipeline up{where} --detach"


@contextmanager
def closing_stores() -> Iterator[None]:
    """Close at the end what `stores_of` gives inside the block."""
    with ExitStack() as at_end:
        before = _AT_END.set(at_end)
        try:
            yield
        finally:
            _AT_END.reset(before)


def settings_of(home: Path) -> Settings:
    """The environment's settings, each server that it does not name being the running stack's.

    `StackError` if no stack is up and the environment names no database.
    """
    if _is_named(_POSTGRES) and _is_named(_S3):
        return read_settings()
    from bulk_pipeline.stack import environment

    try:
        known = environment(home)
    except StackError:
        if _is_named(_POSTGRES):
            return read_settings()  # S3 is AWS, with the usual chain of credentials
        raise
    if _is_named(_POSTGRES):
        known = {name: value for name, value in known.items() if name not in _POSTGRES}
    if _is_named(_S3):
        known = {name: value for name, value in known.items() if not name.startswith("S3_")}
    return read_settings(**{name.lower(): value for name, value in known.items()})


def _is_named(variables: tuple[str, ...]) -> bool:
    """Return whether the environment names the server. An empty variable counts as not set."""
    return any(os.environ.get(name) for name in variables)
