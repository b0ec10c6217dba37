"""The protocol by which validation asks the database about texts of types that only Postgres can read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from bulk_pipeline.stages.failures import FailureCode


@dataclass(frozen=True)
class Refusal:
    """The reason why the database refuses a text as a value of a type, and the code of the failure."""

    message: str
    code: FailureCode


class ServerTypes(Protocol):
    def refused(self, type_: str, texts: pa.Array) -> Mapping[str, Refusal]:
        """Return the refusals of texts that are not values of the type. `texts` has no NULL and no repetition."""
        ...
