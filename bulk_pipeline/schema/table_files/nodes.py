"""Strict YAML: the node of a document, with the line of each value. No key twice, no anchors, no tags.

A plain scalar has its YAML 1.2 type: `no` is a string; `true`, `1` and `null` are not.
"""

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches

import yaml

from bulk_pipeline.errors import DeclarationError
from bulk_pipeline.printable import printable

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml: ten times as fast
_YAML_1_1 = yaml.resolver.Resolver()
_NULL = re.compile(r"|~|null|Null|NULL")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_NUMBER = re.compile(
    r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


@dataclass(frozen=True)
class Place:
    """A place in a file. `line`: counted from 1. `keys`: those that lead to a value, from the top of the file."""

    file: str
    line: int = 1
    keys: tuple[str, ...] = ()

    def of(self, node: yaml.Node) -> "Place":
        """Return the place of a node in the same file."""
        return replace(self, line=node.start_mark.line + 1)

    def under(self, key: str) -> "Place":
        """Return the place of what a key holds."""
        return replace(self, keys=(*self.keys, key))

    def problem(self, sentence: str) -> DeclarationError:
        """Return the error that names the place before the sentence."""
        return DeclarationError(": ".join([f"{self.file}, line {self.line}", *self.keys, sentence]))


def parse(text: str, file: str) -> yaml.Node:
    """Return the node of the only document. `DeclarationError` for what is no YAML, and for what is not strict."""
    try:
        _refuse_references(text, file)
        node = _LOADER(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Place(file, line).problem(
            f"the character {chr(error.character)!r} is not allowed in YAML: remove it"
        ) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = printable(", ".join(filter(None, [error.context, error.problem])))
        raise Place(file, mark.line + 1 if mark else 1).problem(
            f"no valid YAML: {reason}: check indentation, quotes and colons here and above"
        ) from None
    if node is None:
        raise Place(file).problem("the file is empty: declare a table, or remove the file")
    return node


def entries(node: yaml.Node, place: Place) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Return key node and value node by key. `DeclarationError` if it is no mapping, or has a key twice."""
    if not isinstance(node, yaml.MappingNode):
        raise place.of(node).problem(f"expected keys with values, like `name: value`, not {shown(node)}")
    by_key: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        name = text_of(key, place)
        if name in by_key:
            first = place.of(by_key[name][0]).line
            raise place.of(key).problem(f"{printable(name)} is here and in line {first}: keep one of them")
        by_key[name] = (key, value)
    return by_key


def text_of(node: yaml.Node, place: Place) -> str:
    """Return the text of a scalar. `DeclarationError` for a number, true, false and nothing, unless in quotes."""
    if not isinstance(node, yaml.ScalarNode):
        raise place.of(node).problem(f"expected a text, not {shown(node)}")
    if is_null(node):
        raise place.of(node).problem("the value is missing: give one, or remove the key")
    if is_plain(node) and (_BOOLEAN.fullmatch(node.value) or _NUMBER.fullmatch(node.value)):
        raise place.of(node).problem(f'{node.value} is no text: write "{node.value}" if it is meant as one')
    return node.value


def is_plain(node: yaml.ScalarNode) -> bool:
    """Return whether the scalar has no quotes."""
    return not node.style


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and is_plain(node) and bool(_NULL.fullmatch(node.value))


def is_ambiguous(text: str) -> bool:
    """Return whether YAML 1.1 or YAML 1.2 would read this text, unquoted, as something other than a string."""
    return bool(
        _NULL.fullmatch(text)
        or _BOOLEAN.fullmatch(text)
        or _NUMBER.fullmatch(text)
        or _YAML_1_1.resolve(yaml.ScalarNode, text, (True, False)) != "tag:yaml.org,2002:str"
    )


def shown(node: yaml.Node) -> str:
    """Return the node for a message."""
    match node:
        case yaml.MappingNode():
            return "keys with values"
        case yaml.SequenceNode():
            return "a list"
        case _ if is_null(node):
            return "nothing"
    text = str(node.value)
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def did_you_mean(word: str, known: list[str]) -> str:
    """Return `did you mean …?` for the known word that is closest, else the list of those there are."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"


def _refuse_references(text: str, file: str) -> None:
    """Refuse what makes a value depend on another place of the file, or on a program."""
    for event in yaml.parse(text, _LOADER):
        place = Place(file, event.start_mark.line + 1)
        match event:
            case yaml.AliasEvent():
                raise place.problem(f"*{event.anchor} refers to another place: write the value here")
            case yaml.ScalarEvent() | yaml.CollectionStartEvent():
                if event.anchor:
                    raise place.problem(
                        f"&{event.anchor} is an anchor, which table files do not have: remove it"
                    )
                if event.tag:
                    raise place.problem(f"{event.tag} is a tag, which table files do not have: remove it")
