"""Lets a table file follow its table: what the database decides is changed, what was written by hand stays.

The database decides which columns there are, their types, what makes their values, labels of enums and the primary key.
Comments stay.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.schema.column_type import parse as parse_type
from bulk_pipeline.schema.table_files import layout
from bulk_pipeline.schema.table_files.nodes import Place, entries, parse

_OF_THE_DATABASE = ("type", "generated", "identity")
"""Keys of a column that follow the database."""


@dataclass(frozen=True)
class Update:
    """The new text of a file, and what is different, a sentence each; no sentence if the file is as it was."""

    text: str
    changes: tuple[str, ...]


@dataclass
class _Edits:
    """Replacements of parts of a text: start, end, new text."""

    text: str
    parts: list[tuple[int, int, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)

    def replace(self, node: yaml.Node, new: str) -> None:
        self.parts.append((node.start_mark.index, _end(node), new))

    def remove_lines(self, first: int, last: int) -> None:
        lines = self.text.splitlines(keepends=True)
        start = sum(map(len, lines[:first]))
        self.parts.append((start, start + sum(map(len, lines[first : last + 1])), ""))

    def insert_line(self, after: int, line: str) -> None:
        lines = self.text.splitlines(keepends=True)
        start = sum(map(len, lines[: after + 1]))
        separator = "" if start == 0 or self.text[start - 1] == "\n" else "\n"
        self.parts.append((start, start, f"{separator}{line}\n"))

    def result(self) -> Update:
        pieces, at = [], 0
        for start, end, new in sorted(self.parts, key=lambda part: part[:2]):
            pieces += [self.text[at:start], new]
            at = end
        return Update("".join([*pieces, self.text[at:]]), tuple(self.changes))


def update(text: str, file: str, wanted: Mapping[str, Any]) -> Update:
    """Return the text of a file that follows `wanted`, the content that `adopt` would write.

    Raises `DeclarationError` for a file that is no table file, and for one that is written in a way that cannot be
    changed in place.
    """
    place = Place(file)
    edits = _Edits(text)
    top = entries(parse(text, file), place)
    if "columns" not in top:
        raise place.problem("the key columns is missing: add it")
    _columns(edits, top["columns"][1], wanted["columns"], place.under("columns"))
    _primary_key(edits, top, wanted.get("primary_key"))
    changed = edits.result()
    if changed.changes and not _follows(changed.text, file, wanted):
        raise place.problem("the file cannot be changed in place: write one key a line, or change it by hand")
    return changed


def declare(text: str, file: str, keys: tuple[str, ...], values: Mapping[str, Any]) -> Update:
    """Return the text of a file that has these values in the mapping to which `keys` lead from the top.

    Raises `DeclarationError` for a file that is written in a way that cannot be changed in place.
    """
    place, edits = Place(file), _Edits(text)
    node = parse(text, file)
    before = _plain(node)
    _set(edits, node, keys, values, place)
    changed = edits.result()
    try:
        after = _plain(parse(changed.text, file))
    except DeclarationError:
        after = None
    if after != _merged(before, keys, _plain(parse(layout.dump(dict(values)), file))):
        raise place.problem("the file cannot be changed in place: write one key a line, or change it by hand")
    return changed


def _set(
    edits: _Edits, node: yaml.Node, keys: tuple[str, ...], values: Mapping[str, Any], place: Place
) -> None:
    found = entries(node, place)
    if keys and keys[0] in found:
        _set(edits, found[keys[0]][1], keys[1:], values, place.under(keys[0]))
        return
    new: dict[str, Any] = dict(values)
    for key in reversed(keys):
        new = {key: new}
    if not keys:
        edits.changes += [
            f"{name}: {_change(_plain(found[name][1]) if name in found else None, value)}"
            for name, value in values.items()
            if name not in found or _plain(found[name][1]) != value
        ]
    else:
        edits.changes += [f"{name}: {_change(None, value)}" for name, value in values.items()]
    if getattr(node, "flow_style", False):
        edits.replace(node, layout.flow({name: _plain(value) for name, (_, value) in found.items()} | new))
        return
    indent = " " * next(iter(found.values()))[0].start_mark.column
    added = {name: value for name, value in new.items() if name not in found}
    for name in new.keys() & found.keys():
        edits.replace(found[name][1], layout.flow(new[name]))
    if added:
        lines = [f"{indent}{line}" for line in layout.dump(added).splitlines()]
        edits.insert_line(max(_last_line(value) for _, value in found.values()), "\n".join(lines))


def _merged(content: Any, keys: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a file with these values in the mapping to which `keys` lead."""
    if not keys:
        return {**content, **values}
    return {**content, keys[0]: _merged(content.get(keys[0], {}), keys[1:], values)}


def _columns(edits: _Edits, node: yaml.Node, wanted: Mapping[str, Mapping[str, Any]], place: Place) -> None:
    columns = entries(node, place)
    for name, (key, value) in columns.items():
        if name not in wanted:
            edits.remove_lines(key.start_mark.line, _last_line(value))
            edits.changes.append(f"column {name} is gone")
        else:
            _column(edits, name, value, wanted[name], place.under(name))
    last = max(_last_line(value) for _, value in columns.values())
    indent = " " * next(iter(columns.values()))[0].start_mark.column
    for name, declared in wanted.items():
        if name not in columns:
            edits.insert_line(last, f"{indent}{layout.flow({name: dict(declared)})[1:-1]}")
            edits.changes.append(f"column {name} is new, {declared['type']}")


def _column(edits: _Edits, name: str, node: yaml.Node, wanted: Mapping[str, Any], place: Place) -> None:
    found = {key: _plain(value) for key, (_, value) in entries(node, place).items()}
    follows = _followed(wanted)
    differing = [
        key
        for key in (*_OF_THE_DATABASE, *(["choices"] if follows.get("choices") else []))
        if not _is_same(key, found.get(key, "text" if key == "type" else None), follows.get(key))
    ]
    if not differing:
        return
    for key in differing:
        edits.changes.append(f"column {name}: {key}: {_change(found.get(key), follows.get(key))}")
    merged = {key: value for key, value in found.items() if key not in differing or key in follows}
    merged |= {key: follows[key] for key in differing if key in follows}
    if isinstance(node, yaml.MappingNode) and node.flow_style:
        edits.replace(node, layout.flow(merged))
        return
    keys = entries(node, place)
    for key in differing:
        if key in keys and key in follows:
            edits.replace(keys[key][1], layout.flow(follows[key]))
        elif key in keys:
            edits.remove_lines(keys[key][0].start_mark.line, _last_line(keys[key][1]))
        else:
            first = next(iter(keys.values()))
            indent = " " * first[0].start_mark.column
            edits.insert_line(_last_line(first[1]), f"{indent}{key}: {layout.flow(follows[key])}")


def _primary_key(
    edits: _Edits, top: Mapping[str, tuple[yaml.Node, yaml.Node]], wanted: list[str] | None
) -> None:
    found = _plain(top["primary_key"][1]) if "primary_key" in top else None
    if found == wanted:
        return
    edits.changes.append(f"primary_key: {_change(found, wanted)}")
    if "primary_key" in top and wanted:
        edits.replace(top["primary_key"][1], layout.flow(wanted))
    elif "primary_key" in top:
        key, value = top["primary_key"]
        edits.remove_lines(key.start_mark.line, _last_line(value))
    elif wanted:
        edits.insert_line(_last_line(top["columns"][1]), f"primary_key: {layout.flow(wanted)}")


def _is_same(key: str, found: Any, wanted: Any) -> bool:
    """Return whether two values mean the same: names of one type, and a UUID that is made here or by the database."""
    if key == "generated" and (found, wanted) == ("uuid", "default"):
        return True
    if key == "type" and isinstance(found, str):
        try:
            return parse_type(found) is parse_type(wanted)
        except DeclarationError:
            return False
    return found == wanted


def _followed(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a column that the file has to follow: choices only of an enum, whose type has a schema."""
    is_enum = "." in wanted["type"]
    keys = (*_OF_THE_DATABASE, "choices") if is_enum else _OF_THE_DATABASE
    return {key: wanted[key] for key in keys if key in wanted}


def _follows(text: str, file: str, wanted: Mapping[str, Any]) -> bool:
    """Return whether nothing is left to change."""
    edits = _Edits(text)
    try:
        top = entries(parse(text, file), Place(file))
        if "columns" not in top:
            return False
        _columns(edits, top["columns"][1], wanted["columns"], Place(file))
        _primary_key(edits, top, wanted.get("primary_key"))
    except DeclarationError:
        return False
    return not edits.changes


def _plain(node: yaml.Node) -> Any:
    match node:
        case yaml.MappingNode():
            return {key.value: _plain(value) for key, value in node.value}
        case yaml.SequenceNode():
            return [_plain(item) for item in node.value]
    return node.value


def _change(found: Any, wanted: Any) -> str:
    """Return what becomes of a value, in words."""
    if found is None:
        return f"now {layout.flow(wanted)}"
    return f"{layout.flow(found)} becomes {layout.flow(wanted)}" if wanted is not None else "no longer"


def _end(node: yaml.Node) -> int:
    """Return where the text of a node ends; of a mapping or list in lines, that is where its last value ends."""
    return max(leaf.end_mark.index for leaf in _leaves(node))


def _last_line(node: yaml.Node) -> int:
    """Return the number of the last line of a node, from 0; a text in lines (`|`) ends at the begin of the next one."""
    return max(leaf.end_mark.line - (leaf.end_mark.column == 0) for leaf in _leaves(node))


def _leaves(node: yaml.Node) -> Iterator[yaml.Node]:
    """Yield the parts of a node whose ends are those of their texts."""
    if isinstance(node, yaml.ScalarNode) or getattr(node, "flow_style", True) or not node.value:
        yield node
        return
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _leaves(part)
