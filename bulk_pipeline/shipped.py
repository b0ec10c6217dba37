"""Files and folders beside the package in a checkout, which an installed package has inside itself."""

from pathlib import Path

NAMES = ("sql", "dagster.yaml", "workspace.yaml")
"""The folders; pyproject.toml puts them into the wheel, with an underscore before the name."""


def shipped(name: str) -> Path:
    """Return the path of a file or folder of `NAMES`."""
    package = Path(__file__).parent
    installed = package / f"_{name}"
    return installed if installed.exists() else package.parent / name
