"""Columns that several tables share, so that they are written once."""

from bulk_pipeline.schema import Column, ColumnType, Generated, Mode

# As characters: Python's `re` and RE2, which both run the pattern, write code points above 0xFF in different ways.
_UNSEEN = "\x7f-\xa0\xad\u2000-\u206f\u3000\ufe00-\ufe0f\ufeff"
_MARKS = "\u3001-\u3004\u3008-\u3020\ufe10-\ufe6f\uff01-\uff0f\uff1a-\uff20"
_NOT_LOCAL = rf"\x00-\x20@,;:<>()\[\]\\\"«»{_UNSEEN}"
_NOT_DOMAIN = rf"\x00-,./:-@\[-\^`{{-\x7f«»{_UNSEEN}{_MARKS}"
_LETTER = f"[^{_NOT_DOMAIN}-]"
_LABEL = f"{_LETTER}(?:[^{_NOT_DOMAIN}]*{_LETTER})?"
_ADDRESS = rf"[^{_NOT_LOCAL}'`][^{_NOT_LOCAL}]*@(?:{_LABEL}\.)+{_LETTER}[^{_NOT_DOMAIN}]*{_LETTER}"


def id_column(*, required_in: tuple[Mode, ...] = ()) -> Column:
    return Column(name="id", type=ColumnType.UUID, generated=Generated.UUID, required_in=required_in)


def email() -> Column:
    """An address `local@domain.tld`: one @, a dot inside the domain, and nothing around it: no blank, quote, bracket,
    `mailto:`, and no punctuation behind it. Letters of every script are allowed."""
    return Column(
        name="email",
        required=True,
        max_length=320,
        pattern=_ADDRESS,
        pattern_name="an address like local@domain.tld",
    )


def created_at() -> Column:
    return Column(name="created_at", type=ColumnType.TIMESTAMP, generated=Generated.DEFAULT)


def updated_at() -> Column:
    return Column(name="updated_at", type=ColumnType.TIMESTAMP, generated=Generated.DEFAULT)
