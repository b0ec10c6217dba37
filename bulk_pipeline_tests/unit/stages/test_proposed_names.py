"""Names of a file for columns that it lacks, and the code page of text that is not UTF-8."""

import io

import pytest

from bulk_pipeline.schema import NOTHING_DECLARED, Column, Generated, Table, UploadFormat
from bulk_pipeline.stages.parse import Upload, open_upload
from bulk_pipeline.stages.proposals.code_pages import CodePage, code_page
from bulk_pipeline.stages.proposals.names import aliases
from bulk_pipeline_tests.unit.stages.parse.workbook import workbook

ORDERS = Table(
    name="orders",
    columns=(
        Column(name="order_no"),
        Column(name="amount"),
        Column(name="first_name"),
        Column(name="last_name"),
        Column(name="total", generated=Generated.ALWAYS),
    ),
)


@pytest.mark.parametrize(
    ("header", "columns", "sentences"),
    [
        (["Order No", "amounts", "first_name"], {"amounts": "amount"}, []),
        (["amount", "amounts", "city"], {}, []),
        (["amount net", "amount gross"], {}, ["amount may be 'amount net' or 'amount gross': say which with --column"]),
        (["first_name last_name"], {},
         ["first_name may be 'first_name last_name': say which with --column",
          "last_name may be 'first_name last_name': say which with --column"]),
        (["totals", "", "id"], {}, []),
        (["Notes on amount"], {}, []),
    ],
)  # fmt: skip
def test_a_name_stands_for_the_only_missing_column_that_it_is_near(
    header: list[str], columns: dict[str, str], sentences: list[str]
) -> None:
    declared = UploadFormat(columns=(("Notes on amount", "-"),))
    assert aliases(header, ORDERS, declared) == (columns, sentences)


def found(data: bytes, name: str = "t.csv") -> CodePage:
    def open_(table: Table | None, declared: UploadFormat) -> Upload:
        return open_upload(io.BytesIO(data), name, table=table, declared=declared)

    return code_page(open_, NOTHING_DECLARED)


@pytest.mark.parametrize(
    ("text", "page", "shown"),
    [
        ("Müller", "cp1252", "'Müller' and all other letters are German"),
        ("GRÖSSE – 5 €", "cp1252", "'GRÖSSE' and all other letters are German"),
        ("ça, André", "cp1252", "'ça' and all other letters are French"),
        ("Müller", "cp850", "'Müller' and all other letters are German"),
        ("Größe", "mac_roman", "'Größe' and all other letters are German"),
        ("l’élève a noël à la tête, ça", "cp1252", "'l’élève' and all other letters are French"),
        ("mañana, así", "cp1252", "'mañana' and all other letters are Spanish"),
        ("Løkke Åse Ærø", "cp1252", "'Løkke' and all other letters are Danish or Norwegian"),
        ("Łódź zażółć gęślą jaźń", "cp1250", "'Łódź' and all other letters are Polish"),
        ("Łódź zażółć gęślą jaźń", "iso8859-2", "'Łódź' and all other letters are Polish"),
        ("Привет, Москва", "koi8-r", "'Привет' and all other letters are Russian"),
        ("Привет, Москва", "cp866", "'Привет' and all other letters are Russian"),
        ("Отчет, товары, клиент", "cp1251", "'Отчет' and all other letters are Russian"),
    ],
)
def test_a_code_page_is_proposed_if_only_in_it_the_letters_are_a_language(
    text: str, page: str, shown: str
) -> None:
    proposed = found(f"a;b\nx;1\n{text};2\n".encode(page))
    assert proposed == CodePage(page, f"row 2 is not UTF-8; only so {shown}")


@pytest.mark.parametrize(
    ("text", "page", "evidence"),
    [
        ("è", "cp1252",
         "row 1 is not UTF-8, and no cell shows its code page: 'è' in cp1252 is 'č' in cp1250: give --encoding"),
        ("İstanbul ığdır şişli", "cp1254",
         "row 1 is not UTF-8, and no cell shows its code page: 'Ýstanbul' in cp1252 is 'İstanbul' in cp1254: "
         "give --encoding"),
        ("José Müller Ødegård", "cp1252",
         "row 1 is not UTF-8, and in no code page its letters are those of one language: give --encoding"),
    ],
)  # fmt: skip
def test_no_code_page_is_proposed_if_two_fit_or_none(text: str, page: str, evidence: str) -> None:
    assert found(f"a;b\n{text};1\n".encode(page)) == CodePage(None, evidence)


def test_a_header_may_show_the_code_page() -> None:
    evidence = "the header is not UTF-8; only so 'größe' and all other letters are German"
    assert found("größe;b\n1;2\n".encode("cp1252")) == CodePage("cp1252", evidence)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("a;b\nMüller;1\n".encode(), "t.csv"),
        ("a;b\nMüller;1\n".encode("utf-8-sig"), "t.csv"),
        ("a;b\nMüller;1\n".encode("utf-16"), "t.csv"),
        (b"a;b\nx;1\n", "t.csv"),
        (workbook([["a"], ["Müller"]]), "t.xlsx"),
        ('{"a": "Müller"}\n'.encode(), "t.ndjson"),
    ],
)
def test_unicode_needs_no_code_page(data: bytes, name: str) -> None:
    assert found(data, name) == CodePage(None, None)
