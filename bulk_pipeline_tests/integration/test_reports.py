"""The reports of a file with many kinds of bad rows, byte for byte."""

import json
import re

from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.examples import uid
from bulk_pipeline_tests.rigs.pipeline import Pipeline

ONE, TWO, THREE, FOUR, FIVE = map(uid, range(1, 6))
HEADER = "id,email,name,role,active"
FILE = f"""\
{HEADER}
{ONE},one@x.co,Ann,reader,yes
{TWO},foo@bar,,boss,maybe
{THREE},three@x.co,"Ann, A
B",boss,yes

{ONE},four@x.co,Zoë,reader,yes
{FOUR},five@x.co,"Ann,reader,yes
{FOUR},one@x.co , Ann ,reader,yes
few
{FIVE},old@x.co,Ann,reader,yes
"""
ERRORS_CSV = f"""\
row,error,raw
2,"email 'foo@bar' is not an address like local@domain.tld; name is required, but the cell is empty; \
role 'boss' is not one of admin, author, editor, reader; \
active 'maybe' is not a boolean: use true, false, 1, 0, yes or no","{TWO},foo@bar,,boss,maybe"
3,"role 'boss' is not one of admin, author, editor, reader","{THREE},three@x.co,""Ann, A
B"",boss,yes"
4,"id '{ONE}' was already used in row 1","{ONE},four@x.co,Zoë,reader,yes"
5,"has a quote in cell 3 (name) that is not closed","{FOUR},five@x.co,""Ann,reader,yes"
6,"email 'one@x.co' was already used in row 1","{FOUR},one@x.co , Ann ,reader,yes"
7,"has 1 cell, expected 5","few"
8,"email 'old@x.co' is already in users","{FIVE},old@x.co,Ann,reader,yes"
"""
REJECTED_CSV = f"""\
_row,_line,_errors,id,email,name,role,active
2,3,"email 'foo@bar' is not an address like local@domain.tld; name is required, but the cell is empty; \
role 'boss' is not one of admin, author, editor, reader; \
active 'maybe' is not a boolean: use true, false, 1, 0, yes or no",{TWO},foo@bar,,boss,maybe
3,4,"role 'boss' is not one of admin, author, editor, reader",{THREE},three@x.co,"Ann, A
B",boss,yes
4,7,"id '{ONE}' was already used in row 1",{ONE},four@x.co,Zoë,reader,yes
5,8,"has a quote in cell 3 (name) that is not closed",{FOUR},five@x.co,"Ann,reader,yes
6,9,"email 'one@x.co' was already used in row 1",{FOUR},one@x.co , Ann ,reader,yes
7,10,"has 1 cell, expected 5",few
8,11,"email 'old@x.co' is already in users",{FIVE},old@x.co,Ann,reader,yes
"""
ERRORS_NDJSON = [
    (2, 3, "email", "bad_format", "foo@bar"),
    (2, 3, "name", "required", None),
    (2, 3, "role", "not_allowed", "boss"),
    (2, 3, "active", "bad_type", "maybe"),
    (3, 4, "role", "not_allowed", "boss"),
    (4, 7, "id", "duplicate_in_file", ONE),
    (5, 8, None, "malformed_row", f'{FOUR},five@x.co,"Ann,reader,yes'),
    (6, 9, "email", "duplicate_in_file", "one@x.co"),
    (7, 10, None, "malformed_row", "few"),
    (8, 11, "email", "already_exists", "old@x.co"),
]


def without_origins(rejected: str, job_id: str) -> str:
    """Return rejected rows without the cells that have the row's number and the job's id."""
    return re.sub(rf",_origin|,row\d+-{job_id}-[a-z]{{3}}(?=,)", "", rejected)


def test_the_reports_of_a_csv_file(pipeline: Pipeline) -> None:
    pipeline.load("users/old.csv", f"{HEADER}\n{uid(9)},old@x.co,Ann,reader,yes\n".encode())
    job = pipeline.load("users/a.csv", FILE.encode())
    assert pipeline.counts(job) == Counts(total=8, inserted=1, rejected=7)
    assert pipeline.report(job, "errors.csv").decode() == ERRORS_CSV
    assert without_origins(pipeline.report(job, "rejected.csv").decode(), job.id) == REJECTED_CSV
    objects = [json.loads(line) for line in pipeline.report(job, "errors.ndjson").splitlines()]
    assert [tuple(failure.values())[:5] for failure in objects] == ERRORS_NDJSON
    assert {tuple(failure) for failure in objects} == {("row", "line", "column", "code", "value", "message")}
    messages = "; ".join(failure["message"] for failure in objects if failure["row"] == 2)
    assert f'2,"{messages}",' in ERRORS_CSV


def test_rejected_rows_that_are_dropped_again_get_the_same_reports(pipeline: Pipeline) -> None:
    first = pipeline.load("users/a.csv", f"{HEADER}\n{TWO},foo@bar,,boss,maybe\n".encode())
    rejected = pipeline.report(first, "rejected.csv")
    again = pipeline.load("users/b.csv", rejected)
    assert pipeline.report(again, "rejected.csv") == rejected
    assert pipeline.report(again, "errors.ndjson") == pipeline.report(first, "errors.ndjson")
