"""The sheets of an .xlsx file: their names, which of them people see, and their rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.xlsx_formats import readers
from bulk_pipeline.stages.parse.xlsx_package import Element, Package
from bulk_pipeline.stages.parse.xlsx_sheet import Contents, Row, rows, shared_strings


@dataclass(frozen=True)
class Sheet:
    """A sheet with cells for rows; charts and dialogs are none. `part`: where its rows are."""

    name: str
    part: str
    is_hidden: bool


class Workbook:
    """An .xlsx file whose directory is read. Raises `FileError` for what is damaged or too large in it."""

    def __init__(self, path: Path, limits: Limits, check: Callable[[], None]) -> None:
        self._limits = limits
        self._package = Package(path, limits, check)
        self._part = _workbook_part(self._package)
        self._elements = self._package.elements(self._part)
        self._relationships = self._package.relationships(self._part)
        self.sheets = tuple(self._sheets())

    def close(self) -> None:
        self._package.close()

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """The rows with something in them."""
        return rows(self._package, sheet.part, self._contents, self._limits)

    def _sheets(self) -> Iterator[Sheet]:
        for element in self._elements:
            if element.name != "sheet" or element.parent != "sheets":
                continue
            found = self._relationships.get(_relationship(element))
            if found is not None and found.kind == "worksheet":
                state = element.attributes.get("state", "visible").lower()
                yield Sheet(element.attributes.get("name", ""), found.part, state in ("hidden", "veryhidden"))

    @cached_property
    def _contents(self) -> Contents:
        from_1904 = any(
            element.name == "workbookPr" and element.attributes.get("date1904") in ("1", "true", "on")
            for element in self._elements
        )
        strings, styles = self._related("sharedStrings"), self._related("styles")
        return Contents(
            shared_strings(self._package, strings) if strings else (),
            readers(self._package.elements(styles), from_1904=from_1904) if styles else (),
        )

    def _related(self, kind: str) -> str | None:
        parts = (found.part for found in self._relationships.values() if found.kind == kind)
        return next((part for part in parts if self._package.has(part)), None)


def _workbook_part(package: Package) -> str:
    relationships = package.relationships("").values()
    return next((found.part for found in relationships if found.kind == "officeDocument"), "xl/workbook.xml")


def _relationship(element: Element) -> str:
    """The id, whose attribute has a namespace: another one in strict workbooks."""
    ids = (value for name, value in element.attributes.items() if name.endswith(" id"))
    return next(ids, "")
