"""The notations of numbers, dates and times that are tried on the cells of a file."""

from itertools import product

from bulk_pipeline.schema import UploadFormat

MARKS = tuple(
    UploadFormat(decimal=decimal, thousands=thousands or None)
    for decimal, thousands in product(".,", ["", ".", ",", "'", " "])
    if decimal != thousands and (decimal, thousands) != (".", "")
)
DATES = (
    *(pattern.replace("-", mark) for pattern in ("DD-MM-YYYY", "MM-DD-YYYY") for mark in "./- "),
    *(pattern.replace("-", mark) for pattern in ("D-M-YYYY", "M-D-YYYY") for mark in "./- "),
    "YYYY/MM/DD", "YYYY.MM.DD", "YYYYMMDD", "DD-MMM-YYYY", "D MMM YYYY", "MMM D, YYYY",
)  # fmt: skip
CLOCKS = ("HH:mm", "HH:mm:ss", "HH:mm:ss.S", "H:mm", "H:mm:ss", "hh:mm A", "h:mm A", "h:mm:ss A", "HH.mm")
