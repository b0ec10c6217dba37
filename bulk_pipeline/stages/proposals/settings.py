"""Proposes settings for a file, each with its evidence: code page, names of columns, and the notation of its cells.

A setting is proposed only if all other readings fail for some cell. Where two readings fit every cell and differ, none
is proposed, and a sentence says what both would make of a cell.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.errors import FileError
from bulk_pipeline.printable import printable
from bulk_pipeline.schema import Table, UploadFormat, invisible, read_format
from bulk_pipeline.schema.families.numbers import FRACTIONS, WHOLE_NUMBERS
from bulk_pipeline.schema.families.times import TIMES_OF_DAY, TIMESTAMPS
from bulk_pipeline.schema.upload_format import DECLARATIONS, Kind
from bulk_pipeline.stages.parse import Upload
from bulk_pipeline.stages.parse.parsed import STORED
from bulk_pipeline.stages.proposals.cells import Cells, different
from bulk_pipeline.stages.proposals.code_pages import Open, with_code_page
from bulk_pipeline.stages.proposals.delimiters import undetected_delimiter
from bulk_pipeline.stages.proposals.names import aliases
from bulk_pipeline.stages.proposals.notations import CLOCKS, DATES, MARKS

SAMPLE_ROWS = 100_000
MARKED = UploadFormat(trim=True)
"""Declared for a sample, so that the values that a workbook stores are told from texts."""

_PROBE = 1_000
_NULLS = frozenset(
    ["null", "(null)", "none", "nil", "n/a", "na", "#n/a", "n.a.", "k.a.", "-", "--", "?", "\\n", "."]
)
_BOOLEANS = (
    ("ja", "nein"), ("j", "n"), ("y", "n"), ("t", "f"), ("wahr", "falsch"), ("oui", "non"), ("vrai", "faux"),
    ("si", "no"), ("s\u00ed", "no"), ("on", "off"), ("\u0434\u0430", "\u043d\u0435\u0442"), ("\u662f", "\u5426"),
)  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A declaration to make. `name`, `value`: as a table file holds them."""

    name: str
    value: Any
    evidence: str


@dataclass
class Proposal:
    """Settings for a file of which so many rows were looked at.

    `undecided`: sentences about cells that no setting explains, or two. `notes`: what no file can show.
    """

    rows: int = 0
    settings: list[Setting] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def propose_for(open_: Open, table: Table, declared: UploadFormat, known: UploadFormat) -> Proposal:
    """Return the proposal for a file: its code page, names of columns and notation.

    `known`: what is declared for the table's files, without a notation. `declared`: what is for this file besides.
    Raises `FileError` for a file that cannot be read.
    """
    settings = {setting.name: setting for setting in _settings_of_options(declared, known)}
    undecided = list[str]()
    together, page = with_code_page(declared.over(known), open_)
    if page.name is not None and page.evidence is not None:
        settings["encoding"] = Setting("encoding", page.name, page.evidence)
    elif page.evidence is not None:
        undecided.append(page.evidence)
    header = _header(open_, table, together)
    if (delimiter := undetected_delimiter(header, table, together, open_)) is not None:
        settings["delimiter"] = Setting("delimiter", *delimiter)
        together = read_format({"delimiter": delimiter[0]}).over(together)
        header = _header(open_, table, together)
    names, sentences = aliases(header, table, together)
    if names:
        pairs = [f"{name!r} is near {column}" for name, column in names.items()]
        evidence = printable(f"{', '.join(pairs)}, for which the file has no other name")
        if (option := settings.pop("columns", None)) is not None:
            settings["columns"] = Setting("columns", option.value | names, f"{option.evidence}; {evidence}")
        else:
            settings["columns"] = Setting("columns", names, evidence)
        together = UploadFormat(columns=tuple(names.items())).over(together)
    proposal = propose(open_(table, together.over(MARKED)), table)
    proposal.settings[:0] = settings.values()
    proposal.undecided[:0] = [*undecided, *sentences]
    return proposal


def _settings_of_options(declared: UploadFormat, known: UploadFormat) -> Iterator[Setting]:
    """Yield the settings that make the options for this file unnecessary."""
    for part in DECLARATIONS:
        value = declared.declared.get(part.attribute)
        if value is None or value == known.declared.get(part.attribute):
            continue
        option = "--column" if part.kind is Kind.PAIRS else f"--{part.name.replace('_', '-')}"
        yield Setting(part.name, _plain(part.name, value), f"given with {option}")


def _header(open_: Open, table: Table, declared: UploadFormat) -> tuple[str, ...]:
    """Return the names in the header of a file; none if it has no header, or cannot be opened."""
    for target in (table, None):
        with suppress(FileError):
            upload = open_(target, declared)
            upload.close()
            return upload.dialect.header
    return ()


def propose(upload: Upload, table: Table) -> Proposal:
    """Return the proposal for an upload that is opened with `MARKED`."""
    proposal = Proposal()
    if not upload.declared.has_notation:
        upload.close()
        proposal.notes.append(
            f"{upload.dialect.format} has a notation of its own: nothing is declared for it"
        )
        return proposal
    cells = _sample(upload, table, proposal)
    _trim(cells, proposal)
    cells = [_trimmed(one) for one in cells]
    cells = list(_without_nulls(cells, proposal))
    _propose_marks(
        [one for one in cells if one.column.type.family.name in (*WHOLE_NUMBERS, *FRACTIONS)], proposal
    )
    _propose_words([one for one in cells if one.column.type.family.name == "boolean"], proposal)
    _propose_formats(cells, ("date",), "date_format", ([date] for date in DATES), proposal)
    _propose_formats(cells, TIMES_OF_DAY, "time_format", ([clock] for clock in CLOCKS), proposal)
    timestamps = ([f"{date} {clock}" for clock in CLOCKS] + [date] for date in (*DATES, "YYYY-MM-DD"))
    _propose_formats(cells, TIMESTAMPS, "timestamp_format", timestamps, proposal)
    if table.upload_format.time_zone is None:
        proposal.notes += filter(None, map(_without_offset, cells))
    return proposal


def _sample(upload: Upload, table: Table, proposal: Proposal) -> list[Cells]:
    records = list[pa.RecordBatch]()
    for chunk in upload:
        records.append(chunk.records)
        proposal.rows = upload.rows
        if proposal.rows >= SAMPLE_ROWS:
            upload.close()
            break
    sample = pa.Table.from_batches(records).combine_chunks()
    return [
        different(table.column(name), _texts(sample, name), sample["_row"])
        for name in sample.schema.names
        if not name.startswith("_")
    ]


def _texts(sample: pa.Table, name: str) -> pa.ChunkedArray:
    """Return the cells of a column that are texts."""
    if STORED not in sample.schema.names:
        return sample[name]
    stored = pc.struct_field(sample[STORED], name)
    return pc.if_else(stored, pa.scalar(None, pa.string()), sample[name])


def _trim(cells: Sequence[Cells], proposal: Proposal) -> None:
    for one in cells:
        facts = one.column.type.facts
        if facts.is_text and one.column.pattern is None and not one.column.choices:
            continue
        padded = np.flatnonzero(mask(pc.not_equal(one.texts, pc.utf8_trim(one.texts, invisible.BLANKS))))
        if len(padded):
            evidence = f"{one.shown(int(padded[0]))} has blanks around it"
            proposal.settings.append(Setting("trim", True, evidence))
            return


def _trimmed(cells: Cells) -> Cells:
    return Cells(cells.column, pc.utf8_trim(cells.texts, invisible.BLANKS), cells.rows)


def _without_nulls(cells: Sequence[Cells], proposal: Proposal) -> Iterator[Cells]:
    """Yield the cells of columns that are not text without the words that mean NULL, which are proposed."""
    places: dict[str, str] = {}
    for one in cells:
        if one.column.type.facts.is_text:
            continue
        is_null = mask(pc.is_in(pc.utf8_lower(one.texts), pa.array(sorted(_NULLS))))
        for at in np.flatnonzero(is_null).tolist():
            places.setdefault(one.texts[at].as_py(), one.shown(at))
        yield one.only(~is_null)
    if places:
        evidence = f"no value of its column: {'; '.join([*places.values()][:3])}"
        proposal.settings.append(Setting("null_words", _plain("null_words", tuple(places)), evidence))


def _propose_marks(cells: Sequence[Cells], proposal: Proposal) -> None:
    def settings(format_: UploadFormat, evidence: str) -> list[Setting]:
        texts, found = format_.texts(), list[Setting]()
        if format_.decimal is not None:
            found.append(Setting("decimal", texts["decimal"], evidence))
        if format_.thousands is not None:
            evidence = _only_so(*_needing(cells, format_, replace(format_, thousands=None)))
            found.append(Setting("thousands", texts["thousands"], evidence))
        return found

    _decide(cells, MARKS, settings, proposal)


def _propose_words(cells: Sequence[Cells], proposal: Proposal) -> None:
    def settings(format_: UploadFormat, evidence: str) -> list[Setting]:
        return [
            Setting(name, text, evidence) for name, text in format_.texts().items() if name.endswith("_words")
        ]

    pairs = [UploadFormat(true_words=(true,), false_words=(false,)) for true, false in _BOOLEANS]
    _decide(cells, pairs, settings, proposal)


def _propose_formats(
    cells: Sequence[Cells],
    families: Sequence[str],
    name: str,
    choices: Iterable[list[str]],
    proposal: Proposal,
) -> None:
    """Propose the formats of one list of `choices`, those of it that some cell needs."""
    attribute = next(part.attribute for part in DECLARATIONS if part.name == name)
    cells = [one for one in cells if one.column.type.family.name in families]
    candidates = []
    for formats in choices:
        needed, left = list[str](), [*cells]
        for format_ in filter(partial(_occurs, cells, attribute), formats):
            read = [mask(one.read(_with(attribute, format_)).is_valid()) for one in left]
            if any(rows.any() for rows in read):
                needed.append(format_)
                left = [one.only(~rows) for one, rows in zip(left, read, strict=True)]
        if needed:
            candidates.append(_with(attribute, *needed))

    def settings(format_: UploadFormat, evidence: str) -> list[Setting]:
        return [Setting(name, _plain(name, getattr(format_, attribute)), evidence)]

    _decide(cells, candidates, settings, proposal)


def _with(attribute: str, *formats: str) -> UploadFormat:
    declared: dict[str, Any] = {attribute: formats}
    return UploadFormat(**declared)


def _occurs(cells: Sequence[Cells], attribute: str, format_: str) -> bool:
    """Return whether one of the first cells has a format; most formats need no closer look."""
    declared = _with(attribute, format_)
    return any(one.first(_PROBE).read(declared).null_count < len(one.first(_PROBE).texts) for one in cells)


def _without_offset(cells: Cells) -> str | None:
    """Return a note about the first time without an offset, in a column with time zone."""
    if cells.column.type.family.name != "timestamp with time zone":
        return None
    local = np.flatnonzero(~mask(pc.match_substring_regex(cells.texts, r"(Z|[+-]\d\d(:?\d\d)?)\z")))
    if not len(local):
        return None
    return f"{cells.shown(int(local[0]))} has no offset: it is in UTC, unless time_zone is declared"


def _decide(
    cells: Sequence[Cells],
    candidates: Sequence[UploadFormat],
    settings: Callable[[UploadFormat, str], list[Setting]],
    proposal: Proposal,
) -> None:
    """Propose the settings of the only candidate that reads all cells that any one reads, if the usual notation does
    not."""
    cells = [_readable(one, [UploadFormat(), *candidates], proposal) for one in cells]
    usual = [one.read(UploadFormat()) for one in cells]
    readings = [(format_, [one.read(format_) for one in cells]) for format_ in candidates]
    fitting = [
        (format_, reading) for format_, reading in readings if not any(read.null_count for read in reading)
    ]
    unread = any(read.null_count for read in usual)
    both = _difference(cells, fitting if unread else [(UploadFormat(), usual), *fitting])
    if both is not None:
        proposal.undecided.append(both)
    elif unread and fitting:
        place = _most_telling(cells, [usual, *(reading for _, reading in readings)])
        proposal.settings += settings(fitting[0][0], _only_so(*place))
    elif unread:
        one, at = _most_telling(cells, [usual])
        proposal.undecided.append(
            f"no one setting reads all cells of these columns; one of them is {one.shown(at)}"
        )


def _only_so(one: Cells, at: int) -> str:
    noun = one.column.type.facts.expected.partition(" like ")[0].partition(":")[0]
    return f"only so {one.shown(at)} is {noun}"


def _needing(cells: Sequence[Cells], format_: UploadFormat, other: UploadFormat) -> tuple[Cells, int]:
    """Return the place of the first cell that one format reads and another one does not."""
    for one in cells:
        only_so = mask(one.read(format_).is_valid()) & ~mask(one.read(other).is_valid())
        if only_so.any():
            return one, int(only_so.argmax())
    raise ValueError(f"{other} reads what {format_} reads")


def _most_telling(cells: Sequence[Cells], readings: Sequence[Sequence[pa.Array]]) -> tuple[Cells, int]:
    """Return the place of the cell that the fewest readings allow."""
    fewest = []
    for number, one in enumerate(cells):
        counts = np.sum([mask(reading[number].is_valid()) for reading in readings], axis=0)
        if len(counts):
            fewest.append((int(counts.min()), number, one, int(counts.argmin())))
    _, _, one, at = min(fewest, key=lambda found: found[:2])
    return one, at


def _readable(cells: Cells, formats: Sequence[UploadFormat], proposal: Proposal) -> Cells:
    """Return the cells that any of the formats reads; a sentence names one of the others."""
    known = np.zeros(len(cells.texts), bool)
    for format_ in formats:
        known |= mask(cells.read(format_).is_valid())
    if not known.all():
        at = int(np.argmin(known))
        more = f", and {len(known) - known.sum() - 1} more" if (~known).sum() > 1 else ""
        proposal.undecided.append(f"no setting is known that reads {cells.shown(at)}{more}")
    return cells.only(known)


def _difference(
    cells: Sequence[Cells], readings: Sequence[tuple[UploadFormat, Sequence[pa.Array]]]
) -> str | None:
    """Return what two of the readings make of the same cell; None if all make the same of every cell."""
    if not readings:
        return None
    (first_format, first), *others = readings
    for format_, other in others:
        for one, ours, theirs in zip(cells, first, other, strict=True):
            places = np.flatnonzero(mask(pc.not_equal(ours, theirs)))
            if len(places):
                at = int(places[0])
                return (
                    f"{one.shown(at)} is {ours[at].as_py()} with {_named(first_format)} and {theirs[at].as_py()} with "
                    f"{_named(format_)}, and no cell shows which is meant"
                )
    return None


def _named(format_: UploadFormat) -> str:
    return ", ".join(f"{name}: {text}" for name, text in format_.texts().items()) or "no setting"


def _plain(name: str, value: Any) -> Any:
    """Return the value as a table file holds it."""
    part = next(part for part in DECLARATIONS if part.name == name)
    match part.kind:
        case Kind.LIST:
            return value[0] if len(value) == 1 else list(value)
        case Kind.PAIRS:
            return dict(value)
        case Kind.TEXT | Kind.CHARACTER:
            return part.text(value)
        case Kind.NUMBER | Kind.FLAG:
            return value
        case _:
            assert_never(part.kind)
