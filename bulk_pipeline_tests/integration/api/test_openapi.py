"""The API agrees with its own document: no request causes an internal error, and no answer contradicts its schema."""

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from schemathesis.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from bulk_pipeline.api.app import create_app
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.api import Person

CHECKS = [
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
PROBES = "/health|/ready|/metrics"
"""Their answers depend on Dagster, which does not run here; they have tests of their own."""


@pytest.fixture
def document(settings: Settings) -> Iterator[schemathesis.BaseSchema]:
    stores = Stores(settings.model_copy(update={"api_fetch_seconds": 1}))
    result = schemathesis.openapi.from_asgi("/openapi.json", create_app(stores))
    yield result.exclude(path_regex=PROBES)
    stores.close()


@pytest.mark.parametrize(
    ("has_token", "count"), [(True, 10), (False, 2)], ids=["with a token", "without one"]
)
def test_no_answer_contradicts_the_document(
    document: schemathesis.BaseSchema, ann: Person, subtests: pytest.Subtests, has_token: bool, count: int
) -> None:
    """Without schemathesis's plugin, which does not support this version of pytest."""
    headers = ann.headers if has_token else {}
    operations = [entry.ok() for entry in document.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        with subtests.test(operation.label):

            @examples(
                max_examples=count,
                deadline=None,
                database=None,
                phases=[Phase.explicit, Phase.generate],
                suppress_health_check=[
                    HealthCheck.too_slow,
                    HealthCheck.filter_too_much,
                    HealthCheck.data_too_large,
                ],
            )
            @given(case=operation.as_strategy())
            def conforms(case: schemathesis.Case) -> None:
                case.call_and_validate(headers=headers, checks=CHECKS)

            conforms()
