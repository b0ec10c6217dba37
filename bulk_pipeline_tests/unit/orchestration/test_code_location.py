"""The definitions of a project merge into a Dagster project that exists, in Python and as a component."""

from pathlib import Path

import dagster as dg
import pytest
from dagster.components.core.package_entry import discover_entry_point_package_objects
from dagster.components.testing import create_defs_folder_sandbox
from dagster_shared.serdes.objects import EnvRegistryKey

import bulk_pipeline
from bulk_pipeline import tables
from bulk_pipeline.errors import SettingsError
from bulk_pipeline.tables import registry

# Dagster (1.13.27) copies sensors with a parameter, and reads defs.yaml with a function, that warn.
pytestmark = [
    pytest.mark.filterwarnings("ignore::dagster_shared.utils.warnings.BetaWarning"),
    pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated"),
]


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_served", None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop" / "tables").mkdir(parents=True)
    (tmp_path / "shop" / "tables" / "orders.yaml").write_text("name: orders\ncolumns: {id: {type: uuid}}\n")
    return tmp_path / "shop"


def keys(definitions: dg.Definitions) -> set[str]:
    return {spec.key.to_user_string() for spec in definitions.resolve_all_asset_specs()}


def test_a_project_merges_into_one_that_has_the_usual_resources(project: Path) -> None:
    @dg.asset
    def theirs() -> None: ...

    own = dg.Definitions(
        assets=[theirs],
        resources={"io_manager": dg.mem_io_manager, "s3": dg.ResourceDefinition.none_resource()},
    )

    merged = dg.Definitions.merge(own, bulk_pipeline.build_definitions(project=project))

    dg.Definitions.validate_loadable(merged)
    assert keys(merged) > {"theirs"}
    assert any("orders" in key for key in keys(merged))
    assert {job.name for job in merged.resolve_all_job_defs()} >= {"import_files", "export_table"}
    assert tables.names() == ("orders",)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has no folder tables: create it, or name another folder"):
        bulk_pipeline.build_definitions(project=tmp_path)


def test_dg_knows_the_component() -> None:
    found = discover_entry_point_package_objects()
    assert found[EnvRegistryKey(namespace="bulk_pipeline", name="BulkPipeline")] is bulk_pipeline.BulkPipeline


@pytest.mark.parametrize("is_relative", [True, False])
def test_the_component_builds_the_same_from_defs_yaml(project: Path, is_relative: bool) -> None:
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(component_cls=bulk_pipeline.BulkPipeline, defs_path="shop")
        named = str(project)
        if is_relative:
            project.rename(path / "project")
            named = "project"
        (path / "defs.yaml").write_text(
            f"type: bulk_pipeline.BulkPipeline\nattributes: {{project: {named}}}\n"
        )
        with sandbox.load_component_and_build_defs(defs_path=Path("shop")) as (component, definitions):
            assert isinstance(component, bulk_pipeline.BulkPipeline)
            built = keys(definitions)
    assert built == keys(bulk_pipeline.build_definitions())
    assert tables.names() == ("orders",)


def test_the_package_itself_imports_no_dagster() -> None:
    assert {"BulkPipeline", "build_definitions", "__version__"} <= set(dir(bulk_pipeline))
    with pytest.raises(AttributeError, match="module 'bulk_pipeline' has no attribute 'nothing'"):
        _ = bulk_pipeline.nothing
