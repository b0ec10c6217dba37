"""The rigs of the integration tests as fixtures."""

from collections.abc import Iterator
from subprocess import CompletedProcess

import dagster as dg
import pytest
from pydantic import SecretStr

from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.command_here import run_here
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.pipeline import Command, Pipeline


@pytest.fixture(scope="session")
def whole_instance() -> Iterator[dg.DagsterInstance]:
    """One Dagster instance for all tests, since creating one takes as long as a job."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def instance(whole_instance: dg.DagsterInstance) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance, without runs."""
    yield whole_instance
    whole_instance.wipe()


@pytest.fixture
def pipeline(settings: Settings, instance: dg.DagsterInstance) -> Iterator[Pipeline]:
    stores = Stores(settings)
    yield Pipeline(stores, instance)
    stores.close()


@pytest.fixture
def exporting(settings: Settings, s3_client: s3.Client) -> Iterator[Exporting]:
    stores = Stores(settings)
    yield Exporting(stores, s3_client)
    stores.close()


@pytest.fixture
def command(settings: Settings) -> Command:
    """A function that runs `bulk-pipeline` in the test's process with the test's servers, words and environment."""
    named = {name: getattr(settings, name) for name in Settings.model_fields if "work" not in name}
    shown = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in named.items()
        if value is not None
    }
    environ = {name.upper(): value for name, value in shown.items()}

    def run(*words: object, **more: str) -> CompletedProcess[str]:
        done = run_here(environ | more, *words)
        return CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
