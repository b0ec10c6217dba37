"""The declarations of a project folder: `tables/*.yaml`, `tables/*.py`, and the modules that their rules name.

A project is code that its owner runs: its Python files are imported. A YAML file imports what its rules name.
"""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.printable import printable
from bulk_pipeline.schema.table import Table
from bulk_pipeline.schema.table_files import read_table
from bulk_pipeline.settings import TABLES_FOLDER

_importing = threading.RLock()


@dataclass(frozen=True)
class TableFile:
    """One file or package that declares tables: either the tables, or what is wrong with it.

    `name`: how messages call it, such as `tables/orders.yaml`.
    """

    name: str
    tables: tuple[Table, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class FileState:
    """The version of a file, by which a change is noticed; the time is in nanoseconds."""

    path: Path
    changed_at: int
    size_bytes: int

    @classmethod
    def of(cls, path: Path) -> Self:
        try:
            found = path.stat()
        except OSError:  # removed between the listing and this
            return cls(path, 0, 0)
        return cls(path, found.st_mtime_ns, found.st_size)


class Project:
    """The table files of a folder. Files that are the same as before are not read again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._read: dict[FileState, TableFile] = {}
        self._modules: tuple[FileState, ...] | None = None

    def changed(self) -> bool:
        """Return whether files are different from those that `read` has read."""
        tables, modules = self._states()
        return modules != self._modules or list(tables) != list(self._read)

    def read(self) -> list[TableFile]:
        """Return what each table file declares, by name of the file. A file that is wrong does not hide the others."""
        if not (self.folder / TABLES_FOLDER).is_dir():
            return self._without_folder()
        tables, modules = self._states()
        known = self._read if modules == self._modules else {}
        with _imports_of(self.folder):
            self._read = {state: known.get(state) or _read(state.path, self.folder) for state in tables}
        self._modules = modules
        return list(self._read.values())

    def _without_folder(self) -> list[TableFile]:
        """Return a problem for each file that was there: a folder that cannot be listed means no table is removed."""
        problem = (
            f"{self.folder / TABLES_FOLDER} is missing: restore the folder, or name another in BULK_PROJECT"
        )
        names = [file.name for file in self._read.values()] or [TABLES_FOLDER]
        return [TableFile(name, problem=problem) for name in names]

    def _states(self) -> tuple[tuple[FileState, ...], tuple[FileState, ...]]:
        """Return the states of the table files, and of the modules that these may import."""
        return tuple(map(FileState.of, _table_files(self.folder))), tuple(
            map(FileState.of, _modules(self.folder))
        )


def read_folder(folder: Path) -> list[Table]:
    """Return the tables of a folder's `tables/`, for packages that bring some. Raises `DeclarationError`."""
    files = Project(folder).read()
    problems = [file.problem for file in files if file.problem]
    if problems:
        raise DeclarationError("; ".join(problems))
    return [table for file in files for table in file.tables]


def tables_in(found: object, name: str) -> TableFile:
    """Return the tables of `TABLE`, `TABLES` or an entry point: a `Table`, several, or a function that returns them."""
    try:
        value = found() if callable(found) else found
        several = (value,) if isinstance(value, Table) else tuple(value)  # pyright: ignore[reportArgumentType]
    except (
        Exception
    ) as error:  # a module of the project or of a package: whatever it raises, the others are served
        return TableFile(name, problem=f"{name}: {_sentence(error)}")
    strange = [type(item).__name__ for item in several if not isinstance(item, Table)]
    if strange:
        return TableFile(name, problem=f"{name}: expected a Table or several, not {strange[0]}")
    return TableFile(name, several)


def _table_files(project: Path) -> list[Path]:
    return [
        path
        for path in sorted((project / TABLES_FOLDER).glob("*"))
        if path.suffix in (".yaml", ".yml", ".py") and not path.name.startswith((".", "_"))
    ]


def _modules(project: Path) -> Iterator[Path]:
    """Yield the files of the project's own modules."""
    yield from sorted(project.glob("*.py"))
    for folder in sorted(project.glob("*/__init__.py")):
        yield from sorted(folder.parent.rglob("*.py"))


def _read(path: Path, project: Path) -> TableFile:
    name = str(path.relative_to(project))
    try:
        if path.suffix == ".py":
            return _tables_of_module(path, name)
        return TableFile(name, (read_table(_text(path, name), name, partial(_find_check, project)),))
    except DeclarationError as error:
        return TableFile(name, problem=str(error))
    except OSError as error:
        return TableFile(name, problem=f"{name}: cannot be read: {error.strerror or error}")


def _text(path: Path, name: str) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DeclarationError(f"{name}, line {line}: not UTF-8: save the file as UTF-8") from None


def _tables_of_module(path: Path, name: str) -> TableFile:
    spec = spec_from_file_location(f"{TABLES_FOLDER}.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a module of the project: whatever it raises, the other tables are served
        return TableFile(name, problem=f"{name}{_line(error, path)}: {_sentence(error)}")
    found = getattr(module, "TABLE", getattr(module, "TABLES", None))
    if found is None:
        return TableFile(
            name, problem=f"{name}: no TABLE in it: assign a Table to TABLE, or move the file elsewhere"
        )
    return tables_in(found, name)


def _find_check(project: Path, reference: str) -> Callable[..., Any]:
    """Return the function that a rule names. `DeclarationError` if it does not exist."""
    module_name, _, name = reference.partition(":")
    if not module_name or not name:
        raise DeclarationError(
            f"{reference!r} names no function: write module:function, rules:paid_has_date for rules.py"
        )
    file = f"{module_name.replace('.', '/')}.py"
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a module of the project
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and f"{module_name}.".startswith(f"{missing}."):
            raise DeclarationError(f"no module {module_name}: create {file} in {project}") from None
        raise DeclarationError(f"{file}{_line(error, project / file)}: {_sentence(error)}") from error
    check = getattr(module, name, None)
    if not callable(check):
        raise DeclarationError(f"{module_name} has no function {name}: define it, or correct the name")
    return check


@contextmanager
def _imports_of(project: Path) -> Iterator[None]:
    """Import modules of the project as they are now, during the block, and leave none of them behind.

    Two projects may both have a module `rules`, and a module that has changed is imported again. Modules of the project
    that its own program has imported before stay as they are. Compiled files are not written, as Python tells them by
    whole seconds and sizes.
    """
    with _importing:
        writes, path = sys.dont_write_bytecode, str(project.resolve())
        names = {file.stem for file in project.glob("*.py")}
        names |= {file.parent.name for file in project.glob("*/__init__.py")}
        hidden = {
            name: module
            for name, module in list(sys.modules.items())
            if name.partition(".")[0] in names and not _is_inside(module, project)
        }
        for name in hidden:
            del sys.modules[name]
        before = set(sys.modules)
        sys.path.insert(0, path)
        sys.dont_write_bytecode = True
        importlib.invalidate_caches()
        try:
            yield
        finally:
            sys.dont_write_bytecode = writes
            sys.path.remove(path)
            for name, module in list(sys.modules.items()):
                if name not in before and _is_inside(module, project):
                    del sys.modules[name]
            sys.modules.update(hidden)


def _is_inside(module: ModuleType, project: Path) -> bool:
    file = getattr(module, "__file__", None)
    return bool(file) and Path(str(file)).resolve().is_relative_to(project.resolve())


def _line(error: Exception, path: Path) -> str:
    """Return `, line N` for the last line of the file that the error has passed through."""
    if isinstance(error, SyntaxError) and error.lineno and error.filename == str(path):
        return f", line {error.lineno}"
    lines = _lines_in(error, path)
    return f", line {lines[-1]}" if lines else ""


def _lines_in(error: BaseException, path: Path) -> list[int]:
    lines: list[int] = []
    trace = error.__traceback__
    while trace is not None:
        if Path(trace.tb_frame.f_code.co_filename) == path:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return lines


def _sentence(error: Exception) -> str:
    if isinstance(error, DeclarationError):
        return str(error)
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return printable(f"{type(error).__name__}: {reason}" if reason else type(error).__name__)
