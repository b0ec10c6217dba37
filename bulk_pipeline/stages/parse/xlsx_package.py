"""Reads the XML parts of an .xlsx file as streams, within limits. What the parts mean is not in here."""

import posixpath
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

from bulk_pipeline.errors import FileError
from bulk_pipeline.limits import Limits
from bulk_pipeline.stages.parse.compression import BAD_ZIP

_PIECE_BYTES = 1 << 16
_NAMESPACES = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main ",
    "http://purl.oclc.org/ooxml/spreadsheetml/main ",
    "http://schemas.openxmlformats.org/package/2006/relationships ",
    "",
)
"""Of the elements that are read: transitional and strict workbooks, relationships, and none at all."""


@dataclass(frozen=True)
class Element:
    """The start of an element; `parent` is the name of the one around it."""

    name: str
    parent: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Relationship:
    """`kind`: the last word of the type, such as worksheet or chartsheet. `part`: the name of the target."""

    kind: str
    part: str


@dataclass(frozen=True)
class Handlers:
    """Called for each start and end of an element, with its name as `qualified` spells it, and for text."""

    start: Callable[[str, dict[str, str]], None]
    end: Callable[[str], None]
    text: Callable[[str], object]


def qualified(kinds: dict[str, int]) -> dict[str, int]:
    """The same for the names with each namespace that spreadsheet programs write."""
    return {namespace + name: kind for name, kind in kinds.items() for namespace in _NAMESPACES}


class Package:
    """An open .xlsx file. Raises `FileError` for whatever is damaged, too large or missing in it.

    `check` is called for each piece that is read, and raises if reading should stop.
    """

    def __init__(self, path: Path, limits: Limits, check: Callable[[], None]) -> None:
        self._check = check
        try:
            self._archive = zipfile.ZipFile(path)
        except BAD_ZIP as error:
            raise damaged() from error
        members = self._archive.infolist()
        size = sum(info.file_size for info in members)
        if size > limits.sheet_bytes:
            raise FileError(
                "too_large",
                f"the .xlsx file unpacks to {size:,} bytes, the limit is {limits.sheet_bytes:,}: save it as CSV",
            )
        self._members = {_key(info.filename): info for info in members}

    def close(self) -> None:
        self._archive.close()

    def has(self, part: str) -> bool:
        return _key(part) in self._members

    def elements(self, part: str) -> list[Element]:
        """The starts of all elements of a part, in their order."""
        elements: list[Element] = []
        parents = [""]

        def start(name: str, attributes: dict[str, str]) -> None:
            elements.append(Element(_local(name), parents[-1], attributes))
            parents.append(_local(name))

        parser = _parser()
        parser.StartElementHandler = start
        parser.EndElementHandler = lambda _: parents.pop()
        for _ in self._feed(part, parser):
            pass
        return elements

    def relationships(self, part: str) -> dict[str, Relationship]:
        """What a part refers to inside the package, by id."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if not self.has(relations):
            return {}
        return {
            attributes["Id"]: Relationship(
                attributes.get("Type", "").rpartition("/")[2],
                posixpath.normpath(posixpath.join("/", folder, attributes["Target"].replace("\\", "/")))[1:],
            )
            for element in self.elements(relations)
            if (attributes := element.attributes).keys() >= {"Id", "Target"}
            and attributes.get("TargetMode") != "External"
        }

    def stream(self, part: str, handlers: Handlers) -> Iterator[None]:
        """Parse a part, and pause after each piece of it."""
        parser = _parser()
        parser.StartElementHandler = handlers.start
        parser.EndElementHandler = handlers.end
        parser.CharacterDataHandler = handlers.text
        return self._feed(part, parser)

    def _feed(self, part: str, parser: expat.XMLParserType) -> Iterator[None]:
        info = self._members.get(_key(part))
        if info is None:
            raise FileError("unreadable_file", f"the .xlsx file is damaged: it has no part {part!r}")
        try:
            with self._archive.open(info) as member:
                while piece := member.read(_PIECE_BYTES):
                    self._check()
                    parser.Parse(piece, False)
                    yield
                parser.Parse(b"", True)
            yield
        except expat.ExpatError as error:
            place = f"line {error.lineno}, column {error.offset + 1}"
            raise FileError(
                "unreadable_file", f"the .xlsx file is damaged: its part {part!r} is no sound XML ({place})"
            ) from error
        except BAD_ZIP as error:
            raise damaged() from error


def damaged() -> FileError:
    return FileError(
        "unreadable_file", "the .xlsx file is damaged: open it in a spreadsheet program and save it again"
    )


def _parser() -> expat.XMLParserType:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_document_type
    return parser


def _refuse_document_type(*_: object) -> None:
    """No spreadsheet program writes one, and it can declare entities that expand to gigabytes."""
    raise FileError("unreadable_file", "the .xlsx file is damaged: its XML declares a document type")


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _key(name: str) -> str:
    return name.replace("\\", "/").strip("/").lower()
