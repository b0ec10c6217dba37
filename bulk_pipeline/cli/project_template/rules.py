"""Rules about several cells of a row. A table file names one as `check: rules:listed_has_time`."""

import pandas as pd


def listed_has_time(rows: pd.DataFrame) -> pd.Series:
    """Return true for each row that keeps the rule. Unknown (NULL) counts as kept."""
    return (rows["state"] != "listed") | rows["listed_at"].notna()  # pyright: ignore[reportReturnType]
