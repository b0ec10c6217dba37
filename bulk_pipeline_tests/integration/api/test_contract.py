"""The tests of each line of the contract with clients, and a test that the table is complete."""

from importlib import import_module

import pytest
from fastapi import FastAPI

from bulk_pipeline.api.app import create_app
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings

HERE = "bulk_pipeline_tests.integration.api"
FILE, WRONG, AGAIN = (
    "test_imports:TestAFileThatIsSent",
    "test_imports:TestWhatIsWrongWithAFile",
    "test_imports:TestTheSameRequestAgain",
)
LOOKING, FAILURES, URL = (
    "test_imports:TestLooking",
    "test_imports:TestTheFailures",
    "test_imports:TestAFileAtAUrl",
)

CONTRACT = {
    "GET /live 200": "test_health:test_a_database_that_is_down_is_named_and_the_process_lives",
    "GET /health 200": "test_health:test_all_is_well",
    "GET /health 503": "test_health:test_an_object_store_that_is_down_or_has_no_bucket_is_named",
    "GET /ready 200": "test_health:test_all_is_well",
    "GET /ready 503": "test_health:test_a_silent_daemon_is_named",
    "GET /metrics 200": "test_metrics:test_jobs_rows_and_failures_come_from_the_ledger",
    "POST /auth/register 200": "test_accounts:test_an_address_is_registered_in_lower_case",
    "POST /auth/register 400": "test_accounts:test_a_body_that_is_no_object_of_texts_is_refused",
    "POST /auth/register 403": "test_rights:test_registration_is_refused_if_it_is_closed",
    "POST /auth/register 409": "test_accounts:test_one_of_two_concurrent_registrations_gets_the_account",
    "POST /auth/register 413": "test_accounts:test_a_large_body_is_not_taken_in",
    "POST /auth/register 429": "test_login_limits:TestTheQueueOfHashes",
    "POST /auth/register 422": "test_accounts:test_a_bad_address_or_password_is_refused_without_being_repeated",
    "POST /auth/token 200": "test_accounts:test_a_token_says_whose_it_is_and_until_when",
    "POST /auth/token 400": "test_accounts:test_a_body_that_is_no_object_of_texts_is_refused",
    "POST /auth/token 401": "test_accounts:test_a_wrong_password_and_an_unknown_address_are_the_same_answer",
    "POST /auth/token 413": "test_accounts:test_a_large_body_is_not_taken_in",
    "POST /auth/token 422": "test_accounts:test_an_address_that_cannot_be_one_is_unknown_or_refused",
    "POST /auth/token 429": "test_accounts:test_after_too_many_failures_logins_are_refused_for_a_while test_login_limits:TestTheQueueOfHashes",
    "POST /imports 200": "test_customers:test_the_same_request_again_is_200_with_the_same_job",
    "POST /imports 201": "test_customers:test_a_good_file_is_pending_then_done",
    "POST /imports 400": "test_customers:test_the_order_of_the_checks",
    "POST /imports 401": "test_customers:test_the_order_of_the_checks",
    "POST /imports 403": "test_rights:test_a_file_that_may_not_be_imported_is_not_taken_in",
    "POST /imports 409": "test_customers:test_a_key_with_another_file_or_mode_is_409",
    "POST /imports 413": "test_customers:test_a_file_that_is_too_large_is_413",
    "POST /imports 422": "test_customers:test_the_order_of_the_checks",
    "POST /imports 503": "test_customers:test_a_store_that_is_down_is_503_and_the_key_may_be_used_again",
    "GET /imports/{job_id} 200": "test_customers:test_failed_means_that_a_row_was_rejected_and_the_good_ones_are_in",
    "GET /imports/{job_id} 401": "test_accounts:TestTokensThatAreNotGood",
    "GET /imports/{job_id} 404": "test_customers:test_a_job_is_its_owners",
    "GET /imports/{job_id} 422": "test_customers:test_a_job_is_its_owners",
    "GET /imports/{job_id}/errors 200": "test_customers:test_errors_are_a_link_that_needs_no_token",
    "GET /imports/{job_id}/errors 401": "test_customers:test_errors_of_a_job_that_has_none_yet_or_none_at_all",
    "GET /imports/{job_id}/errors 404": "test_customers:test_errors_of_a_job_that_has_none_yet_or_none_at_all",
    "GET /imports/{job_id}/errors 422": "test_customers:test_a_job_is_its_owners",
    "GET /imports/{job_id}/errors 409": "test_customers:test_errors_of_a_job_that_has_none_yet_or_none_at_all",
    "POST /api/v1/imports 202": f"{FILE} {AGAIN} {URL}",
    "POST /api/v1/imports 400": f"{WRONG} {URL}",
    "POST /api/v1/imports 401": f"{LOOKING}",
    "POST /api/v1/imports 403": "test_rights:test_a_file_that_may_not_be_imported_is_not_taken_in",
    "POST /api/v1/imports 409": f"{AGAIN}",
    "POST /api/v1/imports 413": f"{WRONG}",
    "POST /api/v1/imports 503": f"{WRONG} {URL}",
    "GET /api/v1/imports 200": "test_imports:TestTheList",
    "GET /api/v1/imports 400": "test_imports:TestTheList",
    "GET /api/v1/imports 401": f"{LOOKING}",
    "GET /api/v1/imports/{job_id} 200": f"{FILE} {LOOKING}",
    "GET /api/v1/imports/{job_id} 400": f"{LOOKING}",
    "GET /api/v1/imports/{job_id} 401": f"{LOOKING}",
    "GET /api/v1/imports/{job_id} 404": f"{LOOKING}",
    "GET /api/v1/imports/{job_id}/errors 200": f"{FAILURES}",
    "GET /api/v1/imports/{job_id}/errors 400": f"{FAILURES}",
    "GET /api/v1/imports/{job_id}/errors 401": f"{LOOKING}",
    "GET /api/v1/imports/{job_id}/errors 404": f"{FAILURES}",
    "GET /api/v1/imports/{job_id}/errors 409": f"{FAILURES}",
    "POST /api/v1/imports/{job_id}/cancel 202": "test_imports:test_a_cancelled_import_is_202_and_409_from_then_on",
    "POST /api/v1/imports/{job_id}/cancel 400": f"{LOOKING}",
    "POST /api/v1/imports/{job_id}/cancel 401": f"{LOOKING}",
    "POST /api/v1/imports/{job_id}/cancel 404": f"{LOOKING}",
    "POST /api/v1/imports/{job_id}/cancel 409": "test_imports:test_a_cancelled_import_is_202_and_409_from_then_on",
    "POST /api/v1/exports 202": "test_exports:test_a_request_is_a_pending_job test_exports:test_the_same_token_at_once_is_one_job",
    "POST /api/v1/exports 400": "test_exports:test_a_request_that_cannot_be_met_is_400",
    "POST /api/v1/exports 401": "test_exports:test_a_token_is_required_where_the_settings_say_so",
    "POST /api/v1/exports 403": "test_rights:TestAnAccountThatHasRegisteredItself",
    "POST /api/v1/exports 409": "test_exports:test_the_same_token_with_another_request_is_409",
    "POST /api/v1/exports 413": "test_accounts:test_a_large_body_is_not_taken_in",
    "GET /api/v1/exports 200": "test_exports:test_exports_are_listed_newest_first_page_by_page test_streams:test_both_doors_give_the_same_file",
    "GET /api/v1/exports 400": "test_exports:test_a_page_that_cannot_be_is_400 test_streams:test_a_request_that_cannot_be_streamed_is_400",
    "GET /api/v1/exports 401": "test_exports:test_a_token_is_required_where_the_settings_say_so",
    "GET /api/v1/exports 403": "test_rights:TestAnAccountThatHasRegisteredItself",
    "GET /api/v1/exports 429": "test_streams:test_more_streams_than_are_allowed_are_429_until_a_client_leaves_and_its_statement_ends",
    "GET /api/v1/exports 503": "test_streams:test_a_failure_before_the_first_byte_is_503",
    "GET /api/v1/exports/{resource}/stream 200": "test_streams:test_both_doors_give_the_same_file test_streams:test_a_stream_that_breaks_off_does_not_look_complete",
    "GET /api/v1/exports/{resource}/stream 400": "test_streams:test_a_request_that_cannot_be_streamed_is_400",
    "GET /api/v1/exports/{resource}/stream 401": "test_exports:test_a_token_is_required_where_the_settings_say_so",
    "GET /api/v1/exports/{resource}/stream 403": "test_rights:TestAnAccountThatHasRegisteredItself",
    "GET /api/v1/exports/{resource}/stream 429": "test_streams:test_more_streams_than_are_allowed_are_429_until_a_client_leaves_and_its_statement_ends",
    "GET /api/v1/exports/{resource}/stream 503": "test_streams:test_a_failure_before_the_first_byte_is_503",
    "GET /api/v1/exports/{export_id} 200": "test_exports:test_a_finished_job_says_where_its_file_is",
    "GET /api/v1/exports/{export_id} 400": "test_exports:test_a_job_that_is_not_there",
    "GET /api/v1/exports/{export_id} 401": "test_exports:test_a_token_is_required_where_the_settings_say_so",
    "GET /api/v1/exports/{export_id} 404": "test_exports:test_a_job_that_is_not_there",
    "GET /api/v1/exports/{export_id}/download 200": "test_exports:test_a_file_without_rows_has_its_header",
    "GET /api/v1/exports/{export_id}/download 307": "test_exports:test_a_finished_job_says_where_its_file_is",
    "GET /api/v1/exports/{export_id}/download 400": "test_exports:test_a_job_that_is_not_there",
    "GET /api/v1/exports/{export_id}/download 401": "test_exports:test_a_token_is_required_where_the_settings_say_so",
    "GET /api/v1/exports/{export_id}/download 403": "test_rights:test_a_right_that_is_taken_away_is_missing_at_once",
    "GET /api/v1/exports/{export_id}/download 404": "test_exports:test_a_download_before_the_end_is_409_and_of_nothing_404",
    "GET /api/v1/exports/{export_id}/download 409": "test_exports:test_a_download_before_the_end_is_409_and_of_nothing_404",
    "GET /api/v1/exports/{export_id}/download 410": "test_exports:test_a_download_of_expired_files_is_410",
    "POST /api/v1/exports/{export_id}/cancel 202": "test_exports:test_a_cancelled_job",
    "POST /api/v1/exports/{export_id}/cancel 400": "test_exports:test_a_job_that_is_not_there",
    "POST /api/v1/exports/{export_id}/cancel 401": "test_exports:test_a_token_is_required_where_the_settings_say_so",
    "POST /api/v1/exports/{export_id}/cancel 404": "test_exports:test_a_job_that_is_not_there",
    "POST /api/v1/exports/{export_id}/cancel 409": "test_exports:test_a_cancelled_job",
}  # fmt: skip
"""The tests of each call and answer, as `module:name`."""

EVERYWHERE = {"503"}
"""Every call reports an unavailable store alike, by one function in `problems`."""


@pytest.fixture
def application() -> FastAPI:
    known = {"database_url": "postgresql://nowhere", "api_jwt_secret": "a secret of thirty-two bytes or more"}
    return create_app(Stores(Settings.model_validate(known)))


def test_every_answer_of_every_call_has_its_test(application: FastAPI) -> None:
    document = application.openapi()
    declared = {
        f"{method.upper()} {path} {status}"
        for path, calls in document["paths"].items()
        for method, call in calls.items()
        for status in call["responses"]
    }
    missing = {line for line in declared - CONTRACT.keys() if line.rpartition(" ")[2] not in EVERYWHERE}
    assert (missing, CONTRACT.keys() - declared) == (set(), set())


@pytest.mark.parametrize("line", CONTRACT)
def test_the_tests_of_the_table_exist(line: str) -> None:
    for name in CONTRACT[line].split():
        module, _, test = name.partition(":")
        assert hasattr(import_module(f"{HERE}.{module}"), test)
