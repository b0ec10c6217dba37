"""`make screenshots`: takes the pictures of docs/images from a running stack, with Debian's Chromium.

It starts a stack of its own, imports sample files, one with rejected rows and one that cannot be read, and opens the pages
that the README and the docs show.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

from playwright.sync_api import Page, sync_playwright  # pyright: ignore[reportMissingImports]  # fetched by make

from bulk_pipeline import stack

IMAGES = Path(__file__).parents[1] / "docs" / "images"
EMAIL, PASSWORD = "office@example.com", "correct horse battery"
_SIZE = {"width": 1440, "height": 900}
_FILES = (
    ("users", "users.csv", "2000", "0", 0),
    ("articles", "articles.ndjson", "1000", "1%", 3),
    ("comments", "comments.csv", "1000", "0", 3),
    ("customers", "march.csv", "5000", "0", 0),
)
"""Table, name, rows, bad rows, and the exit code of their import."""
_PEOPLE = (
    ("ann@example.com", "Ann Lee", "editor"),
    ("bob@example", "Bob Ray", "reader"),
    ("cy@example.com", "Cy Orr", "king"),
    ("dee@example.com", "Dee Fox", "reader"),
    ("", "Eve Poe", "reader"),
)
"""Cells of five users, of which three are rejected."""


class _Commands:
    """Runs commands on the stack in a folder."""

    def __init__(self, program: str, home: Path) -> None:
        self._program = program
        self.home = home

    def run(self, *arguments: str | Path, exits: int = 0, standard_input: str | None = None) -> None:
        """Run a command. `exits`: the expected exit code; with another one, the program ends."""
        environment = os.environ | {"BULK_PROJECT": "none", "BULK_HOME": str(self.home)}
        command = [self._program, *arguments]
        done = subprocess.run(command, input=standard_input, text=True, env=environment, check=False)
        if done.returncode != exits:
            sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}")


def main(program: str) -> None:
    """Take all pictures. `program`: the path of `bulk-pipeline`."""
    chromium = shutil.which("chromium") or sys.exit("Chromium is missing: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bulk-pipeline-screenshots-") as folder:
        commands = _Commands(program, Path(folder) / "stack")
        commands.run("up", "--detach")
        try:
            _fill(commands, Path(folder))
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(viewport=_SIZE, color_scheme="light")
                running = stack.status(commands.home)
                _office(page, str(running.api_url), Path(folder))
                _dagster(page, str(running.dagster_url))
                browser.close()
        finally:
            commands.run("down", "--purge")


def _fill(commands: _Commands, folder: Path) -> None:
    for table, name, rows, bad, exits in _FILES:
        commands.run("sample", table, "--rows", rows, "--bad", bad, "-o", folder / name)
        commands.run("import", folder / name, "--table", table, exits=exits)
    (folder / "customers.csv").write_text("colour;size\nred;3\n")
    commands.run("import", folder / "customers.csv", "--table", "customers", exits=1)
    rights = ("--import", "users,customers", "--export", "users")
    commands.run("account", "add", EMAIL, *rights, standard_input=PASSWORD)


def _office(page: Page, url: str, folder: Path) -> None:
    lines = [f"{uuid4()},{','.join(person)}\n" for person in _PEOPLE]
    (folder / "new users.csv").write_text("".join(["id,email,name,role\n", *lines]))
    page.goto(f"{url}/office")
    page.fill("input[name=email]", EMAIL)
    page.fill("input[name=password]", PASSWORD)
    page.click("button:has-text('Sign in')")
    page.goto(f"{url}/office/tables/users")
    _take(page, "office-table")
    page.set_input_files("input[type=file]", folder / "new users.csv")
    page.click("button:has-text('Send and load')")
    page.wait_for_selector(".state.warn", timeout=60_000)
    _take(page, "office-upload")


def _dagster(page: Page, url: str) -> None:
    page.goto(f"{url}/runs")
    page.wait_for_selector("text=customers.csv", timeout=60_000)
    _take(page, "dagster-runs")


def _take(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main(sys.argv[1])
