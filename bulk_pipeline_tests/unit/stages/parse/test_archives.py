"""An archive of one file is read; any other archive is refused with its kind."""

import bz2
import gzip
import io
import tarfile
import zipfile

import pytest

from bulk_pipeline.errors import FileError
from bulk_pipeline.stages.parse import Limits
from bulk_pipeline_tests.unit.stages.parse.archives import marked, old_tar, tarred, zipped
from bulk_pipeline_tests.unit.stages.parse.reading import Result, read
from bulk_pipeline_tests.unit.stages.parse.test_packed import PACK, SUFFIX
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

TEXT = b"email,city\na@b.co,Rome\nc@d.ef,Oslo\n"
CELLS = [(None, "a@b.co", None, None, None, "Rome"), (None, "c@d.ef", None, None, None, "Oslo")]
LONG = "/".join(["long" * 30] * 4) + "/a.csv"

TARS = {
    "ustar": tarred({"a.csv": TEXT}, tarfile.USTAR_FORMAT),
    "gnu": tarred({"a.csv": TEXT}, tarfile.GNU_FORMAT),
    "gnu with a long name": tarred({LONG: TEXT}, tarfile.GNU_FORMAT),
    "pax": tarred({"a.csv": TEXT}, tarfile.PAX_FORMAT),
    "pax with a long name": tarred({LONG: TEXT}, tarfile.PAX_FORMAT),
    "pax with a global header": tarred({"ü.csv": TEXT}, tarfile.PAX_FORMAT, comment="from git"),
    "version 7": old_tar("a.csv", TEXT),
    "with a folder": tarred({"data/": b"", "data/a.csv": TEXT}),
    "with what macOS adds": tarred(
        {"._a.csv": b"x", "a.csv": TEXT, "__MACOSX/a.csv": b"x", ".DS_Store": b"x"}
    ),
    "with headers of pax as files": tarred({"PaxHeaders.7/a.csv": b"30 mtime=1\n", "a.csv": TEXT}),
    "with much padding": tarred({"a.csv": TEXT}) + bytes(100_000),
}


def refused(data: bytes, name: str = "upload") -> str:
    with pytest.raises(FileError) as caught:
        read(data, name)
    assert caught.value.code == "unsupported_format"
    return str(caught.value)


def places(result: Result) -> list[tuple[str | None, str | None]]:
    return list(zip(result.column("email"), result.column("city"), strict=True))


@pytest.mark.parametrize("what", TARS)
@pytest.mark.parametrize("pack", [None, *PACK])
def test_the_only_file_of_a_tar_is_read_in_any_packing(what: str, pack: str | None) -> None:
    data, name = TARS[what], "upload.csv.tar"
    result = read(PACK[pack](data), name + SUFFIX[pack]) if pack else read(data, name)
    assert places(result) == [("a@b.co", "Rome"), ("c@d.ef", "Oslo")]
    assert (result.failures, result.warnings) == ([], [])
    assert result.dialect.compression == (f"{pack}+tar" if pack else "tar")


@pytest.mark.parametrize("piece", [100, 513])
def test_pieces_do_not_matter(piece: int) -> None:
    assert places(read(TARS["pax"], "a.tar", piece=piece)) == [("a@b.co", "Rome"), ("c@d.ef", "Oslo")]


def test_names_of_packed_tars_are_understood() -> None:
    for name, data in [("a.tgz", gzip.compress(TARS["gnu"])), ("a.tbz2", bz2.compress(TARS["gnu"]))]:
        assert read(data, name).warnings == []


def test_any_format_may_be_in_a_tar() -> None:
    sheet = workbook([("email", "city"), ("a@b.co", "Rome")])
    for name, data in [("a.xlsx", sheet), ("a.json", b'[{"email":"a@b.co","city":"Rome"}]')]:
        assert places(read(tarred({name: data}), f"{name}.tar")) == [("a@b.co", "Rome")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tarred({"a.csv": TEXT, "b.csv": TEXT}), "this one holds 2: 'a.csv', 'b.csv': upload the files by themselves"),
        (tarred({f"{n:02}": TEXT for n in range(15)}), "this one holds 15: '00', '01', '02', '03', '04', '05', '06', "),
        (tarred({"data/": b""}), "this one holds 0: none"),
        (gzip.compress(tarred({"README": b"x", "a.csv": TEXT})), "this one holds 2: 'README', 'a.csv'"),
        (zipped({"a.tar": tarred({"x": TEXT, "y": TEXT})}), "this one holds 2: 'x', 'y'"),
    ],
)  # fmt: skip
def test_a_tar_of_several_files_is_refused_with_their_names(data: bytes, words: str) -> None:
    assert f"a tar archive must hold exactly one file; {words}" in refused(data)


def test_a_link_in_a_tar_is_no_file() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("latest.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        archive.addfile(link)
        info = tarfile.TarInfo("a.csv")
        info.size = len(TEXT)
        archive.addfile(info, io.BytesIO(TEXT))
    assert len(read(out.getvalue(), "a.tar").rows) == 2


@pytest.mark.parametrize("size", [520, 600, 1000])
def test_a_tar_that_is_cut_short_stops_the_file(size: int) -> None:
    whole = tarred({"a.csv": TEXT * 100}, tarfile.USTAR_FORMAT)
    with pytest.raises(FileError) as caught:
        read(whole[:size], "a.tar")
    assert caught.value.code == "unreadable_compression"
    assert "the tar data is damaged or cut short" in str(caught.value)


def test_a_header_of_a_tar_that_asks_for_much_memory_is_damage() -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    with pytest.raises(
        FileError, match=r"a header asks for 1,073,742,\d{3} bytes|asks for 1,073,741,824 bytes"
    ):
        read(info.tobuf(tarfile.GNU_FORMAT) + bytes(2048), "a.tar")


def test_a_tar_of_very_many_members_is_refused_without_holding_them() -> None:
    one = tarfile.TarInfo("x/")
    one.type = tarfile.DIRTYPE
    with pytest.raises(FileError, match="this one holds over 10,000 members"):
        read(gzip.compress(one.tobuf() * 10_001 + bytes(1024)), "a.tar.gz")


def test_a_bomb_in_a_tar_stops_at_its_cap() -> None:
    bomb = gzip.compress(tarred({"a.csv": b"email,city\n" + b"x,y\n" * 1_000_000}))
    with pytest.raises(FileError, match="looks like a compression bomb"):
        read(bomb, limits=Limits(ratio=50, ratio_from_bytes=1_000_000))


def test_text_that_begins_like_a_name_is_no_tar() -> None:
    assert len(read(b"email,city\n" + b"a@b.co,0000644\n" * 100).rows) == 100


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"xl/workbook.bin": b"x"}, "an Excel binary workbook (.xlsb): save it as .xlsx"),
        (
            {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<x/>"},
            "an OpenDocument spreadsheet (.ods): save it as .xlsx or CSV",
        ),
        ({"mimetype": b"application/vnd.oasis.opendocument.text-template"}, "an OpenDocument text (.odt)"),
        ({"mimetype": b"application/epub+zip", "a.opf": b"x"}, "an e-book (.epub)"),
        ({"[Content_Types].xml": b"x", "word/document.xml": b"x"}, "a Word document (.docx)"),
        ({"[Content_Types].xml": b"x", "ppt/presentation.xml": b"x"}, "a PowerPoint file (.pptx)"),
        (
            {"Index/Document.iwa": b"x", "Metadata/Properties.plist": b"x"},
            "a document of Apple Numbers, Pages",
        ),
        (
            {"Index.zip": b"x", "preview.jpg": b"x"},
            "a document of Apple Numbers, Pages or Keynote: export it",
        ),
        ({"META-INF/MANIFEST.MF": b"x", "A.class": b"x"}, "a Java archive (.jar)"),
        ({"AndroidManifest.xml": b"x", "META-INF/MANIFEST.MF": b"x"}, "an Android app (.apk)"),
        ({"doc.kml": b"<kml/>"}, "a map (.kmz)"),
    ],
)
@pytest.mark.parametrize("outer", ["by itself", "in a zip", "in a tar.gz"])
def test_a_document_in_the_dress_of_a_zip_is_named(members: dict[str, bytes], what: str, outer: str) -> None:
    data = zipped(members)
    if outer == "in a zip":
        data = zipped({"upload.ods": data})
    if outer == "in a tar.gz":
        data = gzip.compress(tarred({"upload.ods": data}))
    assert f"this is {what}" in refused(data)


def test_zips_and_tars_in_each_other_are_read() -> None:
    for data in (
        zipped({"a.zip": zipped({"a.csv": TEXT})}),
        zipped({"a.csv.gz": gzip.compress(TEXT)}),
        zipped({"a.tar.gz": gzip.compress(tarred({"a.csv": TEXT}))}),
        tarred({"a.csv.gz": gzip.compress(TEXT)}),
    ):
        assert places(read(data)) == [("a@b.co", "Rome"), ("c@d.ef", "Oslo")]


def test_files_of_systems_in_a_zip_are_ignored() -> None:
    members = {
        "a.csv": TEXT,
        "._a.csv": b"x",
        "__MACOSX/._a.csv": b"x",
        "Thumbs.db": b"x",
        "in/desktop.ini": b"x",
    }
    assert len(read(zipped(members), "a.zip").rows) == 2


def test_a_zip_with_a_password_is_refused_with_the_remedy() -> None:
    locked = marked(zipped({"a.csv": TEXT}), flags=1)
    assert "the file 'a.csv' in the zip is encrypted: save it without a password" in refused(locked)
    assert "is encrypted" in refused(marked(zipped({"a.csv": TEXT}), flags=1, method=99))


@pytest.mark.parametrize(
    ("method", "name"),
    [(9, "Deflate64"), (12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (98, "PPMd"), (77, "method 77")],
)
def test_a_method_of_zip_that_cannot_be_read_is_named(method: int, name: str) -> None:
    data = marked(zipped({"a.csv": TEXT}), method=method)
    assert f"the file 'a.csv' in the zip is compressed with {name}, which is not supported" in refused(data)


def test_a_zip_that_does_not_compress_is_read() -> None:
    assert len(read(zipped({"a.csv": TEXT}, zipfile.ZIP_STORED), "a.zip").rows) == 2
