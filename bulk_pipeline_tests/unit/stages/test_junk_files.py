"""Junk files, and only they, are recognised by their names."""

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.junk_files import is_junk, refuse_junk

JUNK = [
    "__MACOSX/a.csv", "users/__MACOSX/deep/._a.csv", "users/._a.csv", "._x", ".DS_Store", "users/.ds_store",
    "users/_SUCCESS", "_committed_123", "_started_7f", "_metadata", "_common_metadata", "~$book.xlsx",
    "users/~$book.xlsx", ".~lock.book.ods#", ".part-0.csv.crc", "users/part-0.csv.crc", "Thumbs.db", "desktop.ini",
    "a.csv.crdownload", "a.csv.filepart", "a.csv.1a2b.partial", "users/_temporary/0/part-0.csv", "users_$folder$",
    ".gitkeep", ".keep", "$RECYCLE.BIN/a.csv", "System Volume Information/x", "users/@eaDir/a.csv/SYNO",
]  # fmt: skip
DATA = [
    "a.csv", "_a.csv", "success.csv", "_SUCCESS.csv", "x._a", "a.crc.csv", "a.tmp", "a.part", "part-0.csv", "~a.csv",
    "macosx/a.csv", "metadata.json", "_metadata.json", "started_1", ".csv", "...csv", "$a.csv", "~", "a~$b.csv",
    "users/upsert/partial.csv", "temporary/a.csv", "keep", "Thumbs.db.csv", "crc", "", "users/",
]  # fmt: skip


@pytest.mark.parametrize("key", JUNK)
def test_junk_files_are_no_uploads(key: str) -> None:
    assert is_junk(key)
    with pytest.raises(FileError, match="is not an upload: this is ") as caught:
        refuse_junk(key)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("key", DATA)
def test_a_file_that_may_be_data_is_an_upload(key: str) -> None:
    assert not is_junk(key)
    refuse_junk(key)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("~$book.xlsx", "the lock file of an open Office document: close it and import the document itself"),
        (
            "in/._a.csv",
            "'._a.csv' is not an upload: this is what macOS keeps about the file 'a.csv': import 'a.csv' itself",
        ),
        ("a.csv.crdownload", "a download or upload that is not complete: send the whole file"),
    ],
)
def test_the_message_names_the_file_and_the_remedy(name: str, sentence: str) -> None:
    with pytest.raises(FileError) as caught:
        refuse_junk(name)
    assert sentence in str(caught.value)
