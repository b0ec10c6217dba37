"""ops/Caddyfile in a real Caddy: the requests that reach each server, and those that do not."""

import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_pipeline.api.app import create_app
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs import caddy
from bulk_pipeline_tests.rigs.caddy import CADDYFILE, Proxy

PASSWORD = "a word"


def login(password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'operator:{password}'.encode()).decode()}"}


LOGIN = login(PASSWORD)
SOCKET = {"Upgrade": "websocket", "Connection": "keep-alive, Upgrade"}
ID = "0198c1d2-7b1c-7d5e-8f00-1234567890ab"


def _words(text: str) -> list[str]:
    return text.split()


NOT_PUBLIC = _words("""
/metrics /metrics? /metrics?x=/live /metrics/ /metrics%0a /metrics%00 /metrics%20 /metrics; /metrics;/live /metrics.
//metrics /./metrics /.//metrics /%6detrics /%6Detrics /METRICS /Metrics /%2fmetrics /%2e/metrics
/live/../metrics /live/%2e%2e/metrics /live/..%2fmetrics /live%2f..%2fmetrics /live/..;/metrics /live//metrics
/imports/../metrics /imports/%2e%2e/metrics /imports/..%5cmetrics /imports/..\\metrics /\\metrics
/v1/imports/../../metrics /api/v1/../../metrics /docs/../metrics /docs/%2e%2e/metrics /docs/.env
/livex /live%0a /LIVE /auth /auth/../metrics /admin /.env // /office/../metrics /office/%2e%2e/metrics /office//x /offices
""")

READS = _words("""
/ /runs /runs/b/abc?tab=x /overview/sensors /locations/__repository__@bulk_pipeline/jobs/import_files/ /assets/customers?view=lineage
/locations/a%40b/sensors/upload_sensor /deployment/daemons /asset-groups/~/lineage%3Fx
/server_info /favicon.ico /favicon-run-success.svg /manifest.json /_next/static/chunks/pages/_app-1.js
/_next/static/media/tool-w&b-color.dd51f747.svg /download_debug/0198c1d2-7b1c
""")

NOT_READ = _words("""
/graphql /graphql?query={version} /graphql?query=mutation%7Bx%7D /graphql/ //graphql /Graphql /%67raphql /graphql%0a?query=x
/runs/../graphql?query=x /runs/%2e%2e/graphql?query=x /runs/..%2fgraphql?query=x /runs/.env /_next/../graphql?query=x /_next/static/../../graphql
/report_asset_materialization/customers /notebook?path=/etc/passwd.ipynb /dagit/notebook /logs/a/b.out /dagit_info
/nothing /runs%0a /runs//x
""")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    hashed = caddy.command(
        "hash-password", "--bcrypt-cost", "4", "--plaintext", PASSWORD, env=caddy.environment(folder)
    )
    env = {"PROXY_USER": "operator", "PROXY_PASSWORD_HASH": hashed.stdout.strip(), "API_MAX_BODY": "1MB"}
    with caddy.proxy(folder, env) as proxy:
        yield proxy


def own(proxy: Proxy) -> str:
    """Return the origin of Dagster's site in a browser."""
    return f"http://127.0.0.1:{proxy.ports['DAGSTER']}"


class TestApi:
    def test_every_path_of_the_api_arrives_as_it_was_sent(self, proxy: Proxy, settings: Settings) -> None:
        given = {**settings.model_dump(), "api_jwt_secret": "x" * 32, "metrics_port": 9464}
        stores = Stores(Settings.model_validate(given))
        paths = create_app(stores).openapi()["paths"]
        stores.close()
        sent = [re.sub(r"\{resource\}", "customers", path) for path in paths]
        sent = [re.sub(r"\{\w+\}", ID, path) for path in sent]
        sent += [path.removeprefix("/api") for path in sent if path.startswith("/api/")]
        sent += ["/", "/office", f"/office/uploads/{ID}/errors.csv", "/office/static/office.css?v=1"]
        sent += ["/docs", "/docs/fastapi/swagger-ui-bundle.js", "/openapi.json"]
        for target in [*sent, *(f"{path}?limit=5&filter=a%2Fb%0a" for path in sent)]:
            answer, arrivals = proxy.send("API", target)
            assert (answer.status, [arrival.target for arrival in arrivals]) == (200, [target]), target

    @pytest.mark.parametrize("method", ["GET", "POST", "get"])
    def test_nothing_else_arrives_however_it_is_written(self, proxy: Proxy, method: str) -> None:
        for target in [*NOT_PUBLIC, "http://127.0.0.1/metrics", "http://127.0.0.1//metrics"]:
            answer, arrivals = proxy.send("API", target, method)
            assert (answer.status in {400, 404}, arrivals) == (True, []), target

    def test_a_client_cannot_forge_where_it_comes_from(self, proxy: Proxy) -> None:
        _, (arrival,) = proxy.send(
            "API", "/live", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "inside"}
        )
        assert arrival.headers["x-forwarded-for"] == "127.0.0.1"
        assert arrival.headers["x-forwarded-host"] == f"127.0.0.1:{proxy.ports['API']}"

    def test_a_body_ends_at_its_limit(self, proxy: Proxy) -> None:
        assert proxy.send("API", "/imports", "POST", body=900_000)[0].status == 200
        assert proxy.send("API", "/imports", "POST", body=1_100_000)[0].status == 413

    def test_a_head_ends_at_its_limit(self, proxy: Proxy) -> None:
        assert proxy.send("API", "/live", headers={"Cookie": "x" * 10_000})[0].status == 200
        answer, arrivals = proxy.send("API", "/live", headers={"Cookie": "x" * 40_000})
        assert (answer.status, arrivals) == (431, [])


class TestDagster:
    @pytest.mark.parametrize("headers", [{}, login("x")])
    def test_nothing_arrives_without_the_login(self, proxy: Proxy, headers: dict[str, str]) -> None:
        for target in [*READS, *NOT_READ]:
            for method in ("GET", "POST"):
                answer, arrivals = proxy.send("DAGSTER", target, method, headers=headers)
                assert (answer.status in {400, 401}, arrivals) == (True, []), target

    def test_its_pages_and_files_arrive_without_the_login_in_them(self, proxy: Proxy) -> None:
        for target in READS:
            answer, arrivals = proxy.send("DAGSTER", target, headers=LOGIN)
            assert (answer.status, [arrival.target for arrival in arrivals]) == (200, [target]), target
            assert "authorization" not in arrivals[0].headers

    def test_nothing_else_is_read(self, proxy: Proxy) -> None:
        for target in NOT_READ:
            answer, arrivals = proxy.send("DAGSTER", target, headers=LOGIN)
            assert (answer.status in {400, 404}, arrivals) == (True, []), target

    def test_a_page_is_only_read(self, proxy: Proxy) -> None:
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert proxy.send("DAGSTER", "/runs", method, headers=LOGIN)[1] == []

    @pytest.mark.parametrize("target", ["/graphql", "/graphql?op=Runs_Query"])
    def test_its_own_pages_may_query(self, proxy: Proxy, target: str) -> None:
        for sent in ({}, {"Origin": own(proxy), "Sec-Fetch-Site": "same-origin"}):
            answer, arrivals = proxy.send("DAGSTER", target, "POST", headers=LOGIN | sent)
            assert (answer.status, [arrival.target for arrival in arrivals]) == (200, [target])

    @pytest.mark.parametrize(
        "target", ["/graphql?query={version}", "/graphql?op=a&query=b", "/graphql?op=%26"]
    )
    def test_a_query_in_the_address_does_not_arrive(self, proxy: Proxy, target: str) -> None:
        answer, arrivals = proxy.send("DAGSTER", target, "POST", headers=LOGIN)
        assert (answer.status, arrivals) == (404, [])

    @pytest.mark.parametrize(
        "sent",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "{own}.evil.example"},
            {"Origin": "https://evil.example, {own}"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site", "Origin": "{own}"},
        ],
    )
    @pytest.mark.parametrize(("method", "upgrade"), [("POST", {}), ("GET", SOCKET)])
    def test_a_page_of_another_site_neither_queries_nor_listens(
        self, proxy: Proxy, sent: dict[str, str], method: str, upgrade: dict[str, str]
    ) -> None:
        headers = {name: value.replace("{own}", own(proxy)) for name, value in sent.items()}
        answer, arrivals = proxy.send("DAGSTER", "/graphql", method, headers=LOGIN | upgrade | headers)
        assert (answer.status, arrivals) == (403, [])

    def test_its_websocket_arrives(self, proxy: Proxy) -> None:
        _, arrivals = proxy.send(
            "DAGSTER",
            "/graphql",
            headers=LOGIN | SOCKET | {"Origin": own(proxy), "Sec-Fetch-Site": "same-origin"},
        )
        assert [(arrival.target, arrival.headers["upgrade"]) for arrival in arrivals] == [
            ("/graphql", "websocket")
        ]
        query = proxy.send("DAGSTER", "/graphql?query={version}", headers=LOGIN | SOCKET)
        assert query[1] == []

    def test_a_body_ends_at_its_limit(self, proxy: Proxy) -> None:
        answer, _ = proxy.send("DAGSTER", "/graphql", "POST", body=5_000_000, headers=LOGIN)
        assert answer.status == 413


def test_refused_logins_are_logged_and_nothing_else(proxy: Proxy) -> None:
    assert proxy.send("DAGSTER", "/runs/good", headers=LOGIN)[0].status == 200
    assert proxy.send("DAGSTER", "/runs/bad", headers=login("a guess"))[0].status == 401
    deadline = time.monotonic() + 10
    while "/runs/bad" not in proxy.log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    text = proxy.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if "/runs/" in line]
    (line,) = (line for line in lines if line["request"]["uri"] == "/runs/bad")
    assert (line["status"], line["request"]["remote_ip"]) == (401, "127.0.0.1")
    assert line["request"]["headers"]["Authorization"] == ["REDACTED"]
    assert {line["status"] for line in lines} == {401}
    assert login("a guess")["Authorization"] not in text


def test_grafana_is_reached_but_for_its_metrics(proxy: Proxy) -> None:
    for target in (
        "/",
        "/login",
        "/d/bulk/bulk-pipeline?from=now-1h",
        "/api/ds/query",
        "/public/build/a.1.js",
    ):
        assert len(proxy.send("GRAFANA", target)[1]) == 1, target
    for target in (
        "/metrics",
        "/%6detrics",
        "//metrics",
        "/public/../metrics",
        "/public/%2e%2e/metrics",
        "/debug/pprof",
    ):
        assert proxy.send("GRAFANA", target)[1] == [], target


@pytest.mark.parametrize(
    ("site", "target"), [("API", "/live"), ("API", "/metrics"), ("DAGSTER", "/"), ("GRAFANA", "/")]
)
def test_every_answer_has_the_headers_that_protect_a_browser(proxy: Proxy, site: str, target: str) -> None:
    headers = proxy.send(site, target)[0].headers
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert not {"server", "via", "x-powered-by"} & set(headers)


def test_the_file_is_in_caddys_own_format_and_slow_clients_are_cut_off(tmp_path: Path) -> None:
    env = caddy.environment(tmp_path) | {f"{site}_SITE": f"http://{site}.localhost" for site in caddy.SITES}
    env |= {"PROXY_USER": "a", "PROXY_PASSWORD_HASH": "$2a$04$" + "x" * 53}
    assert caddy.command("fmt", str(CADDYFILE), env=env).stdout == CADDYFILE.read_text()
    adapted = caddy.command("adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile", env=env)
    servers = json.loads(adapted.stdout)["apps"]["http"]["servers"].values()
    for server in servers:
        assert {"read_header_timeout", "idle_timeout", "max_header_bytes"} <= set(server)
