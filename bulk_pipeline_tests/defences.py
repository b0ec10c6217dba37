"""`make defences`: takes each defence of SECURITY.md away, in a copy of the project, and shows that its test notices.

A test has noticed if it passes with the defence and fails without it.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_COPIED = ("bulk_pipeline", "bulk_pipeline_tests", "sql", "ops", "pyproject.toml")
_TESTS_FAILED = 1
"""pytest's exit code for that; others mean that it could not run them."""


@dataclass(frozen=True)
class Defence:
    """`text` occurs once in `file`; with `instead` in its place the defence is off. `test`: in the tests' folder."""

    name: str
    test: str
    file: str
    text: str
    instead: str


DEFENCES = (
    Defence(
        "values are literals of SQL",
        "integration/stores/test_snapshots.py::test_every_filter_finds_what_it_says",
        "bulk_pipeline/stores/selections.py",
        "sql.Literal(str(value))",
        """sql.SQL("'" + str(value) + "'")""",
    ),
    Defence(
        "names are shown on one line",
        "unit/test_printable.py",
        "bulk_pipeline/printable.py",
        "character if character.isprintable() else repr(character)[1:-1]",
        "character",
    ),
    Defence(
        "names are no markup of a terminal",
        "unit/cli/test_output.py",
        "bulk_pipeline/cli/output.py",
        "return Text(shown, style=",
        "return Text.from_markup(shown, style=",
    ),
    Defence(
        "archived names are of harmless characters",
        "unit/stores/test_addresses.py::test_archived_names_are_harmless_and_keep_their_ending",
        "bulk_pipeline/stores/addresses.py",
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
        "metrics have a port of their own",
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
        "encodings are those of a list",
        "unit/schema/test_code_pages.py",
        "bulk_pipeline/schema/code_pages.py",
        "name = _NAMES.get(_normal(declared))",
        "name = aliases.get(_normal(declared), _normal(declared))",
    ),
    Defence(
        "names are counted before they are looked at",
        "unit/api/test_request_sizes.py::test_more_names_than_the_table_has_columns_are_refused_before_they_are_looked_at",
        "bulk_pipeline/schema/selection.py",
        "if len(names) > len(table.columns):",
        "if not names:",
    ),
    Defence(
        "what was read is never tried in another way",
        "unit/api/test_request_sizes.py::test_cost_grows_with_the_length_of_a_request_and_no_faster",
        "bulk_pipeline/schema/filters.py",
        """\\s*+({_QUOTED}|[^',()][^,()]*+|)\\s*+""",
        """\\s*({_QUOTED}|[^',()][^,()]*|)\\s*""",
    ),
    Defence(
        "writes come from our own pages",
        "integration/api/test_browsers.py::test_a_write_of_another_site_does_nothing",
        "bulk_pipeline/browsers.py",
        "    if method in _READS:",
        "    if method:",
    ),
    Defence(
        "the Host is a name of ours",
        "unit/test_browsers.py::test_any_other_name_is_421",
        "bulk_pipeline/browsers.py",
        "if host is None or not (host in hosts or _is_address(host)):",
        "if not named:",
    ),
    Defence(
        "Dagster's webserver has the same guard",
        "unit/orchestration/test_webserver.py::test_what_another_page_sends_is_not_carried_out",
        "bulk_pipeline/orchestration/webserver.py",
        "        app.add_middleware(Guard, hosts=hosts, is_write=is_write)\n",
        "",
    ),
    Defence(
        "browsers are told what answers are",
        "integration/api/test_browsers.py::test_every_answer_has_the_headers_that_browsers_obey",
        "bulk_pipeline/browsers.py",
        'added = HEADERS | self._headers(scope["path"])',
        "added = dict[str, str]()",
    ),
    Defence(
        "a caller has a share of the streams",
        "integration/api/test_streams.py::test_one_caller_does_not_hold_all_streams",
        "bulk_pipeline/api/streams.py",
        "if self._callers[caller] >= settings.api_max_streams_per_caller:",
        "if False:",
    ),
    Defence(
        "the head of a request ends at 64 kB",
        "integration/api/test_connections.py::test_a_head_without_end_is_refused_and_not_held",
        "bulk_pipeline/api/connections.py",
        "if was_in_head and self._is_in_head:",
        "if False:",
    ),
    Defence(
        "a connection says something soon",
        "integration/api/test_connections.py::test_a_connection_that_says_nothing_more_ends",
        "bulk_pipeline/api/connections.py",
        "self.loop.call_later(self.head_seconds, self.transport.close)",
        "self.loop.call_later(3600, self.transport.close)",
    ),
    Defence(
        "work ends with its client",
        "integration/api/test_departures.py::test_a_request_that_waits_for_a_thread_ends_with_its_client",
        "bulk_pipeline/api/departures.py",
        "            self._work.cancel()",
        "            pass",
    ),
    Defence(
        "a fetch ends with its client",
        "integration/api/test_departures.py::test_a_fetch_ends_with_its_client",
        "bulk_pipeline/stores/checked_network.py",
        "            self._check()\n            try:\n                return self._stream.read(",
        "            try:\n                return self._stream.read(",
    ),
    Defence(
        "a body ends at 64,000 bytes",
        "integration/api/test_accounts.py::test_a_large_body_is_not_taken_in",
        "bulk_pipeline/api/body_limit.py",
        'if taken > MOST_BYTES and not state.get("counts_its_body"):',
        "if taken < 0:",
    ),
    Defence(
        "URLs lead to public addresses only",
        "unit/stores/test_public_addresses.py",
        "bulk_pipeline/stores/public_addresses.py",
        "if not private_too and not all(map(is_public, addresses)):",
        "if False:",
    ),
    Defence(
        "URLs lead to allowed ports only",
        "integration/stores/test_remote_files.py::test_only_allowed_ports_are_connected_to_also_after_a_redirect",
        "bulk_pipeline/stores/remote_files.py",
        "if _port(url) not in limits.ports:",
        "if False:",
    ),
    Defence(
        "a host inside is refused like an unknown one",
        "unit/stores/test_public_addresses.py::test_nobody_learns_which_hosts_there_are_inside",
        "bulk_pipeline/stores/public_addresses.py",
        "        raise RemoteFileError(refusal)\n",
        '        raise RemoteFileError(f"the host {host!r} is inside")\n',
    ),
    Defence(
        "redirects are checked too",
        "integration/stores/test_remote_files.py::test_a_redirect_to_a_private_address_is_refused_before_it_is_asked",
        "bulk_pipeline/stores/public_addresses.py",
        "if not private_too and not all(map(is_public, addresses)):",
        "if False:",
    ),
    Defence(
        "tokens are signed, and end",
        "integration/api/test_accounts.py::TestTokensThatAreNotGood",
        "bulk_pipeline/api/tokens.py",
        'options={"require": ["sub", "iat", "exp"]},',
        'options={"verify_signature": False},',
    ),
    Defence(
        "login attempts are rate-limited",
        "integration/api/test_accounts.py::test_after_too_many_failures_nobody_may_guess_for_a_while",
        "bulk_pipeline/stores/accounts.py",
        "if failures < FAILURES:",
        "if failures >= 0:",
    ),
    Defence(
        "a job is its owner's",
        "integration/api/test_customers.py::test_a_job_is_its_owners",
        "bulk_pipeline/api/customers.py",
        "if job.owner_id != account.id or job.table != _TABLE:",
        "if job.table != _TABLE:",
    ),
    Defence(
        "links end, and are for one file",
        "integration/stores/test_objects.py::test_a_presigned_url_ends",
        "bulk_pipeline/stores/objects.py",
        "ExpiresIn=seconds)",
        "ExpiresIn=3600)",
    ),
    Defence(
        "the S3 server's certificate is checked",
        "integration/test_tls.py::TestS3",
        "bulk_pipeline/stores/s3.py",
        "verify=str(settings.s3_ca_bundle) if settings.s3_ca_bundle else None,",
        "verify=False,",
    ),
    Defence(
        "an unreadable URL of the database is not told",
        "unit/test_secrets.py::test_a_password_with_characters_that_should_have_been_escaped_is_not_told",
        "bulk_pipeline/stores/postgres.py",
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
        "logs tell only of harmless messages",
        "unit/test_traces.py",
        "bulk_pipeline/traces.py",
        "_HARMLESS = (BulkPipelineError,",
        "_HARMLESS = (Exception, BulkPipelineError,",
    ),
    Defence(
        "the reader's role cannot write",
        "integration/stores/test_roles.py::test_what_a_role_must_not_do_it_cannot",
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
        "a cancel is heard at the next batch",
        "integration/test_cancel.py::test_an_op_stops_before_its_next_batch",
        "bulk_pipeline/orchestration/worker.py",
        "self._heartbeats[job.id].check(job.id)",
        "pass",
    ),
    Defence(
        "a file that ends its process fails soon",
        "integration/test_crashes.py::test_a_file_that_ends_its_process_twice_fails_and_says_so",
        "bulk_pipeline/stores/leases.py",
        "if is_crash and self._is_last_crash(connection, job):",
        "if is_crash and not self._is_last_crash:",
    ),
    Defence(
        "what a parser leaves goes with its job",
        "integration/test_work_files_go.py::test_what_a_parser_that_died_has_unpacked_goes_with_its_job",
        "bulk_pipeline/orchestration/ops.py",
        "spool_dir=work.area(job.id, job.attempt).folder,",
        "",
    ),
    Defence(
        "a line is cut at the bound of a row",
        "unit/stages/parse/test_limits.py::test_a_line_longer_than_a_row_may_be_is_one_rejected_row",
        "bulk_pipeline/stages/parse/csv_tolerant.py",
        "if stop - start > limits.row_bytes:",
        "if stop < start:",
    ),
    Defence(
        "cells past the bound of columns are not cut",
        "unit/stages/parse/test_limits.py::test_a_row_of_very_many_cells_is_rejected_whether_they_are_quoted_or_not",
        "bulk_pipeline/stages/parse/csv_scan.py",
        "if len(found) == self._limits.columns:",
        "if len(found) < 0:",
    ),
    Defence(
        "columns and names have bounds",
        "unit/stages/parse/test_limits.py::test_more_columns_and_longer_names_than_the_bounds_are_refused",
        "bulk_pipeline/stages/parse/header.py",
        "if 4 * len(name) > limits.name_bytes <",
        "if 4 * len(name) < 0 <",
    ),
    Defence(
        "windows are cut by lines too",
        "unit/stages/parse/test_limits.py::test_the_windows_of_short_lines_are_cut_by_their_number",
        "bulk_pipeline/stages/parse/csv_blocks.py",
        "near = (start + near) // 2",
        "break",
    ),
    Defence(
        "decoded bytes have a ratio",
        "unit/stages/parse/test_limits.py::test_what_becomes_very_many_bytes_is_refused_whatever_its_packing",
        "bulk_pipeline/stages/parse/upload.py",
        "refuse_bomb(decoded_bytes, self._uploaded.size, self._limits)",
        "pass",
    ),
    Defence(
        "reports are bounded",
        "integration/test_rejection_budget.py::test_too_many_rejected_rows",
        "bulk_pipeline/orchestration/budget.py",
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
        "tries at the proxy's login are logged",
        "integration/test_proxy.py::test_what_the_login_refuses_is_logged_and_nothing_else",
        "ops/Caddyfile",
        "\tlog {\n\t\toutput stdout\n\t\tformat json\n\t}\n",
        "",
    ),
    Defence(
        "containers share networks by need",
        "unit/test_compose.py::test_dagster_is_reached_by_the_proxy_and_its_own_processes_only",
        "docker-compose.yml",
        "networks: [dagster, ui]",
        "networks: [dagster, ui, rest]",
    ),
    Defence(
        "Dagster's UI and daemon have no keys to rows or files",
        "unit/test_compose.py::test_dagsters_own_processes_hold_no_keys_but_to_their_tables",
        "docker-compose.yml",
        "  env_file: []\n",
        "",
    ),
    Defence(
        "a container that stays unhealthy ends and starts again",
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
        for name in _COPIED:
            source = ROOT / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        wanted = [defence for defence in DEFENCES if not sys.argv[1:] or defence.name in sys.argv[1:]]
        if _run(copy, {defence.test for defence in wanted}) != 0:
            _tell("the tests fail with all defences on")
            return 2
        missed = [defence for defence in wanted if not _is_noticed(copy, defence)]
    _tell(f"{len(wanted) - len(missed)} of {len(wanted)} tests notice that their defence is off")
    return int(bool(missed))


def _is_noticed(copy: Path, defence: Defence) -> bool:
    file = copy / defence.file
    text = file.read_text()
    file.write_text(text.replace(defence.text, defence.instead))
    is_noticed = _run(copy, [defence.test]) == _TESTS_FAILED
    file.write_text(text)
    _tell(f"{'noticed' if is_noticed else 'NOT NOTICED':<12} {defence.name}: {defence.test}")
    return is_noticed


def _run(copy: Path, tests: Iterable[str]) -> int:
    """pytest's exit code. As a module, so that the copy is what is imported."""
    names = [str(copy / "bulk_pipeline_tests" / test) for test in sorted(tests)]
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *names]
    return subprocess.run(command, cwd=copy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
