"""Exports are complete, to the checksum, or absent."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from bulk_pipeline_tests.faults.evidence import KEYS, Evidence


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
    keys: list[tuple[str, ...]] = []
    for part in manifest["parts"]:
        content = there[part["name"]]
        if (len(content), hashlib.sha256(content).hexdigest()) != (part["bytes"], part["sha256"]):
            yield f"{part['name']} is damaged"
            return
        found = _keys(part["name"], content, KEYS[job["table_name"]][0])
        if len(found) != part["rows"]:
            yield f"{part['name']} has {len(found)} rows, {part['rows']} by the manifest"
        keys += found
    if not len(set(keys)) == len(keys) == manifest["rows"] == job["total_rows"]:
        yield f"{len(keys)} rows, of which {len(set(keys))} different, {job['total_rows']} by the ledger"


def _keys(name: str, content: bytes, key: Sequence[str]) -> list[tuple[str, ...]]:
    text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
    if ".ndjson" in name:
        records = map(json.loads, text.split("\n")[:-1])
    else:
        records = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return [tuple(str(record[column]) for column in key) for record in records]
