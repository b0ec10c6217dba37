"""Work files in the object store, for steps that run on other machines. What is in them is not known here."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from bulk_pipeline.settings import S3Folder
from bulk_pipeline.stores.found_objects import Page
from bulk_pipeline.stores.objects import ObjectStore

_CHUNK_BYTES = 1 << 20


class WorkMirror:
    """One object per file, under `<prefix>/<owner>/`. All methods raise `StoreUnavailableError` in an outage."""

    def __init__(self, objects: ObjectStore, place: S3Folder) -> None:
        self._objects = objects
        self._place = place

    def push(self, reference: str, file: Path) -> None:
        """Copy the file to the store; the object appears when it is whole."""
        with file.open("rb") as stream:
            self._objects.upload(self._place.bucket, self._place.key(reference), stream)

    def pull(self, reference: str, file: Path) -> None:
        """Write the object's bytes into `file`; `NotFoundError` if there is none."""
        with (
            self._objects.open(self._place.bucket, self._place.key(reference)) as stream,
            file.open("wb") as copy,
        ):
            shutil.copyfileobj(stream, copy, _CHUNK_BYTES)

    def remove(self, owner: str) -> None:
        """Remove the owner's objects."""
        for page in self._pages(f"{owner}/"):
            for found in page.found:
                self._objects.remove(found.bucket, found.key)

    def ages(self) -> dict[str, float]:
        """Owner → seconds since its newest object was written, by the store's own clock."""
        ages: dict[str, float] = {}
        start = len(self._place.key(""))
        for page in self._pages(""):
            for found in page.found:
                owner = found.key[start:].partition("/")[0]
                age = (page.listed_at - found.last_modified).total_seconds()
                ages[owner] = min(age, ages.get(owner, age))
        return ages

    def _pages(self, prefix: str) -> Iterator[Page]:
        after: str | None = ""
        while after is not None:
            page = self._objects.page(self._place.bucket, self._place.key(prefix), after=after)
            after = page.next_after
            yield page
