"""What the environment says of how much one upload may cost: a part of `bulk_pipeline.settings.Settings`."""

from pydantic import Field
from pydantic_settings import BaseSettings


class BudgetSettings(BaseSettings):
    """One field per environment variable, of the same name in capitals."""

    bulk_max_rejected_rows: int = Field(
        default=1_000_000, ge=0, description="a file with more rejected rows fails before it is loaded"
    )
    bulk_max_report_bytes: int = Field(
        default=1_000_000_000, ge=0, description="about how large the reports of a file may be"
    )
    bulk_max_crashes: int = Field(
        default=2, ge=1, description="runs that may die of a file before its job fails"
    )
