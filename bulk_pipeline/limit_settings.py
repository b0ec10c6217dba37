"""What the environment says of the bounds of an upload: a part of `bulk_pipeline.settings.Settings`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bulk_pipeline.limits import DEFAULT_LIMITS, Limits


class LimitSettings(BaseSettings):
    """One field per environment variable, of the same name in capitals. What each bounds: `bulk_pipeline.limits`."""

    model_config = SettingsConfigDict(env_file=None, env_ignore_empty=True, frozen=True, extra="ignore")

    bulk_max_cell_bytes: int = Field(
        default=DEFAULT_LIMITS.cell_bytes, ge=1, description="a row with a larger cell is rejected"
    )
    bulk_max_row_bytes: int = Field(
        default=DEFAULT_LIMITS.row_bytes, ge=1000, description="a larger row is rejected"
    )
    bulk_max_name_bytes: int = Field(
        default=DEFAULT_LIMITS.name_bytes, ge=1, description="a file with a longer column name is refused"
    )
    bulk_max_columns: int = Field(
        default=DEFAULT_LIMITS.columns, ge=1, description="a file with more columns is refused"
    )
    bulk_max_batch_bytes: int = Field(
        default=DEFAULT_LIMITS.batch_bytes,
        ge=1000,
        description="decoded bytes of rows that are held together",
    )
    bulk_max_unpacked_bytes: int = Field(
        default=DEFAULT_LIMITS.unpacked_bytes, ge=1, description="a file that unpacks to more is refused"
    )
    bulk_max_ratio: int = Field(
        default=DEFAULT_LIMITS.ratio,
        ge=1,
        description="decoded bytes per uploaded byte, from 100 MB on; a file with more is refused",
    )
    bulk_max_sheet_bytes: int = Field(
        default=DEFAULT_LIMITS.sheet_bytes, ge=1, description="an .xlsx file that unpacks to more is refused"
    )
    bulk_max_sheet_cells: int = Field(
        default=DEFAULT_LIMITS.sheet_cells,
        ge=1,
        description="a sheet that reaches over more cells is refused",
    )

    @property
    def limits(self) -> Limits:
        """The bounds as the parser takes them."""
        prefix = "bulk_max_"
        return Limits(
            **{
                name.removeprefix(prefix): getattr(self, name)
                for name in LimitSettings.model_fields
                if name.startswith(prefix)
            }
        )
