"""`init`: a folder for a project, with an example of each kind of file."""

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import orjson
import typer

from bulk_pipeline import __version__
from bulk_pipeline.cli import output
from bulk_pipeline.schema.table_files import SCHEMA_FILE, json_schema
from bulk_pipeline.shipped import shipped

_HIDDEN = {"env.example": ".env.example", "gitignore": ".gitignore"}
"""Files whose names begin with a dot in a project."""
_COPIED = ("dagster.yaml", "workspace.yaml")


def init(
    folder: Annotated[Path, typer.Argument(help="The folder; created if it does not exist.")],
) -> None:
    """Write a project folder: tables/ with an example, rules.py, a test, and files for Dagster and Docker.

    Files that exist are left as they are.

    Example: bulk-pipeline init shop && cd shop && bulk-pipeline up
    """
    for name, text in project_files(folder.resolve().name):
        path = folder / name
        if path.exists():
            output.say(f"kept    {path}")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        output.say(f"created {path}")
    output.say(f"next: cd {folder} and read README.md")


def project_files(name: str) -> Iterator[tuple[str, str]]:
    """Yield path and content of each file of a new project of that name."""
    words = {"{{name}}": _service_name(name), "{{version}}": __version__}
    for path, text in _template(files("bulk_pipeline.cli") / "project_template", ""):
        for word, value in words.items():
            text = text.replace(word, value)
        yield path, text
    for path in _COPIED:
        yield path, shipped(path).read_text()
    yield SCHEMA_FILE, orjson.dumps(json_schema(), option=orjson.OPT_INDENT_2).decode() + "\n"


def _template(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        name = path + _HIDDEN.get(entry.name, entry.name)
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _template(entry, f"{name}/")
        else:
            yield name, entry.read_text()


def _service_name(name: str) -> str:
    """Return the name as Docker accepts it for a project and an image."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-") or "project"
