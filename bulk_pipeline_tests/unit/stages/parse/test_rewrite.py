"""Files read without a table are rewritten as clean CSV."""

import csv
import io

import pytest

from bulk_pipeline_tests.unit.stages.parse.reading import cleaned, read
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

HEADER = ["DATE", "Qty", "Price", "Product", "Description", "Comments"]
PRODUCTS = [
    ("Men's Boots", "Light, yet rugged: won't let you down."),
    ('Table, Round 48"', "Durable enough, all year."),
    ("Cap", "Made with the same fabric."),
]
ROWS = [
    [f"{i % 28 + 1:02d}/01/2018", str(i % 9), f"${i}.50", *PRODUCTS[i % 3], "" if i % 2 else "ok"]
    for i in range(30)
]


def table(rows: list[list[str]], **options: str) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, **({"lineterminator": "\r\n"} | options)).writerows(rows)  # pyright: ignore[reportArgumentType]
    return text.getvalue()


def reread(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(cleaned(text.encode()), newline="")))


CLEAN = [HEADER, *ROWS]


@pytest.mark.parametrize(
    "text",
    [
        table(CLEAN),
        table(CLEAN, lineterminator="\n"),
        table(CLEAN, lineterminator="\r"),
        table(CLEAN)[:-2],
        table(CLEAN) + "\r\n",
        table(CLEAN, delimiter=";"),
        table(CLEAN, delimiter="\t"),
        table(CLEAN, delimiter=" "),
        table(CLEAN, delimiter="|"),
        table(CLEAN).replace(',"', ', "'),
        table(CLEAN, quotechar="'"),
        table(CLEAN).replace('""', '\\"'),
        table(CLEAN).replace('"""', '""'),
        "PREAMBLE,,,,,\r\n,,,,,\r\n" + table(CLEAN),
        "A title\r\n# a comment\r\n\r\n" + table(CLEAN),
        table(CLEAN[:1]),
        table(CLEAN[:2]),
    ],
    ids=lambda text: text[:20] + text[-20:],
)
def test_the_same_table_in_many_forms(text: str) -> None:
    rows = reread(text)
    assert rows == CLEAN[: len(rows)]
    assert len(rows) in (len(CLEAN), len(text.splitlines()))


@pytest.mark.parametrize("row", [0, 1, 15, 30])
@pytest.mark.parametrize("column", range(6))
def test_a_stray_quote_costs_no_cell(row: int, column: int) -> None:
    damaged = [list(cells) for cells in CLEAN]
    damaged[row][column] = '"' + damaged[row][column]
    lines = table(CLEAN).splitlines()
    cells = next(csv.reader([lines[row]]))
    quoted = [f'"{cell.replace(chr(34), chr(34) * 2)}"' if "," in cell else cell for cell in cells]
    inner = quoted[column]
    quoted[column] = '""' + inner[1:] if inner.startswith('"') else '"' + inner
    lines[row] = ",".join(quoted)
    assert reread("\r\n".join(lines)) == damaged


def test_rows_with_more_or_fewer_cells_keep_what_they_have() -> None:
    assert cleaned(b"a,b,c\n1,2,3\n4,5\n6,7,8,9\n1,2,3\n") == "a,b,c\n1,2,3\n4,5\n6,7,8,9\n1,2,3\n"
    result = read(b"a,b,c\n1,2,3\n4,5\n6,7,8,9\n1,2,3\n", table=None)
    assert result.places == [(2, 3, None, "malformed_row"), (3, 4, None, "malformed_row")]


def test_a_row_in_another_delimiter_is_cut_by_it_and_reported() -> None:
    text = b"a,b,c\n1,2,3\n4;5;6\n7,8,9\n"
    assert cleaned(text) == "a,b,c\n1,2,3\n4,5,6\n7,8,9\n"
    assert read(text, table=None).places == [(2, 3, None, "malformed_row")]


def test_two_tables_in_one_file_keep_all_their_cells() -> None:
    second = [["x", "y"], ["1", "2"]]
    assert reread(table(CLEAN) + table(second)) == CLEAN + second


def test_a_damaged_header_is_still_the_header() -> None:
    lines = table(CLEAN).splitlines()
    for header in (
        "DATE,Qty,Price,Product,,Description,Comments",
        "DATE,QtyPrice,Product,Description,Comments",
    ):
        rows = reread("\n".join([header, *lines[1:]]))
        assert rows == [header.split(","), *ROWS]
    assert reread("\n".join([" ".join(HEADER), *lines[1:]])) == CLEAN


def test_a_file_without_header_gets_names_and_a_warning() -> None:
    text = table(ROWS)
    assert reread(text) == [[f"column_{i}" for i in range(1, 7)], *ROWS]
    assert read(text.encode(), table=None).warnings == [
        "the file has no header: its columns were named column_1, column_2, …"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "name,2019,2020\na,1,2\nb,3,4\n",
        "id,city\n1,Rome\n2,Oslo\n",
        "a,b\nx,y\n",
        "1,2\n",
        "city\nRome\nOslo\n",
    ],
)
def test_a_header_is_kept_unless_it_is_clearly_data(text: str) -> None:
    assert cleaned(text.encode()) == text


def test_a_cell_that_cannot_be_decoded_is_shown_as_well_as_it_can_be() -> None:
    assert cleaned(b"a,b\nx,Z\xfcrich\n1,2\n") == "a,b\nx,Z\ufffdrich\n1,2\n"


def test_null_and_the_empty_string_stay_apart() -> None:
    assert cleaned(b'a,b,c\n,"",1\n"x\ny",2,3\n') == 'a,b,c\n,"",1\n"x\ny",2,3\n'
    assert cleaned(b'a,b,c\n,"",1\n1\n') == 'a,b,c\n,"",1\n1\n'


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'{"a":"1"}\n{"b":"x,y","a":""}\n{"a":null}\n', "x.ndjson"),
        (b'[{"a":"1"},{"b":"x,y","a":""},{"a":null}]', "x.json"),
    ],
)
def test_json_becomes_a_table_of_all_its_keys(data: bytes, name: str) -> None:
    assert cleaned(data, name) == 'a,b\n1,\n"","x,y"\n,\n'


def test_a_sheet_becomes_a_table() -> None:
    assert cleaned(workbook([["a", "b"], [1, "x"], [None, "y"]]), "x.xlsx") == "a,b\n1,x\n,y\n"
