"""Reads docker-compose.yml as compose does, with the values of an .env file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
REFUSE = "/refuse-placeholders.sh"

_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)(?::(-|\?)([^}]*))?\}")


def services(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the services with their variables filled in. Raises `KeyError` for a missing required variable."""
    return _all_filled(yaml.safe_load(FILE.read_text()), env)["services"]


def networks(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Return the networks with their variables filled in."""
    return {
        name: how or {}
        for name, how in _all_filled(yaml.safe_load(FILE.read_text()), env)["networks"].items()
    }


def variables() -> dict[str, bool]:
    """Return the variables of the file, True if they are optional."""
    return {entry[1]: entry[2] == "-" for entry in _VARIABLE.finditer(FILE.read_text())}


def env_file(text: str) -> dict[str, str]:
    """Return the values of an .env file, with variables filled in unless the value is in single quotes."""
    values = dict[str, str]()
    for line in text.splitlines():
        name, is_value, value = line.partition("=")
        if is_value and not line.startswith("#"):
            quoted = value.startswith("'")
            values[name] = value.strip("'") if quoted else _filled(value, values)
    return values


def _all_filled(node: Any, env: Mapping[str, str]) -> Any:  # whatever YAML holds
    """Fill in variables after parsing, as compose does: an empty variable is an empty text."""
    if isinstance(node, dict):
        return {name: _all_filled(value, env) for name, value in node.items()}
    if isinstance(node, list):
        return [_all_filled(value, env) for value in node]
    return _filled(node, env) if isinstance(node, str) else node


def _filled(text: str, env: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[2] == "-":
            return env.get(found[1]) or found[3]
        return env[found[1]]

    return _VARIABLE.sub(value, text)
