"""One stack for the tests of this folder that do not start their own, on one worker (see `shares`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulk_pipeline import stack as embedded
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import StackStatus
from bulk_pipeline_tests.rigs.dagster_ui import DagsterUi
from bulk_pipeline_tests.rigs.plain_s3 import plain_client
from bulk_pipeline_tests.rigs.running_stack import RunningStack, until


@pytest.fixture(scope="session")
def running(stack: StackStatus) -> Iterator[RunningStack]:
    with reached(stack) as running:
        yield running


@contextmanager
def reached(stack: StackStatus) -> Iterator[RunningStack]:
    """The stack, with clients of its servers."""
    home = Path(stack.home)
    known = {name.lower(): value for name, value in embedded.environment(home).items()}
    stores = Stores(Settings.model_validate(known))
    client = plain_client(known["s3_endpoint_url"], known["s3_access_key"], known["s3_secret_key"])
    yield RunningStack(home, stores, client, DagsterUi(str(stack.dagster_url)))
    client.close()
    stores.close()


@pytest.fixture
def world(running: RunningStack) -> RunningStack:
    """The stack, restored to health after the previous test."""
    until(lambda: embedded.status(running.home).healthy, "a healthy stack", seconds=120)
    return running
