"""A bomb: a hostile file, named after its excess."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Bomb:
    """`kind`: its excess in a few words. `suffix`: ending of its file name. `make`: returns its bytes."""

    kind: str
    suffix: str
    make: Callable[[], bytes]

    @property
    def format(self) -> str:
        return self.suffix.removeprefix(".")

    @property
    def name(self) -> str:
        """A file name."""
        words = "".join(c if c.isalnum() else " " for c in self.kind).split()
        return "-".join(words) + self.suffix
