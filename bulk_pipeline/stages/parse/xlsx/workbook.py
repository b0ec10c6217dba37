"""The sheets of an .xlsx file: their names, visibility and rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.xlsx.number_formats import exact_styles, readers
from bulk_pipeline.stages.parse.xlsx.package import Element, Package, damaged
from bulk_pipeline.stages.parse.xlsx.sheet import Contents, Row, SharedStrings, rows, shared_strings


@dataclass(frozen=True)
class Sheet:
    """A worksheet, not a chart or dialog; `part` is the part with its rows."""

    name: str
    part: str
    is_hidden: bool


class Workbook:
    """An open .xlsx file with its list of sheets. Raises `FileError` if it is damaged or too large.

    `marks_stored`: see `Contents`.
    """

    def __init__(
        self, path: Path, limits: Limits, check: Callable[[], None], *, marks_stored: bool = False
    ) -> None:
        self._marks_stored = marks_stored
        self.limits = limits
        self._package = Package(path, limits, check)
        self._part = _workbook_part(self._package)
        self._elements = self._package.elements(self._part, {"sheet", "workbookPr"})
        self._relationships = self._package.relationships(self._part)
        self.sheets = tuple(self._sheets())

    def close(self) -> None:
        self._package.close()

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows of a sheet that are not empty."""
        return rows(self._package, sheet.part, self._contents, self.limits)

    def _sheets(self) -> Iterator[Sheet]:
        parts: set[str] = set()
        for element in self._elements:
            if element.name != "sheet" or element.parent != "sheets":
                continue
            relationship = self._relationships.get(_relationship(element))
            if relationship is not None and relationship.kind == "worksheet":
                if relationship.part in parts:
                    raise damaged("two of its sheets are the same part")
                parts.add(relationship.part)
                state = element.attributes.get("state", "visible").lower()
                yield Sheet(
                    element.attributes.get("name", ""), relationship.part, state in ("hidden", "veryhidden")
                )

    @cached_property
    def _contents(self) -> Contents:
        from_1904 = any(
            element.name == "workbookPr" and element.attributes.get("date1904") in ("1", "true", "on")
            for element in self._elements
        )
        strings, styles = self._related("sharedStrings"), self._related("styles")
        looks = self._package.elements(styles, {"numFmt", "xf", "cellStyle"}) if styles else []
        exact = exact_styles(looks)
        texts = (
            shared_strings(self._package, strings, keeps_exact=bool(exact)) if strings else SharedStrings()
        )
        return Contents(texts, readers(looks, from_1904=from_1904), exact, self._marks_stored)

    def _related(self, kind: str) -> str | None:
        parts = (
            relationship.part for relationship in self._relationships.values() if relationship.kind == kind
        )
        return next((part for part in parts if self._package.has(part)), None)


def _workbook_part(package: Package) -> str:
    relationships = package.relationships("").values()
    return next(
        (relationship.part for relationship in relationships if relationship.kind == "officeDocument"),
        "xl/workbook.xml",
    )


def _relationship(element: Element) -> str:
    """Return the id of an element's relationship; its attribute has a namespace, another one in strict workbooks."""
    ids = (value for name, value in element.attributes.items() if name.endswith(" id"))
    return next(ids, "")
