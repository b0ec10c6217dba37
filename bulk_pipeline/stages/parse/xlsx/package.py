"""Reads the XML parts of an .xlsx file as streams, within limits; knows nothing about what the parts mean."""

import posixpath
import zipfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from bulk_pipeline.errors import FileError, FileErrorCode
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.compression import BAD_ZIP, ZIP_METHODS

_PIECE_BYTES = 1 << 16
_TOKEN_BYTES = 1 << 20
"""Most bytes of a tag or comment: expat 2.5 reads it again for each new piece, and holds its attributes in memory."""
_NAMES = 10_000
"""Most different names of elements and attributes: expat and its binding keep all of them."""
_DEPTH = 1_000
_ELEMENTS = 200_000
"""Most elements of a part that is held in memory; spreadsheet programs write up to 65,490 styles."""
_ATTRIBUTES = {
    "Id",
    "Type",
    "Target",
    "TargetMode",
    "name",
    "state",
    "id",
    "date1904",
    "numFmtId",
    "xfId",
    "formatCode",
}
_NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main ",
    "http://purl.oclc.org/ooxml/spreadsheetml/main ",
    "http://schemas.openxmlformats.org/package/2006/relationships ",
    "",
)
"""Namespaces of the elements: transitional and strict workbooks, relationships, and none."""


@dataclass(frozen=True)
class Element:
    """The start of an element, with the name of its parent and the attributes that are used here."""

    name: str
    parent: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Relationship:
    """A reference to a part. `kind` is the last word of its type, such as worksheet or chartsheet."""

    kind: str
    part: str


@dataclass(frozen=True)
class Handlers:
    """Callbacks for each start and end of an element, with the names of `qualified`, and for text."""

    start: Callable[[str, dict[str, str]], None]
    end: Callable[[str], None]
    text: Callable[[str], object]


def qualified(kinds: dict[str, int]) -> dict[str, int]:
    """Return the kinds under each name with each namespace that spreadsheet programs write."""
    return {namespace + name: kind for name, kind in kinds.items() for namespace in _NAMESPACES}


class Package:
    """An open .xlsx file. Raises `FileError` if it is damaged or too large, or lacks a part.

    `check` is called for each piece that is read, and raises to stop the reading.
    """

    def __init__(self, path: Path, limits: Limits, check: Callable[[], None]) -> None:
        self._check = check
        try:
            self._archive = zipfile.ZipFile(path)
        except BAD_ZIP as error:
            raise damaged() from error
        members = self._archive.infolist()
        if any(info.compress_type not in ZIP_METHODS for info in members):
            raise damaged()
        size = sum(info.file_size for info in members)
        if size > limits.sheet_bytes:
            raise FileError(
                FileErrorCode.TOO_LARGE,
                f"the .xlsx file unpacks to {size:,} bytes, the limit is {limits.sheet_bytes:,}: save it as CSV",
            )
        self._members = {_key(info.filename): info for info in members}

    def close(self) -> None:
        self._archive.close()

    def has(self, part: str) -> bool:
        return _key(part) in self._members

    def elements(self, part: str, names: Collection[str]) -> list[Element]:
        """Return the elements of a part that have one of the names, in file order."""
        elements: list[Element] = []
        parents = [""]

        def start(name: str, attributes: dict[str, str]) -> None:
            local = _local(name)
            if local in names:
                used = {name: value for name, value in attributes.items() if _local(name) in _ATTRIBUTES}
                elements.append(Element(local, parents[-1], used))
                if len(elements) > _ELEMENTS:
                    raise too_large(f"its part {part!r} has more than {_ELEMENTS:,} elements")
            parents.append(local)
            refuse_depth(len(parents))

        parser = _parser()
        parser.StartElementHandler = start
        parser.EndElementHandler = lambda _: parents.pop()
        for _ in self._feed(part, parser):
            pass
        return elements

    def relationships(self, part: str) -> dict[str, Relationship]:
        """Return the references of a part to other parts of the package, by id."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(relations):
            return {}
        return {
            attributes["Id"]: Relationship(
                attributes.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, attributes["Target"].replace("\\", "/")))[1:],
            )
            for element in self.elements(relations, {"Relationship"})
            if (attributes := element.attributes).keys() >= {"Id", "Target"}
            and attributes.get("TargetMode") != "External"
        }

    def stream(self, part: str, handlers: Handlers) -> Iterator[None]:
        """Parse a part, and yield after each piece of it."""
        parser = _parser()
        parser.StartElementHandler = handlers.start
        parser.EndElementHandler = handlers.end
        parser.CharacterDataHandler = handlers.text
        return self._feed(part, parser)

    def _feed(self, part: str, parser: expat.XMLParserType) -> Iterator[None]:
        info = self._members.get(_key(part))
        if info is None:
            raise FileError(
                FileErrorCode.UNREADABLE_FILE, f"the .xlsx file is damaged: it has no part {part!r}"
            )
        try:
            with self._archive.open(info) as member:
                size = 0
                while piece := member.read(_PIECE_BYTES):
                    self._check()
                    parser.Parse(piece, False)
                    size += len(piece)
                    if size - parser.CurrentByteIndex > _TOKEN_BYTES + _PIECE_BYTES:
                        raise too_large(f"its part {part!r} has a tag of more than {_TOKEN_BYTES:,} bytes")
                    if len(parser.intern) > _NAMES:
                        raise too_large(f"its part {part!r} has more than {_NAMES:,} names of elements")
                    yield
                parser.Parse(b"", True)
            yield
        except expat.ExpatError as error:
            place = f"line {error.lineno}, column {error.offset + 1}"
            raise FileError(
                FileErrorCode.UNREADABLE_FILE,
                f"the .xlsx file is damaged: its part {part!r} is not well-formed XML ({place})",
            ) from error
        except BAD_ZIP as error:
            raise damaged() from error


def refuse_depth(depth: int) -> None:
    """Raise `FileError` for elements that are nested too deeply."""
    if depth > _DEPTH:
        raise too_large(f"elements stand more than {_DEPTH:,} deep in each other")


def too_large(excess: str) -> FileError:
    return FileError(
        FileErrorCode.TOO_LARGE, f"the .xlsx file is no workbook that a spreadsheet program writes: {excess}"
    )


def damaged(remedy: str = "open it in a spreadsheet program and save it again") -> FileError:
    return FileError(FileErrorCode.UNREADABLE_FILE, f"the .xlsx file is damaged: {remedy}")


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    return parser


def _refuse_document_type(*_: object) -> None:
    """Raise `FileError`: no spreadsheet program writes a document type, and its entities can expand to gigabytes."""
    raise FileError(
        FileErrorCode.UNREADABLE_FILE, "the .xlsx file is damaged: its XML declares a document type"
    )


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _key(name: str) -> str:
    return name.replace("\\", "/").strip("/").lower()
