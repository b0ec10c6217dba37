"""`make defences`: removes each defence of SECURITY.md in a copy of the project, and checks that its test fails.

The test must pass with the defence and fail without it.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_TESTS_FAILED = 1
"""pytest's exit code for failed tests; others mean that it could not run them."""


@dataclass(frozen=True)
class Defence:
    """A defence: `text` occurs once in `file`, and `instead` in its place disables it. `test` is in the tests' folder."""

    name: str
    test: str
    file: str
    text: str
    instead: str


DEFENCES = (
    Defence(
        "values are SQL literals",
        "integration/rows/test_snapshots.py::test_every_filter_finds_what_it_says",
        "bulk_pipeline/rows/export_sql.py",
        "sql.Literal(str(value))",
        """sql.SQL("'" + str(value) + "'")""",
    ),
    Defence(
        "names are escaped and shown on one line",
        "unit/test_printable.py",
        "bulk_pipeline/printable.py",
        "character if character.isprintable() else repr(character)[1:-1]",
        "character",
    ),
    Defence(
        "names are not parsed as terminal markup",
        "unit/cli/test_output.py",
        "bulk_pipeline/cli/output.py",
        "return Text(shown, style=",
        "return Text.from_markup(shown, style=",
    ),
    Defence(
        "archived names have safe characters only",
        "unit/ledger/test_upload_keys.py::test_archived_names_are_harmless_and_keep_their_ending",
        "bulk_pipeline/ledger/upload_keys.py",
        '_UNSAFE.sub("_", key.rpartition("/")[2])',
        "key",
    ),
    Defence(
        "formulas in errors.csv are defused",
        "unit/stages/report/test_report.py::test_no_cell_of_errors_csv_begins_like_a_formula_and_nothing_is_lost",
        "bulk_pipeline/stages/report/reports.py",
        "defused(decoded(rows",
        "(decoded(rows",
    ),
    Defence(
        "metrics have a separate port",
        "integration/api/test_metrics_port.py::test_each_port_serves_its_own_paths_only",
        "bulk_pipeline/api/app.py",
        "if stores.settings.metrics_port is None:",
        "if True:",
    ),
    Defence(
        "unpacking stops at a ratio",
        "unit/stages/parse/test_packed.py::test_a_bomb_stops_at_its_cap",
        "bulk_pipeline/stages/parse/compression.py",
        "if decoded_bytes > limits.ratio_from_bytes and decoded_bytes > limits.ratio * uploaded_bytes:",
        "if decoded_bytes < 0:",
    ),
    Defence(
        "only listed encodings are accepted",
        "unit/schema/test_code_pages.py",
        "bulk_pipeline/schema/code_pages.py",
        "name = _NAMES.get(_normal(declared))",
        "name = aliases.get(_normal(declared), _normal(declared))",
    ),
    Defence(
        "names are counted before they are processed",
        "unit/api/test_request_sizes.py::test_more_names_than_the_table_has_columns_are_refused_before_they_are_processed",
        "bulk_pipeline/schema/selection.py",
        "if len(names) > len(table.columns):",
        "if not names:",
    ),
    Defence(
        "a filter is parsed in one pass",
        "unit/api/test_request_sizes.py::test_cost_grows_with_the_length_of_a_request_and_no_faster",
        "bulk_pipeline/schema/filters.py",
        """\\s*+({_QUOTED}|[^',()][^,()]*+|)\\s*+""",
        """\\s*({_QUOTED}|[^',()][^,()]*|)\\s*""",
    ),
    Defence(
        "writes are accepted from our own pages only",
        "integration/api/test_browsers.py::test_a_write_of_another_site_does_nothing",
        "bulk_pipeline/browsers.py",
        "    if method in _READS:",
        "    if method:",
    ),
    Defence(
        "the Host must be a name of the server",
        "unit/test_browsers.py::test_any_other_name_is_421",
        "bulk_pipeline/browsers.py",
        "if host is None or not (host in hosts or _is_address(host)):",
        "if not named:",
    ),
    Defence(
        "Dagster's webserver has the same guard",
        "unit/orchestration/launch/test_webserver.py::test_requests_of_another_page_are_not_executed",
        "bulk_pipeline/orchestration/launch/webserver.py",
        "        app.add_middleware(Guard, hosts=hosts, is_write=is_write)\n",
        "",
    ),
    Defence(
        "forms carry a token of their session",
        "integration/office/test_signing_in.py::TestFormTokens",
        "bulk_pipeline/office/visits.py",
        "hmac.compare_digest(told.encode(), expected.encode())",
        "bool(expected)",
    ),
    Defence(
        "pages run nothing but our own files",
        "integration/office/test_signing_in.py::TestOtherPages",
        "bulk_pipeline/office/pages.py",
        "\"default-src 'none'; style-src 'self'; script-src 'self';",
        "\"default-src 'self'; style-src 'self'; script-src 'unsafe-inline';",
    ),
    Defence(
        "sessions end with their account",
        "integration/office/test_signing_in.py::TestTheEndOfASession",
        "bulk_pipeline/ledger/sessions.py",
        "      AND session.token_generation = account.token_generation\n      AND account.disabled_at IS NULL\n",
        "",
    ),
    Defence(
        "a session has a new token at sign-in",
        "integration/office/test_signing_in.py::test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites",
        "bulk_pipeline/office/signing_in.py",
        "set_cookie(answer, request, settings, await run_in_threadpool(stores.sessions.start, account))",
        "set_cookie(answer, request, settings, visit.token)",
    ),
    Defence(
        "the database has hashes of session tokens",
        "integration/office/test_signing_in.py::test_the_database_has_no_token",
        "bulk_pipeline/ledger/sessions.py",
        'hashlib.sha256(token.encode("utf-8", "replace")).digest()',
        'token.encode("utf-8", "replace")',
    ),
    Defence(
        "answers have security headers",
        "integration/api/test_browsers.py::test_every_answer_has_the_headers_that_browsers_obey",
        "bulk_pipeline/browsers.py",
        'added = HEADERS | self._headers(scope["path"])',
        "added = dict[str, str]()",
    ),
    Defence(
        "streams are limited per caller",
        "integration/api/test_streams.py::test_one_caller_does_not_hold_all_streams",
        "bulk_pipeline/api/streams.py",
        "if self._callers[caller] >= settings.api_max_streams_per_caller:",
        "if False:",
    ),
    Defence(
        "the head of a request is limited to 64 kB",
        "integration/api/test_connections.py::test_a_head_without_end_is_refused_and_not_held",
        "bulk_pipeline/api/connections.py",
        "if was_in_head and self._is_in_head:",
        "if False:",
    ),
    Defence(
        "a silent connection is closed",
        "integration/api/test_connections.py::test_a_connection_that_says_nothing_more_ends",
        "bulk_pipeline/api/connections.py",
        "self.loop.call_later(self.head_seconds, self.transport.close)",
        "self.loop.call_later(3600, self.transport.close)",
    ),
    Defence(
        "work ends when its client disconnects",
        "integration/api/test_disconnects.py::test_a_request_that_waits_for_a_thread_ends_with_its_client",
        "bulk_pipeline/api/disconnects.py",
        "            self._work.cancel()",
        "            pass",
    ),
    Defence(
        "a fetch ends when its client disconnects",
        "integration/api/test_disconnects.py::test_a_fetch_ends_with_its_client",
        "bulk_pipeline/web/network.py",
        "            self._check()\n            try:\n                return self._stream.read(",
        "            try:\n                return self._stream.read(",
    ),
    Defence(
        "a body is limited to 64,000 bytes",
        "integration/api/test_accounts.py::test_a_large_body_is_not_taken_in",
        "bulk_pipeline/api/middleware.py",
        'if received_bytes > MOST_BODY_BYTES and not state.get("counts_its_body"):',
        "if taken < 0:",
    ),
    Defence(
        "URLs lead to public addresses only",
        "unit/web/test_public_addresses.py",
        "bulk_pipeline/web/public_addresses.py",
        "if not private_too and not all(map(is_public, addresses)):",
        "if False:",
    ),
    Defence(
        "webhooks lead to public addresses only",
        "integration/test_notifications.py::test_a_private_address_is_refused_unless_it_is_allowed",
        "bulk_pipeline/web/post.py",
        "CheckedNetwork(seconds=seconds, private_too=private_too,",
        "CheckedNetwork(seconds=seconds, private_too=True,",
    ),
    Defence(
        "messages quote no cell",
        "integration/test_notifications.py::test_a_file_with_rejected_rows_is_told_in_words_and_counts_without_a_cell",
        "bulk_pipeline/pipeline/notices.py",
        "    said = failure.message if with_values else _without_values(table, failure)",
        "    said = failure.message",
    ),
    Defence(
        "the form of corrections carries a token of its session",
        "integration/office/test_corrections.py::TestFormsThatAreSentTwice",
        "bulk_pipeline/office/uploads.py",
        "    check_form(request, visit, form)\n\n    def send() -> Response:",
        "    def send() -> Response:",
    ),
    Defence(
        "URLs lead to allowed ports only",
        "integration/web/test_fetch.py::test_only_allowed_ports_are_connected_to_also_after_a_redirect",
        "bulk_pipeline/web/fetch.py",
        "if port_of(url) not in limits.ports:",
        "if False:",
    ),
    Defence(
        "an internal host is refused like an unknown one",
        "unit/web/test_public_addresses.py::test_internal_hosts_are_not_revealed",
        "bulk_pipeline/web/public_addresses.py",
        "        raise RemoteFileError(refusal)\n",
        '        raise RemoteFileError(f"the host {host!r} is inside")\n',
    ),
    Defence(
        "redirects are checked too",
        "integration/web/test_fetch.py::test_a_redirect_to_a_private_address_is_refused_before_a_request",
        "bulk_pipeline/web/public_addresses.py",
        "if not private_too and not all(map(is_public, addresses)):",
        "if False:",
    ),
    Defence(
        "tokens are signed, and expire",
        "integration/api/test_accounts.py::TestTokensThatAreNotGood",
        "bulk_pipeline/api/tokens.py",
        'options={"require": ["sub", "iat", "exp"]},',
        'options={"verify_signature": False},',
    ),
    Defence(
        "login attempts are rate-limited",
        "integration/api/test_accounts.py::test_after_too_many_failures_logins_are_refused_for_a_while",
        "bulk_pipeline/ledger/login_limits.py",
        "if seconds is None:",
        "if True:",
    ),
    Defence(
        "failures count by account and client together",
        "integration/api/test_login_limits.py::test_strangers_do_not_lock_the_owner_out",
        "bulk_pipeline/ledger/login_limits.py",
        "WHERE is_of_account AND is_of_client",
        "WHERE is_of_account",
    ),
    Defence(
        "a client's failures count over all accounts",
        "integration/api/test_login_limits.py::test_a_client_that_tries_many_accounts_is_refused_at_all",
        "bulk_pipeline/ledger/login_limits.py",
        "FROM recent WHERE is_of_client\n",
        "FROM recent WHERE false\n",
    ),
    Defence(
        "an account under attack allows each client two tries",
        "integration/api/test_login_limits.py::test_guesses_from_many_clients_slow_each_down_and_lock_no_owner_out",
        "bulk_pipeline/ledger/login_limits.py",
        "THEN %(failures)s ELSE %(failures_of_attacked)s END",
        "THEN %(failures)s ELSE %(failures)s END",
    ),
    Defence(
        "X-Forwarded-For is trusted from known proxies only",
        "integration/api/test_login_limits.py::TestTheAddressOfAClient",
        "bulk_pipeline/api/app.py",
        "trusted_hosts=stores.settings.trusted_proxies",
        'trusted_hosts="*"',
    ),
    Defence(
        "the queue of hashes is bounded",
        "integration/api/test_login_limits.py::TestTheQueueOfHashes",
        "bulk_pipeline/api/hashing.py",
        "if self._places.total() >= HASHED_AT_A_TIME + WAITING or",
        "if",
    ),
    Defence(
        "registration can be closed",
        "integration/api/test_rights.py::test_registration_is_refused_if_it_is_closed",
        "bulk_pipeline/api/accounts.py",
        'if settings.api_registration == "closed":',
        "if False:",
    ),
    Defence(
        "imports and exports need a right per table",
        "integration/api/test_rights.py::TestAnAccountThatHasRegisteredItself",
        "bulk_pipeline/rights.py",
        "return EVERY_TABLE in tables or table in tables",
        "return True",
    ),
    Defence(
        "a download needs the right to export",
        "integration/api/test_rights.py::test_a_right_that_is_taken_away_is_missing_at_once",
        "bulk_pipeline/api/exports.py",
        "    check_export(caller, job.table)\n",
        "",
    ),
    Defence(
        "exports have owners",
        "integration/api/test_rights.py::test_two_accounts_do_and_see_exactly_what_their_rights_allow",
        "bulk_pipeline/api/exports.py",
        "if not viewer(caller).sees(job.owner_id):",
        "if False:",
    ),
    Defence(
        "tokens become invalid with their account",
        "integration/api/test_rights.py::TestTheTokensOfAnAccount",
        "bulk_pipeline/api/tokens.py",
        'if decoded["header"].get(_GENERATION, 0) != account.token_generation:',
        "if False:",
    ),
    Defence(
        "a job is visible to its owner only",
        "integration/api/test_customers.py::test_a_job_is_its_owners",
        "bulk_pipeline/api/customers.py",
        "if job.table != _TABLE or not viewer(account).sees(job.owner_id):",
        "if job.table != _TABLE:",
    ),
    Defence(
        "links expire, and are for one file",
        "integration/s3/test_objects.py::test_a_presigned_url_ends",
        "bulk_pipeline/s3/objects.py",
        "ExpiresIn=seconds)",
        "ExpiresIn=3600)",
    ),
    Defence(
        "the S3 server's certificate is verified",
        "integration/test_tls.py::TestS3",
        "bulk_pipeline/s3/client.py",
        "verify=str(settings.s3_ca_bundle) if settings.s3_ca_bundle else None,",
        "verify=False,",
    ),
    Defence(
        "an invalid database URL is not quoted",
        "unit/test_secrets.py::test_a_password_with_unescaped_characters_is_not_shown",
        "bulk_pipeline/postgres/connection.py",
        "    except psycopg.ProgrammingError:\n        raise SettingsError(_UNREADABLE) from None",
        "    except psycopg.ProgrammingError as error:\n        raise SettingsError(str(error)) from error",
    ),
    Defence(
        "secrets are in no repr",
        "unit/test_secrets.py::test_no_repr_shows_a_secret",
        "bulk_pipeline/stack/objects.py",
        "secret_key: str = field(repr=False)",
        "secret_key: str = field()",
    ),
    Defence(
        "logs hold messages of trusted exceptions only",
        "unit/test_traces.py",
        "bulk_pipeline/traces.py",
        "_HARMLESS = (BulkPipelineError,",
        "_HARMLESS = (Exception, BulkPipelineError,",
    ),
    Defence(
        "the reader's role cannot write",
        "integration/postgres/test_roles.py::test_a_role_cannot_do_what_it_must_not",
        "sql/grants.sql",
        "EXECUTE format('GRANT SELECT ON public.%I TO bulk_reader', name);",
        "EXECUTE format('GRANT SELECT, DELETE ON public.%I TO bulk_reader', name);",
    ),
    Defence(
        "an uploader can only put",
        "integration/test_policies.py::test_a_user_may_do_what_its_policy_says_and_nothing_else",
        "ops/policies/uploader.json",
        '"s3:PutObject", ',
        '"s3:PutObject", "s3:GetObject", "s3:DeleteObject", ',
    ),
    Defence(
        "a cancel takes effect at the next batch",
        "integration/test_cancel.py::test_an_op_stops_before_its_next_batch",
        "bulk_pipeline/pipeline/job_hold.py",
        "self._heartbeats[job.id].check(job.id)",
        "pass",
    ),
    Defence(
        "a run's memory has a hard limit",
        "unit/pipeline/test_run_memory.py::test_an_allocation_above_the_limit_is_refused",
        "bulk_pipeline/pipeline/run_memory.py",
        "    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))",
        "    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))",
    ),
    Defence(
        "a file that needs too much memory fails alone",
        "integration/test_run_memory.py",
        "bulk_pipeline/pipeline/run_memory.py",
        "            if not is_out_of_memory(error):",
        "            if error is not None:",
    ),
    Defence(
        "a file that crashes its process fails soon",
        "integration/test_crashes.py::test_a_file_that_ends_its_process_twice_fails_and_says_so",
        "bulk_pipeline/ledger/leases.py",
        "if is_crash and self._is_last_crash(connection, job):",
        "if is_crash and not self._is_last_crash:",
    ),
    Defence(
        "work files have a limit",
        "integration/test_work_budget.py::test_too_much_fails_the_job",
        "bulk_pipeline/pipeline/work_watch.py",
        "if size_bytes > self._most_bytes:",
        "if size_bytes < 0:",
    ),
    Defence(
        "no work starts on a disk that is nearly full",
        "integration/test_full_disk.py::test_a_run_does_not_begin_with_too_little_space",
        "bulk_pipeline/orchestration/import_ops.py",
        "    stores.disk.check()\n",
        "",
    ),
    Defence(
        "no run is started on a full disk",
        "integration/test_full_disk.py::test_with_too_little_space_no_run_is_requested_and_no_attempt_used_up",
        "bulk_pipeline/orchestration/sensors.py",
        "_disk_problem(stores) if intake.requests else None",
        "None",
    ),
    Defence(
        "folders of dead parsers are removed",
        "unit/stages/parse/test_spool.py",
        "bulk_pipeline/stages/parse/spool.py",
        "            shutil.rmtree(spool)\n",
        "            return False\n",
    ),
    Defence(
        "folders of living parsers are locked",
        "unit/stages/parse/test_spool.py",
        "bulk_pipeline/stages/parse/spool.py",
        "            fcntl.flock(self._lock, fcntl.LOCK_EX)\n",
        "",
    ),
    Defence(
        "files of a dead parser are removed with its job",
        "integration/test_work_files_go.py::test_unpacked_files_of_a_dead_parser_are_removed_with_its_job",
        "bulk_pipeline/orchestration/import_ops.py",
        "spool_dir=work.area(job.id, job.attempt).folder,",
        "",
    ),
    Defence(
        "a line is cut at the limit of a row",
        "unit/stages/parse/test_limits.py::test_a_line_longer_than_a_row_may_be_is_one_rejected_row",
        "bulk_pipeline/stages/parse/csv/tolerant.py",
        "if stop - start > limits.row_bytes:",
        "if stop < start:",
    ),
    Defence(
        "cells beyond the limit of columns are not split",
        "unit/stages/parse/test_limits.py::test_a_row_of_very_many_cells_is_rejected_whether_they_are_quoted_or_not",
        "bulk_pipeline/stages/parse/csv/scanner.py",
        "if len(found) == self._limits.columns:",
        "if len(found) < 0:",
    ),
    Defence(
        "columns and names have limits",
        "unit/stages/parse/test_limits.py::test_more_columns_and_longer_names_than_the_bounds_are_refused",
        "bulk_pipeline/stages/parse/header_match.py",
        "if 4 * len(name) > limits.name_bytes <",
        "if 4 * len(name) < 0 <",
    ),
    Defence(
        "values of an object are counted before it is read",
        "unit/stages/parse/json/test_bounds.py::test_an_object_past_a_bound_is_too_long_and_costs_itself",
        "bulk_pipeline/stages/parse/json/bounds.py",
        "return min(limits.row_values, limits.cell_bytes)",
        "return 1 << 60",
    ),
    Defence(
        "keys of an object have limits",
        "unit/stages/parse/json/test_bounds.py::test_an_object_past_a_bound_is_too_long_and_costs_itself",
        "bulk_pipeline/stages/parse/json/objects.py",
        "long = len(item) > least and oversize_object(row, item, self._limits)",
        "long = None",
    ),
    Defence(
        "a sheet's header has the same limits",
        "unit/stages/parse/xlsx/test_bounds.py::test_more_columns_and_longer_names_than_the_bounds_are_refused",
        "bulk_pipeline/stages/parse/xlsx/header.py",
        "    names = words(first[at])\n    header_match.refuse_oversize(names, len(names), limits)\n    columns",
        "    names = words(first[at])\n    columns",
    ),
    Defence(
        "tags of a workbook have a limit",
        "unit/stages/parse/xlsx/test_bounds.py::test_a_workbook_that_no_spreadsheet_program_writes_is_refused",
        "bulk_pipeline/stages/parse/xlsx/package.py",
        "if size - parser.CurrentByteIndex > _TOKEN_BYTES + _PIECE_BYTES:",
        "if size < 0:",
    ),
    Defence(
        "shared texts count in every row of a sheet",
        "unit/stages/parse/xlsx/test_bounds.py::test_a_row_of_texts_that_are_too_long_together_is_rejected",
        "bulk_pipeline/stages/parse/xlsx/reader.py",
        "if 4 * characters > min(limits.cell_bytes, limits.row_bytes):",
        "if characters < 0:",
    ),
    Defence(
        "a zip's directory is measured before it is read",
        "unit/stages/parse/xlsx/test_bounds.py::test_a_directory_of_endless_names_is_refused_before_it_is_read",
        "bulk_pipeline/stages/parse/archives.py",
        "if size > _MOST_DIRECTORY_BYTES:",
        "if size < 0:",
    ),
    Defence(
        "later members of a packed file are read in small pieces",
        "unit/stages/parse/test_packed.py::test_very_many_empty_members_are_fed_little_more_than_their_bytes",
        "bulk_pipeline/stages/parse/compression.py",
        "members + 1, _SHORT_MEMBER_BYTES",
        "members + 1, READ_BYTES",
    ),
    Defence(
        "batches of Parquet rows are cut by decoded size",
        "unit/stages/parse/parquet/test_memory.py::test_slices_keep_rows_and_their_numbers",
        "bulk_pipeline/stages/parse/parquet/slices.py",
        "before + limits.batch_bytes",
        "before + (limits.batch_bytes << 20)",
    ),
    Defence(
        "Parquet rows are read in groups bounded by the decoded size of pages",
        "unit/stages/parse/parquet/test_memory.py::test_rows_that_are_read_together_have_a_bound",
        "bulk_pipeline/stages/parse/parquet/bounds.py",
        "        return values * (self.longest + self.deltas)",
        "        return values",
    ),
    Defence(
        "pages of Parquet have a limit",
        "unit/stages/parse/parquet/test_memory.py::test_a_file_with_a_false_size_is_refused",
        "bulk_pipeline/stages/parse/parquet/bounds.py",
        "    if max(page.size, page.packed) > most:",
        "    if page.size < 0:",
    ),
    Defence(
        "values of a row of Parquet are counted",
        "unit/stages/parse/parquet/test_memory.py::test_the_values_of_the_longest_row_are_counted",
        "bulk_pipeline/stages/parse/parquet/bounds.py",
        "    if leaf.values_of_a_row > limits.row_values:",
        "    if leaf.values_of_a_row < 0:",
    ),
    Defence(
        "windows are also cut by number of lines",
        "unit/stages/parse/test_limits.py::test_the_windows_of_short_lines_are_cut_by_their_number",
        "bulk_pipeline/stages/parse/csv/blocks.py",
        "near = (start + near) // 2",
        "break",
    ),
    Defence(
        "decoded bytes per uploaded byte are limited",
        "unit/stages/parse/test_limits.py::test_files_that_become_very_many_bytes_are_refused_in_any_packing",
        "bulk_pipeline/stages/parse/upload.py",
        "refuse_bomb(decoded_bytes, self._uploaded.size, self._limits)",
        "pass",
    ),
    Defence(
        "reports have a limit",
        "integration/test_rejection_budget.py::test_too_many_rejected_rows",
        "bulk_pipeline/pipeline/budget.py",
        "        if self.rows > self.budget.rejected_rows:",
        "        if self.rows < 0:",
    ),
    Defence(
        "the proxy passes listed paths only",
        "integration/test_proxy.py::TestApi",
        "ops/Caddyfile",
        "reverse_proxy @public {$API_UPSTREAM",
        "reverse_proxy {$API_UPSTREAM",
    ),
    Defence(
        "only Dagster's own pages query it",
        "integration/test_proxy.py::TestDagster",
        "ops/Caddyfile",
        'respond @foreign "refused: sent by a page of another site" 403',
        "",
    ),
    Defence(
        "failed logins at the proxy are logged",
        "integration/test_proxy.py::test_refused_logins_are_logged_and_nothing_else",
        "ops/Caddyfile",
        "\tlog {\n\t\toutput stdout\n\t\tformat json\n\t}\n",
        "",
    ),
    Defence(
        "containers share a network only if one needs the other",
        "unit/test_compose.py::test_dagster_is_reached_by_the_proxy_and_its_own_processes_only",
        "docker-compose.yml",
        "networks: [dagster, files, ui]",
        "networks: [dagster, files, ui, rest]",
    ),
    Defence(
        "Dagster's UI and daemon have no keys to rows or files",
        "unit/test_compose.py::test_dagsters_own_processes_hold_no_keys_but_to_their_tables_and_logs",
        "docker-compose.yml",
        "  env_file: []\n",
        "",
    ),
    Defence(
        "a container that stays unhealthy is restarted",
        "unit/test_healthcheck.py",
        "ops/healthcheck.sh",
        "kill -KILL -1",
        "true",
    ),
)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="bulk-pipeline-defences-") as folder:
        copy = Path(folder)
        copy.chmod(0o711)
        for name in _project_files():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
        wanted = [defence for defence in DEFENCES if not sys.argv[1:] or defence.name in sys.argv[1:]]
        with_all = _run(copy, {defence.test for defence in wanted})
        if with_all.returncode != 0:
            _tell(f"{with_all.stdout}\nthe tests fail with all defences on")
            return 2
        missed = [defence for defence in wanted if not _is_noticed(copy, defence)]
    _tell(f"{len(wanted) - len(missed)} of {len(wanted)} tests notice that their defence is off")
    return int(bool(missed))


def _project_files() -> list[str]:
    """Return the paths of all files that git has or would add, relative to the project's folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in names if (ROOT / name).is_file()]


def _is_noticed(copy: Path, defence: Defence) -> bool:
    file = copy / defence.file
    text = file.read_text()
    file.write_text(text.replace(defence.text, defence.instead))
    is_noticed = _run(copy, [defence.test]).returncode == _TESTS_FAILED
    file.write_text(text)
    _tell(f"{'noticed' if is_noticed else 'NOT NOTICED':<12} {defence.name}: {defence.test}")
    return is_noticed


def _run(copy: Path, tests: Iterable[str]) -> subprocess.CompletedProcess[str]:
    """Run the tests. pytest runs as a module, so that the copy is imported."""
    names = [str(copy / "bulk_pipeline_tests" / test) for test in sorted(tests)]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *names]
    return subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
