"""When all tables are exported, and how: from the settings, which say it in the names of files."""

import dagster as dg

from bulk_pipeline.errors import SettingsError
from bulk_pipeline.settings import Settings, read_settings
from bulk_pipeline.stages.export.formats import Compression, Format, extension

NIGHTS = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_offset=1)
"""One partition a day, today's among them: the night that began it."""

_FORMATS = {
    extension(format_, compression).removeprefix("."): (format_, compression)
    for format_ in Format
    for compression in Compression  # zstd comes last, and so is what is inside Parquet
}


def nightly_formats(settings: Settings) -> list[tuple[Format, Compression]]:
    """`csv.gz, parquet` for example. `SettingsError` names those there are."""
    names = [name.strip().removeprefix(".") for name in settings.bulk_nightly_export_formats.split(",")]
    for name in names:
        if name not in _FORMATS:
            raise SettingsError(f"BULK_NIGHTLY_EXPORT_FORMATS: {name!r} is none of {', '.join(_FORMATS)}")
    return [_FORMATS[name] for name in dict.fromkeys(names)]


def nightly_cron() -> str:
    """When it is night, in UTC. The code location is loaded without a server at hand."""
    return read_settings(database_url="postgresql://").bulk_nightly_export_cron
