"""Invisible characters and code pages, from the file to the table."""

import io
import json

from bulk_pipeline_tests.rigs.pipeline import Pipeline

STORED = "SELECT email, first_name FROM customers ORDER BY email"


def test_no_address_with_an_invisible_character_is_ever_stored(pipeline: Pipeline) -> None:
    csv = (
        "email,first_name\nann@x.co,Ann\nann@x.co\u00a0,Ann\n\ufeffben@x.co,Ben\n"
        '"cy@x.co\u200b",Cy\nd\u00aday@x.co,D\x1a'
    )
    job = pipeline.load("customers/a.csv", csv.encode())
    assert pipeline.query(STORED) == [("ann@x.co", "Ann"), ("ben@x.co", "Ben")]
    assert job.failure_counts == {"duplicate_in_file": 1, "bad_format": 2}
    assert job.warnings == ["the file ends in Ctrl-Z (0x1A), which was dropped"]
    items = [{"email": email, "first_name": "E"} for email in ("ed@x.co\u00a0", "“ed@x.co”", "ed@x.co")]
    pipeline.load("customers/b.json", json.dumps(items).encode())
    assert pipeline.query(STORED)[2:] == [("ed@x.co", "E")]


def test_utf8_is_stored_unchanged_whatever_is_declared_and_a_charset_declares(pipeline: Pipeline) -> None:
    declared = pipeline.load(
        "customers/a.csv", "email,first_name\na@x.co,Jürgen\nb@x.co,5 €\n".encode(), encoding="cp1252"
    )
    assert declared.warnings == ["declared cp1252, but the text is valid UTF-8: it was read as UTF-8"]
    pipeline.stores.objects.upload(
        pipeline.stores.settings.s3_bucket_uploads,
        "customers/b.csv",
        io.BytesIO("email,first_name\nc@x.co,Zoë\n".encode("cp1252")),
        content_type="text/csv; charset=windows-1252",
    )
    pipeline.claim_as_of_a_while_ago()
    pipeline.work_off()
    misread = pipeline.load("customers/c.ndjson", '{"email":"D@x.co","first_name":"JÃ¼rgen"}'.encode())
    assert misread.warnings == [
        "1 cell looks as if UTF-8 had been read as cp1252 before: 'JÃ¼rgen' (row 1) for 'Jürgen'"
    ]
    alike = pipeline.load("customers/d.csv", b"email,first_name\ne@x.co,E\nE@x.co,F\n", mode="upsert")
    assert alike.warnings == [
        "1 email differs from another only in case or Unicode form: 'E@x.co' (row 2) and 'e@x.co' (row 1): "
        "they are different rows"
    ]
    assert sorted(pipeline.query(STORED)) == [
        ("D@x.co", "JÃ¼rgen"),
        ("E@x.co", "F"),
        ("a@x.co", "Jürgen"),
        ("b@x.co", "5 €"),
        ("c@x.co", "Zoë"),
        ("e@x.co", "E"),
    ]
