"""Copies work files to the object store, for steps that run on other machines; knows nothing about their contents."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from bulk_pipeline.s3.listing import Page
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import S3Folder

_CHUNK_BYTES = 1 << 20


class WorkMirror:
    """One object per file, under `<prefix>/<owner>/`. All methods raise `StoreUnavailableError` in an outage."""

    def __init__(self, objects: ObjectStore, place: S3Folder) -> None:
        self._objects = objects
        self._place = place

    def push(self, reference: str, file: Path) -> None:
        """Copy the file to the store; the object becomes visible when it is complete."""
        with file.open("rb") as stream:
            self._objects.upload(self._place.bucket, self._place.key(reference), stream)

    def pull(self, reference: str, file: Path) -> None:
        """Write the object's bytes to `file`. Raises `NotFoundError` if there is none."""
        with (
            self._objects.open(self._place.bucket, self._place.key(reference)) as stream,
            file.open("wb") as copy,
        ):
            shutil.copyfileobj(stream, copy, _CHUNK_BYTES)

    def remove(self, owner: str) -> None:
        """Remove the owner's objects."""
        for page in self._pages(f"{owner}/"):
            for entry in page.objects:
                self._objects.remove(entry.bucket, entry.key)

    def ages(self) -> dict[str, float]:
        """Return the seconds since each owner's newest object was written, by the store's clock."""
        ages: dict[str, float] = {}
        start = len(self._place.key(""))
        for page in self._pages(""):
            for entry in page.objects:
                owner = entry.key[start:].partition("/")[0]
                age = (page.listed_at - entry.last_modified).total_seconds()
                ages[owner] = min(age, ages.get(owner, age))
        return ages

    def _pages(self, prefix: str) -> Iterator[Page]:
        return self._objects.pages(self._place.bucket, self._place.key(prefix))
