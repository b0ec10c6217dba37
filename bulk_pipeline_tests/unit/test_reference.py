"""The docs agree with the code, and each code of the registries is documented and used."""

import re
from pathlib import Path

import pytest

from bulk_pipeline.api.import_requests import MODE_NAMES
from bulk_pipeline.bench.choices import FileFormat as FileFormatOfBench
from bulk_pipeline.errors import FileErrorCode
from bulk_pipeline.samples.formats import Format as SampleFormat
from bulk_pipeline.schema import Mode
from bulk_pipeline.stages.export.formats import Format
from bulk_pipeline.stages.failures import CODES, Code
from bulk_pipeline.stages.formats import FORMATS, FileFormat, by_suffix
from bulk_pipeline.stages.parse.upload import FILE_READERS, TEXT_READERS
from bulk_pipeline.stages.validate.checks import CHECKS
from bulk_pipeline_tests import reference
from bulk_pipeline_tests.reference import messages

PACKAGE = reference.ROOT / "bulk_pipeline"
CODE = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
DOCUMENTS = reference.documents()
CONTRIBUTING = (reference.ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_generated_docs_are_up_to_date(path: Path) -> None:
    assert path.read_text().splitlines() == DOCUMENTS[path].splitlines(), "run `make reference`"


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("Command line: help", "The table to load."),
        ("Command line: messages", "warning: {warning}"),
        ("HTTP: errors", "mode must be one of: {', '.join(MODE_NAMES.values())}"),
        ("Errors of jobs, files and settings", "the file is empty (0 bytes)"),
        ("Warnings", "the file has no rows"),
        ("Failures of rows (errors.csv)", "a draft has no published_at"),
    ],
)
def test_messages_of_every_kind_are_found(group: str, text: str) -> None:
    assert (group, text) in {(message.group, message.text) for message in messages.messages()}


@pytest.mark.parametrize("part", reference.PARTS)
def test_every_part_stands_in_one_document(part: str) -> None:
    assert sum(text.count(f"<!-- made from the code: {part} -->") for text in DOCUMENTS.values()) == 1


@pytest.mark.parametrize("code", FileErrorCode)
def test_every_code_of_a_failed_job_is_raised_and_has_meaning_and_remedy(code: FileErrorCode) -> None:
    users = [path for path, text in CODE.items() if f"FileErrorCode.{code.name}" in text]
    assert users, f"nothing raises {code.name}: remove it"
    assert code.meaning
    assert code.remedy


@pytest.mark.parametrize("mode", Mode)
def test_every_mode_is_explained_and_has_a_name_in_the_api(mode: Mode) -> None:
    assert f"\n`{mode}`: " in (reference.ROOT / "docs" / "rows.md").read_text()
    assert mode in MODE_NAMES


@pytest.mark.parametrize("name", [name for name in vars(Code) if name.isupper()])
def test_every_failure_code_is_used_and_has_meaning_and_remedy(name: str) -> None:
    code = CODES[getattr(Code, name)]
    assert any(f"Code.{name}" in text for text in CODE.values()), f"nothing fails with {code}: remove it"
    assert code.meaning
    assert code.remedy


def test_every_check_has_a_registered_code() -> None:
    assert {check.code for check in CHECKS.values()} <= {*CODES}


@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_every_format_has_a_reader_and_a_format_for_its_rejected_rows(format_: FileFormat) -> None:
    readers = TEXT_READERS if format_.is_text else FILE_READERS
    assert (format_.read_as or format_.name) in readers, f"add a reader of {format_.name} to parse/upload.py"
    assert FORMATS[format_.rejected_as].is_text
    assert format_.is_text or format_.magic or format_.name == "xlsx", "it cannot be recognised"


def test_formats_are_distinguished_by_suffixes() -> None:
    suffixes = [suffix for format_ in FORMATS.values() for suffix in format_.suffixes]
    assert sorted(by_suffix()) == sorted(suffixes)


def test_all_written_formats_are_registered() -> None:
    assert {*Format} == {name for name, format_ in FORMATS.items() if format_.is_exported}
    assert {*SampleFormat} | {*FileFormatOfBench} <= {*FORMATS}


def test_the_files_that_contributors_are_sent_to_exist() -> None:
    named = re.findall(r"`((?:bulk_pipeline|docs|sql)[\w/]*[./][\w.]*)`", CONTRIBUTING)
    assert len(named) > 20
    assert [path for path in named if not (reference.ROOT / path).exists()] == []
