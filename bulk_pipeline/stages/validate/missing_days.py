"""Sentences about dates that are written as they should be and name a day that does not exist, such as 31 February."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bulk_pipeline.arrow.masks import mask
from bulk_pipeline.schema import Column
from bulk_pipeline.stages.shown import shown

_DATE = r"\A\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"


def says_missing_day(column: Column, cells: pa.Array, iso: pa.Array, otherwise: pa.Array) -> pa.Array:
    """Return sentences for cells whose day does not exist, and `otherwise` for the others.

    `iso`: the same cells in ISO 8601, NULL or another text where they are none.
    """
    places = np.flatnonzero(mask(pc.match_substring_regex(iso, _DATE)))
    dates = iso.take(pa.array(places))
    months = pc.utf8_slice_codeunits(dates, 0, 7).to_numpy(zero_copy_only=False).astype("datetime64[M]")
    days = pc.utf8_slice_codeunits(dates, 8, 10).cast(pa.int64()).to_numpy()
    lengths = (months + np.timedelta64(1, "M")).astype("datetime64[D]") - months.astype("datetime64[D]")
    is_missing = days > lengths.astype(int)
    about = pc.binary_join_element_wise(
        f"{column.name} '",
        shown(cells.take(pa.array(places[is_missing]))),
        "' is a day that does not exist: its month has ",
        pa.array(lengths[is_missing].astype(int)).cast(pa.string()),
        " days",
        "",
    )
    missing = np.zeros(len(cells), bool)
    missing[places[is_missing]] = True
    return pc.replace_with_mask(otherwise, pa.array(missing), about)
