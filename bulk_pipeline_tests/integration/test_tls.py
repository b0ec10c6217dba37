"""Encrypted connections to Postgres and S3, only to servers with a valid certificate."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from psycopg import conninfo

from bulk_pipeline.errors import BulkPipelineError
from bulk_pipeline.postgres.connection import connect
from bulk_pipeline.s3.objects import ObjectStore
from bulk_pipeline.settings import Settings
from bulk_pipeline_tests.rigs.tls_proxy import tls_proxy

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    return tmp_path / "authority.pem"


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    STRANGER.cert_pem.write_to_path(tmp_path / "stranger.pem")
    return tmp_path / "stranger.pem"


def certified(*names: str) -> ssl.SSLContext:
    """Run a server with a certificate for these names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return context


class TestPostgres:
    @pytest.fixture
    def port(self, database_url: str, request: pytest.FixtureRequest) -> Iterator[int]:
        parts = conninfo.conninfo_to_dict(database_url)
        inside = (str(parts["host"]), int(str(parts["port"])))
        with tls_proxy(certified(getattr(request, "param", "localhost")), inside, is_postgres=True) as port:
            yield port

    def url(self, database_url: str, port: int, authority: Path) -> str:
        return conninfo.make_conninfo(
            database_url,
            host="localhost",
            port=port,
            sslmode="verify-full",
            sslrootcert=str(authority),
            gssencmode="disable",
        )

    def test_with_the_right_authority_it_is_encrypted(
        self, database_url: str, port: int, authority: Path
    ) -> None:
        with connect(self.url(database_url, port, authority)) as connection:
            assert connection.pgconn.ssl_in_use
            assert connection.execute("SELECT count(*) FROM customers").fetchone() == (0,)

    def test_with_another_authority_nothing_is_sent(
        self, database_url: str, port: int, stranger: Path
    ) -> None:
        with pytest.raises(BulkPipelineError, match="certificate verify failed"):
            connect(self.url(database_url, port, stranger))

    @pytest.mark.parametrize("port", ["db.example.com"], indirect=True)
    def test_a_certificate_of_another_host_is_refused(
        self, database_url: str, port: int, authority: Path
    ) -> None:
        with pytest.raises(BulkPipelineError, match=r"db\.example\.com.*does not match host name"):
            connect(self.url(database_url, port, authority))


class TestS3:
    @pytest.fixture
    def port(self, settings: Settings, request: pytest.FixtureRequest) -> Iterator[int]:
        inside = urlsplit(str(settings.s3_endpoint_url))
        assert inside.hostname is not None
        assert inside.port is not None
        name = getattr(request, "param", "localhost")
        with tls_proxy(certified(name), (inside.hostname, inside.port)) as port:
            yield port

    def store(self, settings: Settings, port: int, authority: Path) -> ObjectStore:
        given = {"s3_endpoint_url": f"https://localhost:{port}", "s3_ca_bundle": authority}
        return ObjectStore(settings.model_copy(update=given))

    def test_with_the_right_authority_files_pass(
        self, settings: Settings, port: int, authority: Path
    ) -> None:
        store = self.store(settings, port, authority)
        store.put(settings.s3_bucket_uploads, "customers/a.csv", b"email\n")
        assert [entry.key for entry in store.page(settings.s3_bucket_uploads).objects] == ["customers/a.csv"]

    def test_with_another_authority_nothing_is_sent(
        self, settings: Settings, port: int, stranger: Path
    ) -> None:
        with pytest.raises(BulkPipelineError, match=r"certificate verify failed|SSL validation failed"):
            self.store(settings, port, stranger).page(settings.s3_bucket_uploads)

    @pytest.mark.parametrize("port", ["s3.example.com"], indirect=True)
    def test_a_certificate_of_another_host_is_refused(
        self, settings: Settings, port: int, authority: Path
    ) -> None:
        with pytest.raises(BulkPipelineError, match=r"Hostname mismatch|SSL validation failed"):
            self.store(settings, port, authority).page(settings.s3_bucket_uploads)
