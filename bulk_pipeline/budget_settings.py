"""What the environment says of how much one upload may cost: a part of `bulk_pipeline.settings.Settings`."""

from pydantic import Field
from pydantic_settings import BaseSettings


class BudgetSettings(BaseSettings):
    """One field per environment variable, of the same name in capitals."""

    bulk_max_crashes: int = Field(
        default=2, ge=1, description="runs that may die of a file before its job fails"
    )
