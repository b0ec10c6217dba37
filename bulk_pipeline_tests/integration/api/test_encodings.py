"""Encodings that clients declare: for a file, and for the form around it."""

import pytest
from starlette.testclient import TestClient

from bulk_pipeline_tests.integration.api.test_imports import GOOD, IMPORTS, refused, send, sent

FORM = b'--b\r\nContent-Disposition: form-data; name="resource_type"\r\n\r\n%s\r\n--b--\r\n'


@pytest.mark.parametrize("charset", ["idna", "punycode", "unicode_escape", "utf-7", "zlib", "klingon"])
def test_a_form_in_an_encoding_that_files_do_not_have_is_refused(api: TestClient, charset: str) -> None:
    headers = {"Content-Type": f"multipart/form-data; charset={charset}; boundary=b"}
    status, message = refused(api.post(IMPORTS, content=FORM % b"users", headers=headers))
    assert (status, message.partition(":")[0]) == (400, f"{charset!r} is not an encoding of text files")


def test_a_form_in_an_encoding_of_files_is_read_in_it(api: TestClient) -> None:
    headers = {"Content-Type": "multipart/form-data; charset=cp037; boundary=b"}
    answer = api.post(IMPORTS, content=FORM % "users".encode("cp037"), headers=headers)
    assert answer.json() == {"error": "resource_type is required"}  # its name is in that encoding too
    form = FORM.replace(b'"resource_type"', b'"%s"' % "resource_type".encode("cp037"))
    answer = api.post(IMPORTS, content=form % "users".encode("cp037"), headers=headers)
    assert answer.json() == {"error": "file is required"}


def test_a_file_cannot_be_declared_to_be_in_one_that_files_do_not_have(api: TestClient) -> None:
    message = "'unicode_escape' is not an encoding of text files: name one like utf-8 or cp1252"
    assert refused(send(api, encoding="unicode_escape")) == (400, message)
    assert refused(send(api, b"PK\x03\x04", encoding="unicode_escape")) == (400, message)
    assert sent(api, GOOD, encoding="windows-1252")["status"] == "pending"
