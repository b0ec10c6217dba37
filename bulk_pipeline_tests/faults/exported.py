"""Exports are complete, to the checksum, or absent."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator
from typing import Any

from bulk_pipeline_tests.faults.evidence import Evidence


def broken_exports(found: Evidence) -> Iterator[str]:
    known: set[str] = set()
    for job in found.exports:
        folder = f"{job['table_name']}/dt={job['partition_date']}/{job['id']}/"
        there = {
            key[len(folder) :]: content
            for key, content in found.objects["exports"].items()
            if key.startswith(folder)
        }
        known |= {folder + name for name in there}
        if job["status"] == "completed":
            yield from (f"export {job['id']}: {problem}" for problem in _problems(job, there))
        else:
            yield f"export {job['id']} is {job['status']}: {job['error']}; it has {sorted(there)}"
    yield from (
        f"nobody's object among the exports: {key}" for key in found.objects["exports"].keys() - known
    )


def _problems(job: dict[str, Any], there: dict[str, bytes]) -> Iterator[str]:
    manifest = json.loads(there.get("manifest.json", b"{}"))
    if manifest != job["manifest"]:
        yield "the manifest is not the one that the ledger has"
        return
    if {"manifest.json", *(part["name"] for part in manifest["parts"])} != set(there):
        yield f"the manifest does not name what is there: {sorted(there)}"
        return
    ids: list[str] = []
    for part in manifest["parts"]:
        content = there[part["name"]]
        if (len(content), hashlib.sha256(content).hexdigest()) != (part["bytes"], part["sha256"]):
            yield f"{part['name']} is damaged"
            return
        found = _ids(part["name"], content)
        if len(found) != part["rows"]:
            yield f"{part['name']} has {len(found)} rows, {part['rows']} by the manifest"
        ids += found
    if not len(set(ids)) == len(ids) == manifest["rows"] == job["total_rows"]:
        yield f"{len(ids)} rows, of which {len(set(ids))} different, {job['total_rows']} by the ledger"


def _ids(name: str, content: bytes) -> list[str]:
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    if ".ndjson" in name:
        return [json.loads(line)["id"] for line in text.split("\n")[:-1]]
    return [record["id"] for record in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
