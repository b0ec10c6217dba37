"""One stack for all the tests of this folder, on one worker (see `shares`). Each leaves it healthy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_pipeline import stack as embedded
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import StackStatus
from bulk_pipeline_tests.acceptance.dagster_ui import DagsterUi
from bulk_pipeline_tests.acceptance.world import World, until
from bulk_pipeline_tests.plain_s3 import plain_client


@pytest.fixture(scope="session")
def running(stack: StackStatus) -> Iterator[World]:
    home = Path(stack.home)
    known = {name.lower(): value for name, value in embedded.environment(home).items()}
    stores = Stores(Settings.model_validate(known))
    client = plain_client(known["s3_endpoint_url"], known["s3_access_key"], known["s3_secret_key"])
    yield World(home, stores, client, DagsterUi(str(stack.dagster_url)))
    client.close()
    stores.close()


@pytest.fixture
def world(running: World) -> World:
    """The stack, whatever the test before has done to it."""
    until(lambda: embedded.status(running.home).healthy, "a healthy stack", seconds=120)
    return running
