"""The project folder that commands write declarations into."""

from pathlib import Path

from bulk_pipeline import tables
from bulk_pipeline.errors import SettingsError


def project_folder() -> Path:
    """Return the folder of the project. Raises `SettingsError` if there is none."""
    project = tables.served().project
    if project is None:
        raise SettingsError(
            "there is no project here: create one with bulk-pipeline init, or name it in BULK_PROJECT"
        )
    return project
