"""The application of the API's tests, and browsers in front of it."""

import pytest
from starlette.testclient import TestClient

from bulk_pipeline_tests.integration.api.conftest import (
    ann,
    api,
    api_url,
    bob,
    cheap_hashes,
    new_person,
    settings,
)
from bulk_pipeline_tests.rigs.api import Person
from bulk_pipeline_tests.rigs.pages import Browser

__all__ = ["ann", "api", "api_url", "bob", "cheap_hashes", "new_person", "settings"]


@pytest.fixture
def browser(api: TestClient) -> Browser:
    """A browser in which nobody is signed in."""
    return Browser(api)


@pytest.fixture
def office(browser: Browser, ann: Person) -> Browser:
    """A browser in which Ann, who may import and export every table, is signed in."""
    browser.sign_in("ann@example.com")
    return browser
