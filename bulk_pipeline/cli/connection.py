"""The servers a command talks to: each is named by the environment, or else belongs to the stack in the home folder."""

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
    from bulk_pipeline.pipeline.container import Stores

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="BULK_HOME", help="Folder of the stack.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
DEFAULT_HOME = Path(".bulk")
_POSTGRES = ("DATABASE_URL",)
_S3 = ("S3_ENDPOINT_URL", "S3_ACCESS_KEY")
"""Environment variables that name a server."""
_AT_END: ContextVar[ExitStack | None] = ContextVar("at_end", default=None)


def stores_of(home: Path) -> "Stores":
    """Return the stores that the environment or the running stack names; closed when the command ends."""
    from bulk_pipeline.pipeline.container import Stores

    stores = Stores(settings_of(home))
    if (at_end := _AT_END.get()) is not None:
        at_end.callback(stores.close)
    return stores


def start_command(home: Path) -> str:
    """Return the command that starts the stack in the folder."""
    where = "" if home == DEFAULT_HOME else f" --home {shlex.quote(str(home))}"
    return f"bulk-pipeline up{where} --detach"


@contextmanager
def closing_stores() -> Iterator[None]:
    """Close the stores that `stores_of` opened inside the block."""
    with ExitStack() as at_end:
        before = _AT_END.set(at_end)
        try:
            yield
        finally:
            _AT_END.reset(before)


def settings_of(home: Path) -> Settings:
    """Return the environment's settings; servers that it does not name are those of the running stack.

    Raises `StackError` if no stack is running and the environment names no database.
    """
    if _is_named(_POSTGRES) and _is_named(_S3):
        return read_settings()
    from bulk_pipeline.stack import environment

    try:
        of_stack = environment(home)
    except StackError:
        if _is_named(_POSTGRES):
            return read_settings()  # S3 is AWS, with its credential chain
        raise
    if _is_named(_POSTGRES):
        of_stack = {name: value for name, value in of_stack.items() if name not in _POSTGRES}
    if _is_named(_S3):
        of_stack = {name: value for name, value in of_stack.items() if not name.startswith("S3_")}
    return read_settings(**{name.lower(): value for name, value in of_stack.items()})


def _is_named(variables: tuple[str, ...]) -> bool:
    """Return whether the environment names the server. An empty variable counts as not set."""
    return any(os.environ.get(name) for name in variables)
