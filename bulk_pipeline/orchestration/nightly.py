"""The partitions, the formats and the time of the nightly export, from the settings. Its schedule is in `jobs`."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from bulk_pipeline.errors import SettingsError
from bulk_pipeline.settings import Settings, read_settings
from bulk_pipeline.stages.export.formats import Compression, Format, compressions, extension

_FORMATS = {
    extension(format_, compression).removeprefix("."): (format_, compression)
    for format_ in Format
    for compression in compressions(format_)  # zstd comes last, and so is what is inside Parquet
}


def first_night(settings: Settings, today: date) -> date:
    """Return the first day that the UI shows: that of the settings, or the oldest whose exports are not yet deleted."""
    kept = timedelta(days=int(settings.bulk_export_retention_days))
    return min(settings.bulk_first_night or today - kept, today)


def nightly_formats(settings: Settings) -> list[tuple[Format, Compression]]:
    """Return the formats of a setting like `csv.gz, parquet`. Raises `SettingsError` with the possible ones."""
    names = [name.strip().removeprefix(".") for name in settings.bulk_nightly_export_formats.split(",")]
    for name in names:
        if name not in _FORMATS:
            raise SettingsError(f"BULK_NIGHTLY_EXPORT_FORMATS: {name!r} is not one of {', '.join(_FORMATS)}")
    return [_FORMATS[name] for name in dict.fromkeys(names)]


def nightly_cron() -> str:
    """Return the cron schedule of the nightly export, in UTC. Needs no server, for loading the code location."""
    return _SETTINGS.bulk_nightly_export_cron


_SETTINGS = read_settings(database_url="postgresql://")
NIGHTS = dg.DailyPartitionsDefinition(
    start_date=first_night(_SETTINGS, datetime.now(UTC).date()).isoformat(), end_offset=1
)
"""One partition per day, including today, for the night that began the day."""
