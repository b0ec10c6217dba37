"""Files that are not tables are recognised by their content, whatever their names."""

import gzip
import pickle
import struct

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline_tests.unit.stages.parse.archives import compound_file, dbase
from bulk_pipeline_tests.unit.stages.parse.reading import read

PAGE = "<html><body><table><tr><td>email</td></tr></table></body></html>"
BINARY: dict[str, tuple[bytes, str]] = {
    "an encrypted workbook": (
        compound_file(["EncryptionInfo", "EncryptedPackage"]),
        "an Office file that is encrypted: save it without a password",
    ),
    "an encrypted workbook, its directory far behind": (
        compound_file(["EncryptedPackage"], sectors_before=900),
        "an Office file that is encrypted: save it without a password",
    ),
    "an encrypted .xls": (compound_file(["\x06DataSpaces"]), "an Office file that is encrypted"),
    "an .xls": (compound_file(["Workbook"]), "an old Excel file (.xls): save it as .xlsx"),
    "an older .xls": (compound_file(["Book"]), "an old Excel file (.xls): save it as .xlsx"),
    "a .doc": (compound_file(["1Table", "WordDocument"]), "an old Word document (.doc)"),
    "an unknown compound file": (compound_file(["x"]), "an old Excel or Office file: save it as .xlsx"),
    "an .mdb": (b"\0\1\0\0Standard Jet DB\0" + bytes(100), "an Access database (.mdb)"),
    "an .accdb": (b"\0\1\0\0Standard ACE DB\0" + bytes(100), "an Access database (.accdb)"),
    "a .dbf": (dbase(), "a dBASE file (.dbf)"),
    "Feather": (b"FEA1" + bytes(100), "a Feather file: save it as Parquet"),
    "Arrow": (b"ARROW1\0\0" + bytes(100), "an Arrow (Feather) file: save it as Parquet"),
    "an Arrow stream": (b"\xff\xff\xff\xff\xa8\0\0\0\x10\0\0\0" + bytes(100), "an Arrow stream"),
    "a pickle": (pickle.dumps([{"email": "a@b.co"}] * 9), "a Python pickle"),
    "an old pickle": (pickle.dumps({"email": "a@b.co"}, protocol=2), "a Python pickle"),
    "a .sas7bdat": (
        bytes(12) + bytes.fromhex("c2ea8160b31411cfbd92080009c7318c181f1011"),
        "a SAS file (.sas7bdat)",
    ),
    "a .xpt": (b"HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!000000000", "a SAS transport file (.xpt)"),
    "a .dta": (b"<stata_dta><header><release>118</release>", "a Stata file (.dta)"),
    "an old .dta": (b"\x73\x02\x01\x00" + bytes(100), "a Stata file (.dta)"),
    "a .sav": (b"$FL2@(#) SPSS DATA FILE", "an SPSS file (.sav)"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
    "a .npy": (b"\x93NUMPY\1\0" + bytes(100), "a NumPy array"),
    "an .rds in gzip": (gzip.compress(b"X\n\0\0\0\3" + bytes(100)), "an R object (.rds)"),
    "an .RData": (b"RDX3\nX\n" + bytes(100), "an R workspace (.RData)"),
    "xz": (b"\xfd7zXZ\x00" + bytes(50), "an xz archive: use .gz, .zst, .bz2 or .zip"),
    "a bitmap": (b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + bytes(100), "a BMP image"),
    "a PGP message": (b"-----BEGIN PGP MESSAGE-----\n\nhQEM", "encrypted by PGP: decrypt it first"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
}
TEXTS: dict[str, tuple[str, str]] = {
    "a page": ("<!DOCTYPE html><html></html>", "a web page; expected CSV"),
    "a page in capitals": ("\n <HTML>\n", "a web page; expected CSV"),
    "a page with a table": (PAGE, "a web page with a table, as some programs save under .xls: open it and save it as"),
    "a page that begins with its table": ("<table border=1><tr><td>email", "a web page with a table"),
    "a page that begins with a comment": (f"<!-- saved -->\n{PAGE}", "a web page with a table"),
    "a page that begins with meta": (f'<meta charset="utf-8">{PAGE}', "a web page with a table"),
    "an XML spreadsheet": (
        '<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?>\n<Workbook/>',
        "an XML spreadsheet of Excel 2003: open it and save it as .xlsx",
    ),
    "an XML spreadsheet without declaration": (
        '<Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet">',
        "an XML spreadsheet of Excel 2003",
    ),
    "a flat OpenDocument": (
        '<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0">',
        "an OpenDocument file (.fods)",
    ),
    "an error of S3": ('<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code>', "the error answer of an object store"),
    "other XML": ('<?xml version="1.0"?><customers/>', "an XML document; expected CSV"),
    "a web archive": (
        "MIME-Version: 1.0\nX-Document-Type: Workbook\nContent-Type: multipart/related\n",
        "a web archive or an email (MIME), as some programs save under .xls",
    ),
    "an email": ("From: a@b.co\nTo: c@d.ef\nMIME-Version: 1.0\n\nhi", "a web archive or an email (MIME)"),
    "contacts": ("BEGIN:VCARD\nFN:Ann\nEND:VCARD\n", "a file of contacts or appointments"),
}  # fmt: skip


def refused(data: bytes, name: str = "upload.csv") -> str:
    with pytest.raises(FileError) as caught:
        read(data, name)
    assert caught.value.code == "unsupported_format"
    return str(caught.value)


@pytest.mark.parametrize("what", BINARY)
def test_a_binary_file_is_named(what: str) -> None:
    data, words = BINARY[what]
    assert refused(data).startswith(f"this is {words}")
    assert refused(gzip.compress(data), "upload.csv.gz").startswith(f"this is {words}")


@pytest.mark.parametrize("what", TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_text_that_is_no_table_is_named(what: str, encoding: str) -> None:
    text, words = TEXTS[what]
    assert refused(text.encode(encoding), "upload.xls").startswith(f"this is {words}")


@pytest.mark.parametrize(
    "text",
    [
        b"ORC,email\n1,a@b.co\n",
        b"BMI,email\n1,a@b.co\n",
        b"metadata,email\n<html>,a@b.co\n",
        b'"<table>",email\n1,a@b.co\n',
        b"<name>,email\n1,a@b.co\n",
        b"email,MIME-Version: 1\na@b.co,1\n",
        b"MZ,email\n1,a@b.co\n",
        b"\x80uro,email\n1,a@b.co\n",
        b"01\t\t,email\n1,a@b.co\n",
    ],
)
def test_a_table_is_not_taken_for_something_else(text: bytes) -> None:
    assert read(text, encoding="cp1252").column("email") == ["a@b.co"]
