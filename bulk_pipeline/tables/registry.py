"""The tables that are served: those of a project folder or of the sample data, and those of installed packages.

A process has one registry, `served()`. It reads the project when it is first asked, and again when files change.
"""

import logging
import pkgutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from bulk_pipeline.errors import UnknownTableError
from bulk_pipeline.schema import Table, TableName
from bulk_pipeline.schema.load_order import in_order
from bulk_pipeline.settings import TABLES_FOLDER, read_project
from bulk_pipeline.tables.project import Project, TableFile, tables_in

ENTRY_POINTS = "bulk_pipeline.tables"
"""The group of entry points by which packages bring tables: each names a `Table`, several, or a function for them."""

_LOOK_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Declared:
    """The tables that are served, by name and parents first, and what is wrong with declarations, a sentence each.

    `sources`: the name of the file or package of each table.
    """

    tables: dict[str, Table]
    sources: dict[str, str]
    problems: tuple[str, ...] = ()


class TableRegistry:
    """The tables of a project folder and of packages. Files that change are read again within a second.

    A declaration that is wrong is not served, and does not hide the others; where a running process knows how it was
    before, that stays.
    """

    def __init__(
        self, project: Path | None, packages: Callable[[], Sequence[TableFile]] | None = None
    ) -> None:
        self._project = Project(project) if project else None
        self._packages = packages or of_packages
        self._declared: Declared | None = None
        self._looked_at = 0.0
        self._holds = 0
        self._lock = threading.RLock()

    @property
    def project(self) -> Path | None:
        """The folder of the project; None if the package's own tables are served."""
        return self._project.folder if self._project else None

    def get(self, name: str) -> Table:
        """Return the table of that name, also if its file was added a moment ago.

        `UnknownTableError` names the tables that exist, and files that are wrong.
        """
        declared = self._current()
        if name not in declared.tables:
            declared = self._current(at_once=True)
        if name not in declared.tables:
            broken = "".join(f"; {problem}" for problem in declared.problems)
            known = ", ".join(declared.tables) or f"none: {self._advice()}"
            raise UnknownTableError(f"unknown table {name!r}: expected one of {known}{broken}")
        return declared.tables[name]

    def source_of(self, name: str) -> str:
        """Return the file, from the project on, or the package that declares the table of that name."""
        self.get(name)
        return self._current().sources[name]

    def names(self) -> tuple[str, ...]:
        return tuple(self._current().tables)

    def in_load_order(self) -> tuple[Table, ...]:
        """Return all tables, parents before children."""
        return tuple(self._current().tables.values())

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong with the declarations as they are now, a sentence each."""
        return self._current().problems

    @contextmanager
    def held(self) -> Iterator[None]:
        """Serve the tables as they are now until the block ends: a run does not change its mind halfway."""
        self._current(at_once=True)
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def _current(self, *, at_once: bool = False) -> Declared:
        declared, project = self._declared, self._project
        is_fresh = self._holds or (not at_once and time.monotonic() - self._looked_at < _LOOK_SECONDS)
        if declared is not None and (is_fresh or project is None):
            return declared
        with self._lock:
            declared = self._declared
            if declared is None or (project is not None and project.changed()):
                own = project.read() if project else of_sample_data()
                before, declared = declared, merge([*own, *self._packages()], declared)
                _tell(declared, before)
            self._declared, self._looked_at = declared, time.monotonic()
            return declared

    def _advice(self) -> str:
        return f"put a file into {self.project / TABLES_FOLDER}" if self.project else "declare one"


def served() -> TableRegistry:
    """Return the registry of this process: of the project that `BULK_PROJECT` names, unless `serve` has named one."""
    global _served
    if _served is None:
        _served = TableRegistry(read_project())
    return _served


def serve(project: Path | None) -> TableRegistry:
    """Make this process serve the tables of a project, or with None those of the sample data; return its registry."""
    global _served
    _served = TableRegistry(project)
    return _served


_served: TableRegistry | None = None


def of_sample_data() -> list[TableFile]:
    """Return the tables of this package."""
    package = __package__ or "bulk_pipeline.tables"
    modules = pkgutil.iter_modules(import_module(package).__path__, f"{package}.")
    found = ((module.name, getattr(import_module(module.name), "TABLE", None)) for module in modules)
    return [TableFile(name, (table,)) for name, table in found if table is not None]


def of_packages() -> list[TableFile]:
    """Return the tables that installed packages bring."""
    return [_of_package(point) for point in entry_points(group=ENTRY_POINTS)]


def _of_package(point: EntryPoint) -> TableFile:
    name = f"{point.value} of the package {point.dist.name if point.dist else '?'}"
    try:
        return tables_in(point.load(), name)
    except Exception as error:  # the package's own code: whatever it raises, the other tables are served
        return TableFile(name, problem=f"{name}: {type(error).__name__}: {error}")


def merge(files: Iterable[TableFile], before: Declared | None = None) -> Declared:
    """Return the tables of all files that do not contradict each other. A file with an error keeps the table that it
    had in `before`, if any."""
    found = list(files)
    problems = list(dict.fromkeys(file.problem for file in found if file.problem))
    broken = {file.name for file in found if file.problem}
    declarations: dict[str, list[tuple[Table, str]]] = {}
    for file in found:
        for table in file.tables:
            declarations.setdefault(table.upload_name, []).append((table, file.name))
    tables, sources = dict[str, Table](), dict[str, str]()
    for name, several in declarations.items():
        if len(several) == 1:
            tables[name], sources[name] = several[0]
            continue
        names = sorted(source for _, source in several)
        problems.append(
            f"table {name} is declared more than once, in {' and '.join(names)}: keep one of them"
        )
        broken.update(names)
    if before is not None:
        kept = [name for name, source in before.sources.items() if source in broken and name not in tables]
        tables |= {name: before.tables[name] for name in kept}
        sources |= {name: before.sources[name] for name in kept}
    order = in_order(_one_each(tables, sources, problems))
    return Declared(order, {name: sources[name] for name in order}, tuple(problems))


def _one_each(tables: dict[str, Table], sources: dict[str, str], problems: list[str]) -> Iterator[Table]:
    """Yield the tables, but none that is declared under two names, which `problems` gets."""
    names: dict[TableName, list[str]] = {}
    for name, table in tables.items():
        names.setdefault(table.qualified_name, []).append(name)
    for qualified_name, several in names.items():
        if len(several) == 1:
            yield tables[several[0]]
            continue
        files = dict.fromkeys(sources[name] for name in sorted(several))
        problems.append(
            f"table {qualified_name} is declared under two names, {' and '.join(sorted(several))}, "
            f"in {' and '.join(files)}: keep one of them"
        )


def _tell(declared: Declared, before: Declared | None) -> None:
    """Log what a process has to know: problems that are new, and which tables have changed."""
    for problem in declared.problems:
        if before is None or problem not in before.problems:
            _log.warning("%s", problem)
    if before is None:
        return
    added = [name for name in declared.tables if name not in before.tables]
    removed = [name for name in before.tables if name not in declared.tables]
    changed = [
        name
        for name, table in declared.tables.items()
        if name in before.tables and table != before.tables[name]
    ]
    for what, names in (("added", added), ("changed", changed), ("removed", removed)):
        if names:
            _log.info("tables %s: %s", what, ", ".join(names))
