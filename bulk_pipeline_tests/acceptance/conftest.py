"""One stack for all the tests of this folder, on one worker (see `shares`). Each leaves it healthy."""

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from bulk_pipeline import stack as embedded
from bulk_pipeline.orchestration.stores import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import StackStatus
from bulk_pipeline_tests.acceptance.dagster_ui import DagsterUi
from bulk_pipeline_tests.acceptance.world import World, until


@pytest.fixture(scope="session")
def running(stack: StackStatus) -> Iterator[World]:
    home = Path(stack.home)
    known = {name.lower(): value for name, value in embedded.environment(home).items()}
    stores = Stores(Settings.model_validate(known))
    client = boto3.client(
        "s3",
        endpoint_url=stack.s3.endpoint_url,
        aws_access_key_id=stack.s3.access_key,
        aws_secret_access_key=stack.s3.secret_key,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    yield World(home, stores, client, DagsterUi(str(stack.dagster_url)))
    client.close()
    stores.close()


@pytest.fixture
def world(running: World) -> World:
    """The stack, whatever the test before has done to it."""
    until(lambda: embedded.status(running.home).healthy, "a healthy stack", seconds=120)
    return running
