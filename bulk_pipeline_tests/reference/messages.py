"""Collects all messages that a user can see: on the command line, over HTTP, on a job, in errors.csv.

`make reference` writes them to docs/reference/messages.md, to be read as a whole. They are collected from the source:
the text of a message is that of its f-string, with the names of its values in braces.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from bulk_pipeline import errors

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "bulk_pipeline"
TITLE = "# Messages\n\nEvery message that a user can see, made from the code by `make reference`.\n"

_ERRORS = {name for name, found in vars(errors).items() if isinstance(found, type)} - {"FileErrorCode"}
_ERRORS |= {"LoadProblem", "problem"}
_WARNINGS = {"warn", "warning"}
_COMMAND_CALLS = {"BadParameter", "UsageError", "say", "print", "print_line"}
_HELP = {"help", "description", "summary"}
_RULES = {"message", "pattern_name"}
_PROBLEM_CALLS = {"Oversize", "Flaw"}
_MESSAGE_MODULES = {"stages/validate/checks.py", "stages/split/failure_messages.py", "stages/parse/cells.py"}
_GROUPS = (
    "Command line: help",
    "Command line: messages",
    "HTTP: descriptions",
    "HTTP: errors",
    "Errors of jobs, files and settings",
    "Warnings",
    "Failures of rows (errors.csv)",
)


@dataclass(frozen=True)
class Message:
    """`group`: one of the headings. `module`: the file below the package. `text`: on one line."""

    group: str
    module: str
    text: str


def document() -> str:
    """Return docs/reference/messages.md as it should read."""
    parts = [TITLE]
    result = messages()
    for group in _GROUPS:
        parts.append(f"\n## {group}\n")
        module = ""
        for message in result:
            if message.group == group:
                if message.module != module:
                    module = message.module
                    parts.append(f"\n`{module}`\n\n")
                parts.append(f"- {message.text}\n")
    return "".join(parts)


@cache
def messages() -> tuple[Message, ...]:
    """Return every message once per file, in file order."""
    return tuple(dict.fromkeys(_messages()))


def _messages() -> Iterator[Message]:
    for path in sorted(PACKAGE.rglob("*.py")):
        module = path.relative_to(PACKAGE).as_posix()
        tree = ast.parse(path.read_text())
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.expr | ast.stmt)]
        for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
            for group, text in _of_node(node, module):
                one_line = " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")
                if any(character.isalpha() for character in one_line):
                    yield Message(group, module, one_line)


def _of_node(node: ast.AST, module: str) -> Iterator[tuple[str, str]]:
    in_cli, in_api, in_parse = (module.startswith(folder) for folder in ("cli/", "api/", "stages/parse/"))
    match node:
        case ast.FunctionDef(name=name) if in_cli and not name.startswith("_"):
            documentation = ast.get_docstring(node) or ""
            if "Example:" in documentation:
                yield _GROUPS[0], documentation
        case ast.Call():
            name = _name(node.func)
            texts = [text for argument in node.args if (text := _text(argument)) is not None]
            for keyword in node.keywords:
                if keyword.arg in _HELP and (text := _text(keyword.value)) and (in_cli or in_api):
                    yield _GROUPS[0 if in_cli else 2], text
                if keyword.arg in _RULES and (text := _text(keyword.value)) and module.startswith("tables/"):
                    yield _GROUPS[6], text
            if name == "HTTPException":
                yield from ((_GROUPS[3], text) for text in texts)
            elif name in _ERRORS or (name == "__init__" and texts):
                yield from ((_GROUPS[1 if in_cli else 3 if in_api else 4], text) for text in texts)
            elif name in _WARNINGS:
                yield from ((_GROUPS[5], text) for text in texts)
            elif name in _COMMAND_CALLS and in_cli:
                yield from ((_GROUPS[1], text) for text in texts)
            elif name == "add" and in_parse and len(node.args) > 4:
                yield from ((_GROUPS[6], text) for text in texts[-1:])
            elif name in _PROBLEM_CALLS and in_parse:
                yield from ((_GROUPS[6], text) for text in texts)
        case ast.Assign(targets=[ast.Name(id="problem" | "problems")], value=value) if in_parse:
            yield from ((_GROUPS[6], text) for text in _sentences(value))
        case ast.Return(value=ast.expr() as value) if in_parse and module not in _MESSAGE_MODULES:
            yield from ((_GROUPS[6], text) for text in _sentences(value, calls=False))
        case ast.FunctionDef(body=body) if module in _MESSAGE_MODULES:
            for inner in body[1:] if ast.get_docstring(node) else body:
                yield from ((_GROUPS[6], text) for text in _sentences(inner))
        case _:
            pass


def _sentences(node: ast.AST, *, calls: bool = True) -> Iterator[str]:
    """Yield the outermost strings with words inside a node; with `calls`, also those in arguments of calls."""
    if isinstance(node, ast.Call) and not calls:
        return
    text = _text(node) if isinstance(node, ast.expr) else None
    if text is not None:
        if " " in text.strip():
            yield text
        return
    for child in ast.iter_child_nodes(node):
        yield from _sentences(child, calls=calls)


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _text(node: ast.expr) -> str | None:
    """Return the text of a string, an f-string or a sum of them; None for anything else."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            return "".join(_piece(value) for value in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            before, after = _text(left), _text(right)
            if before is None and after is None:
                return None
            return (before or f"{{{ast.unparse(left)}}}") + (after or f"{{{ast.unparse(right)}}}")
    return None


def _piece(value: ast.expr) -> str:
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=inner):
            return f"{{{ast.unparse(inner)}}}"
    return ""
