"""The OpenAPI document names the tables that are served when it is asked for."""

from pathlib import Path
from typing import Annotated, Any

import fastapi
import pytest

from bulk_pipeline import tables
from bulk_pipeline.api import openapi
from bulk_pipeline.tables import registry as registries


def document(app: fastapi.FastAPI) -> tuple[Any, Any]:
    """Return the schema of the path's table, and its security."""
    call = app.openapi()["paths"]["/api/v1/{resource}"]["get"]
    return call["parameters"][0]["schema"]["enum"], call["security"]


@pytest.mark.usefixtures("restored")
def test_the_document_names_the_tables_of_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registries, "_LOOK_SECONDS", 0)
    app = fastapi.FastAPI()

    @app.get("/api/v1/{resource}", openapi_extra={"security": [{"token": []}]})
    def read(resource: Annotated[str, fastapi.Path(json_schema_extra=openapi.TABLE_NAME)]) -> str:
        return resource

    openapi.correct(app, token_required=False)
    (tmp_path / "tables").mkdir()
    tables.serve(tmp_path)
    for name in ("orders", "products"):
        (tmp_path / "tables" / f"{name}.yaml").write_text(f"name: {name}\ncolumns: {{id: {{type: uuid}}}}\n")
        for _ in range(2):
            names, security = document(app)
            assert (names[-1], security) == (name, [{"token": []}, {}])


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that are served by the test are not by the next one."""
    monkeypatch.setattr(registries, "_served", None)
