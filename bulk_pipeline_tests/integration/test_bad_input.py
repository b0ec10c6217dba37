"""Outcomes of damaged files, from the bucket to the database, for one table.

Each damage is between two good rows (ann and bob); a row of three cells is email, first name, city.
A failure is `row line column code`. The header is line 1, so the damage is row 2 in line 3.
"""

import codecs
from collections.abc import Callable
from functools import partial

import pytest

from bulk_pipeline.ledger.jobs import Status
from bulk_pipeline.stages.counts import Counts
from bulk_pipeline_tests.rigs.damage import (
    ANN,
    BOB,
    HEADER,
    Damage,
    around,
    drop,
    fails,
    loads,
    rejects,
)
from bulk_pipeline_tests.rigs.packing import PACK, zipped
from bulk_pipeline_tests.rigs.pipeline import Pipeline
from bulk_pipeline_tests.unit.stages.parse.archives import compound_file, marked, old_tar, tarred

MALFORMED = rejects("2 3 - malformed_row")
FEW = around(b"few\n")
JORG = around(b"cat@x.co,J\xf6rg,K\xf6ln\n")
NOT_UTF8 = ("2 3 first_name bad_encoding", "2 3 city bad_encoding")
OPEN = b'open@x.co,"Open,Lima\n'
WIDE = b",x" * 9_997 + b"\n"


def encoded(name: str, mark: bytes = b"") -> Callable[[bytes], bytes]:
    return lambda text: mark + text.decode().encode(name)


UTF16_LE, UTF16_BE = encoded("utf-16-le"), encoded("utf-16-be")
MARKED_LE = encoded("utf-16-le", codecs.BOM_UTF16_LE)
MARKED_BE = encoded("utf-16-be", codecs.BOM_UTF16_BE)

HEADERS = [
    Damage("an empty file", b"", fails("the file is empty (0 bytes)")),
    Damage("a mark and nothing else", codecs.BOM_UTF8, fails("the file is empty: it has a byte order mark")),
    Damage("blank lines only", b"\n \n\n", fails("no usable header: found nothing; expected columns of")),
    Damage("a header only", HEADER, loads("", warning="the file has no rows")),
    Damage(
        "another header", b"a,b\n" + ANN, fails("no usable header: found a, b; expected columns of customers")
    ),
    Damage("no header", ANN + BOB, fails("no usable header: found")),
    Damage(
        "no header, as declared",
        b"ann@x.co,Ann,Lee,1,Rome\nbob@x.co,Bob,,,\n",
        loads(
            warning="the columns were taken by their position, as email, first_name, last_name, phone, city"
        ),
        declared=(("header", "none"),),
    ),
    Damage("other spellings", b"\xef\xbb\xbfE-Mail;firstName;CITY\nann@x.co;Ann;\nbob@x.co;Bob;\n", loads()),
    Damage(
        "names in another language",
        b"E-Mail;Nachname;Vorname;Ort;Telefon;Angelegt\nann@x.co;Lee;Ann;Rome;1;2024-05-01\n",
        fails("Nachname: did you mean last_name?; Vorname: did you mean first_name?"),
    ),
    Damage(
        "names in another language, declared",
        b"Mail;Vorname;Ort\nann@x.co;Ann;Rome\nbob@x.co;Bob;Oslo\n",
        loads(),
        declared=(("columns", "Mail=email, Vorname=first_name, Ort=city"),),
    ),
    Damage(
        "a name near the one that is missing", b"email,phne\nann@x.co,1\n", fails("phne: did you mean phone?")
    ),
    Damage(
        "records above the header",
        b"mail,first_name,city\nno@x.co,No,Rome\n" + HEADER + ANN + BOB,
        rejects("1 1 - malformed_row", "2 2 - malformed_row", warning="the header is in line 3"),
    ),
    Damage(
        "a narrower table above the header",
        b"first_name,city\nA,Rome\nB,Rome\n" + HEADER + ANN + BOB,
        rejects(
            "1 1 - malformed_row",
            "2 2 - malformed_row",
            "3 3 - malformed_row",
            warning="the header is in line 4",
        ),
    ),
    Damage(
        "a second table with another delimiter",
        b"email;city\nann@x.co;Rome\nbob@x.co;Oslo\nemail,first_name,city\nno@x.co,No,Rome\n",
        rejects("3 4 - malformed_row", "4 5 - malformed_row"),
    ),
    Damage("a column twice", b"email,city,Email\n", fails("the header names 'email' twice (cells 1 and 3)")),
    Damage("a required column missing", b"city\nRome\n", fails("required column email missing: found city")),
    Damage(
        "an unknown column",
        b"email,ox\nann@x.co,1\nbob@x.co,\n",
        loads(warning="columns that customers does"),
    ),
    Damage(
        "a title",
        b"Export\n\n# all\n" + FEW,
        rejects("2 6 - malformed_row", warning="the header is in line 4"),
    ),
    Damage(
        "10,000 columns",
        b"".join(
            row[:-1] + WIDE.replace(b"x", cell) for row, cell in [(HEADER, b""), (ANN, b"1"), (BOB, b"")]
        )
        + b"few\n",
        rejects("3 4 - malformed_row", warning="columns that customers does not have are ignored"),
    ),
]
RECORDS = [
    Damage("too few cells", around(b"few@x.co,Few\n"), MALFORMED),
    Damage("too many cells", around(b"many@x.co,Many,Lima,Peru\n"), MALFORMED),
    Damage("10,000 cells", around(ANN[:-1] + WIDE), MALFORMED),
    Damage("delimiters only", around(b",,\n , , \n,,,,\n"), loads()),
    Damage("empty texts only", around(b'"","",""\n'), loads()),
    Damage("an end marker of COPY", around(b"") + b"\\.\n", loads()),
    Damage("an end of file", around(b"") + b"\x1a", loads(warning="ends in Ctrl-Z")),
    Damage("a count of rows", around(b"") + b"\n(2 rows affected)\n", loads()),
    Damage(
        "a line of dashes below the header", HEADER + b"---,---,---\n" + ANN + BOB, loads(warning="of dashes")
    ),
    Damage("a row of totals", around(b"") + b"Total,2,\n", rejects("3 4 email bad_format")),
    Damage("the header in other words", around(b"E-Mail;First Name;CITY\n"), MALFORMED),
    Damage("the header in quotes", around(b'"email","first_name","city"\n'), MALFORMED),
    Damage("an open quote", around(OPEN), MALFORMED),
    Damage("an open quote in the first row", HEADER + OPEN + ANN + BOB, rejects("1 2 - malformed_row")),
    Damage("an open quote in the last row", around(b"") + OPEN, rejects("3 4 - malformed_row")),
    Damage(
        "two open quotes",
        around(OPEN + b"cat@x.co,Cat,Bonn\n" + OPEN),
        rejects("2 3 - malformed_row", "4 5 - malformed_row", loaded="ann bob cat"),
    ),
    Damage("a quote inside a cell", around(b'stray@x.co,St"ray,Lima\n'), MALFORMED),
    Damage("text after a closing quote", around(b'stray@x.co,"St"ray,Lima\n'), MALFORMED),
    Damage("a pair of quotes inside a cell", around(b'cat@x.co,C"a"t,Bonn\n'), loads("ann bob cat")),
    Damage("a doubled quote inside a cell", around(b'cat@x.co,C""at,Bonn\n'), MALFORMED),
    Damage(
        "a line end in quotes",
        around(b'cat@x.co,"Cat\r\nCat","Bonn"\nfew\n'),
        rejects("3 5 - malformed_row", loaded="ann bob cat"),
    ),
    Damage("the header repeated", around(HEADER), MALFORMED),
    Damage("blank lines", around(b"\n  \nfew\n\n"), rejects("2 5 - malformed_row")),
    Damage("mixed line ends", HEADER[:-1] + b"\r\n" + ANN[:-1] + b"\rfew\r\n" + BOB, MALFORMED),
    Damage("CR for a line end", FEW.replace(b"\n", b"\r"), MALFORMED),
    Damage("CRLF for a line end", FEW.replace(b"\n", b"\r\n"), MALFORMED),
    Damage("no line end at the end", FEW[:-1], MALFORMED),
    Damage(
        "a cell of 10 MB", around(b"big@x.co,Big," + b"x" * 10_000_000 + b"\n"), rejects("2 3 city too_long")
    ),
    Damage(
        "a cell of 20 MB", around(b"big@x.co,Big," + b"x" * 20_000_000 + b"\n"), rejects("2 3 - too_long")
    ),
    Damage("a number for an id", b"id,email\n,ann@x.co\n7,no@x.co\n,bob@x.co\n", rejects("2 3 id bad_type")),
    Damage("a number for a text", around(b"cat@x.co,007,1e5\n"), loads("ann bob cat")),
]
CHARACTERS = [
    Damage("a NUL byte", around(b"nul@x.co,N\0l,Lima\n"), rejects("2 3 first_name bad_encoding")),
    Damage("NUL bytes only", around(bytes(20) + b"\n"), MALFORMED),
    Damage("invalid UTF-8", around(b"bad@x.co,B\xffd,Lima\n"), rejects("2 3 first_name bad_encoding")),
    Damage("half a character", around(b"bad@x.co,Bad,Lim\xc3\n"), rejects("2 3 city bad_encoding")),
    Damage(
        "half a surrogate pair", around(b"bad@x.co,\xed\xa0\x80,\n"), rejects("2 3 first_name bad_encoding")
    ),
    Damage("Latin-1 undeclared", JORG, rejects(*NOT_UTF8)),
    Damage("Latin-1 declared", JORG, loads("ann bob cat"), encoding="latin-1"),
    Damage("Latin-1 declared to be UTF-8", JORG, rejects(*NOT_UTF8), encoding="utf-8"),
    Damage(
        "UTF-8 declared to be ASCII", around("a@x.co,ö,ö\n".encode()), rejects(*NOT_UTF8), encoding="ascii"
    ),
    Damage("an unknown encoding", FEW, fails("'klingon' is not an encoding"), encoding="klingon"),
    Damage("an encoding that is none of texts", FEW, fails("'base64' is not an encoding"), encoding="base64"),
    Damage("UTF-8 with a mark", codecs.BOM_UTF8 + FEW, MALFORMED),
    Damage("UTF-16 LE with a mark", FEW, MALFORMED, pack=MARKED_LE),
    Damage("UTF-16 BE with a mark", FEW, MALFORMED, pack=MARKED_BE),
    Damage("UTF-16 LE without", FEW, fails("looks like UTF-16 (little-endian) without"), pack=UTF16_LE),
    Damage("UTF-16 BE without", FEW, fails("looks like UTF-16 (big-endian) without"), pack=UTF16_BE),
    Damage("UTF-16 LE declared", FEW, MALFORMED, encoding="utf-16-le", pack=UTF16_LE),
    Damage("UTF-32 with a mark", FEW, MALFORMED, pack=encoded("utf-32")),
]


def cut(pack: Callable[[bytes], bytes], text: bytes) -> bytes:
    """Return a truncated pack, most of whose rows could still be read."""
    packed = pack(text + b"".join(b"u%d@y.co,Ann,Rome\n" % (7_654_321 * row) for row in range(20_000)))
    return packed[: len(packed) - 1000]


def bomb(pack: Callable[[bytes], bytes], text: bytes) -> bytes:
    """Return a text with 105 MB of blanks after it."""
    return pack(text + (b" " * 999_999 + b"\n") * 105)


BOMB = fails("looks like a compression bomb")


PACKED = [
    Damage(
        ".gz cut short",
        FEW,
        fails("the gzip data is damaged or cut"),
        "a.csv.gz",
        pack=partial(cut, PACK[".gz"]),
    ),
    Damage(
        ".zst cut short",
        FEW,
        fails("the zstd data is damaged or"),
        "a.csv.zst",
        pack=partial(cut, PACK[".zst"]),
    ),
    Damage(
        ".bz2 cut short",
        FEW,
        fails("the bzip2 data is damaged"),
        "a.csv.bz2",
        pack=partial(cut, PACK[".bz2"]),
    ),
    Damage(
        ".zip cut short",
        FEW,
        fails("the zip data is damaged or"),
        "a.csv.zip",
        pack=partial(cut, PACK[".zip"]),
    ),
    Damage("a bomb in .gz", FEW, BOMB, "a.csv.gz", pack=partial(bomb, PACK[".gz"])),
    Damage("a bomb in .zst", FEW, BOMB, "a.csv.zst", pack=partial(bomb, PACK[".zst"])),
    Damage("a bomb in .zip", FEW, BOMB, "a.csv.zip", pack=partial(bomb, PACK[".zip"])),
    Damage(
        "a zip of two", FEW, fails("a zip file must hold"), "a.zip", pack=lambda text: zipped(text, "a", "b")
    ),
    Damage("a zip of none", b"PK\5\6" + bytes(18), fails("a zip file must hold exactly one file"), "a.zip"),
    Damage("a tar of one", FEW, MALFORMED, "a.tar", pack=lambda text: tarred({"a.csv": text})),
    Damage("a tar of old", FEW, MALFORMED, "a.tar", pack=lambda text: old_tar("a.csv", text)),
    Damage(
        "a tar.gz of one",
        FEW,
        MALFORMED,
        "a.csv.tar.gz",
        pack=lambda text: PACK[".gz"](tarred({"._a.csv": b"x", "a.csv": text})),
    ),
    Damage(
        "a tar.bz2 of two",
        FEW,
        fails(
            "a tar archive must hold exactly one file; this one holds 2: 'a', 'b': upload the files by themselves"
        ),
        "a.tar.bz2",
        pack=lambda text: PACK[".bz2"](tarred({"a": text, "b": text})),
    ),
    Damage("a tar in a zip", FEW, MALFORMED, "a.zip", pack=lambda text: zipped(tarred({"a.csv": text}))),
    Damage(
        "a zip with a password",
        FEW,
        fails("in the zip is encrypted: save it without a password"),
        "a.zip",
        pack=lambda text: marked(zipped(text), flags=1),
    ),
    Damage(
        "a workbook with a password",
        compound_file(["EncryptionInfo", "EncryptedPackage"]),
        fails("this is an Office file that is encrypted: save it without a password"),
        "a.xlsx",
    ),
    Damage(
        "a page that is called .xls",
        b"<table><tr><td>email</td></tr></table>",
        fails("this is a web page with a table, as some programs save under .xls"),
        "a.xls",
    ),
    Damage("gzip of nothing", b"", fails("the file is empty: the gzip data"), "a.csv.gz", pack=PACK[".gz"]),
    Damage(
        "gzip by name only", FEW, rejects("2 3 - malformed_row", warning="the file's name is"), "a.csv.gz"
    ),
    Damage("gzip by content only", FEW, rejects("2 3 - malformed_row", warning="the"), pack=PACK[".gz"]),
    Damage(
        "a picture",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
        fails("this is a PNG image; expected CSV, TSV, NDJSON"),
    ),
    Damage(
        "bytes", bytes(range(256)) * 40, fails("this is binary data (it begins with the bytes 00 01 02 03")
    ),
    Damage("a web page", b"<!DOCTYPE html><html></html>", fails("this is a web page; expected CSV, TSV")),
    Damage("Parquet cut short", b"PAR1" + bytes(100), fails("the Parquet file is damaged"), "a.parquet"),
    Damage("a workbook cut short", b"PK\3\4" + bytes(100), fails("the zip data is damaged"), "a.xlsx"),
]


@pytest.mark.parametrize(
    "damages",
    [
        pytest.param(HEADERS, id="headers"),
        pytest.param(RECORDS, id="records"),
        pytest.param(CHARACTERS, id="characters"),
        pytest.param(PACKED, id="packed"),
    ],
)
def test_a_damage_costs_its_own_rows_and_says_so(
    pipeline: Pipeline, damages: list[Damage], subtests: pytest.Subtests
) -> None:
    for damage, outcome in drop(pipeline, damages):
        with subtests.test(damage.what):
            assert outcome == damage.expected


KEYS = [
    "with blanks .csv",
    " ",
    """quo'tes".csv""",
    "...csv",
    "a..b.csv",
    "..csv/..a",
    "ünïcode 文件 😀.csv",
    "e\u0301.csv",
    "100%25 a+b&c=d?e#f.csv",
    "back\\slash;semi:colon|pipe*.csv",
    "line\nend\ttab.csv",
    "{'json': \"x\"}.csv",
    "/".join(["long" * 30] * 8)[: 1000 - len("customers/")],
]


def test_any_key_will_do(pipeline: Pipeline, subtests: pytest.Subtests) -> None:
    for number, key in enumerate(KEYS):
        pipeline.drop(f"customers/{key}", HEADER + b"u%d@x.co,Ann,Rome\nfew\n" % number)
    pipeline.work_off()
    assert pipeline.inbox() == []
    for key in KEYS:
        with subtests.test(key):
            job = pipeline.job(f"customers/{key}")
            assert (job.status, pipeline.counts(job)) == (
                Status.COMPLETED_WITH_ERRORS,
                Counts(total=2, inserted=1, rejected=1),
            )
            assert pipeline.report(job, "rejected.csv").startswith(b"_row,_line,_errors,_origin,email")
