"""Rights of the database roles: each role tries forbidden statements."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from psycopg import conninfo, sql

from bulk_pipeline.errors import StoreRefusedError
from bulk_pipeline.orchestration.launch.storage import PooledPostgresStorage
from bulk_pipeline.postgres import migrations, roles
from bulk_pipeline.postgres.admin import create_database, drop_database
from bulk_pipeline.postgres.connection import Postgres
from bulk_pipeline.postgres.dagster_tables import Signs, signs
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.dagster import storage_url
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline_tests.rigs.exports import Exporting
from bulk_pipeline_tests.rigs.pipeline import Pipeline

SQL = migrations.sql_folder()


class Logins:
    """Logins that are members of the roles, created as in docs/operations.md."""

    def __init__(self, admin_url: str) -> None:
        self._admin_url = admin_url
        self._names = list[str]()

    def of(self, role: str) -> str:
        """Return the URL of a new login, whose objects belong to the role."""
        name = f"login_{uuid4().hex[:12]}"
        self._names.append(name)
        self._run("CREATE ROLE {} LOGIN PASSWORD 'secret' IN ROLE {}", name, role)
        self._run("ALTER ROLE {} SET role = {}", name, role)
        return self.url(name)

    def new(self, rights: str) -> str:
        name = f"login_{uuid4().hex[:12]}"
        self._names.append(name)
        self._run(f"CREATE ROLE {{}} LOGIN PASSWORD 'secret' {rights}", name)
        return self.url(name)

    def url(self, name: str) -> str:
        parts = conninfo.conninfo_to_dict(self._admin_url)
        return f"postgresql://{name}:secret@{parts['host']}:{parts['port']}/{parts['dbname']}"

    def close(self) -> None:
        for name in self._names:
            self._run("DROP OWNED BY {}", name)
            self._run("DROP ROLE {}", name)

    def _run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._admin_url) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # pyright: ignore[reportArgumentType]


@pytest.fixture
def logins(database_url: str) -> Iterator[Logins]:
    roles.make_roles(database_url, SQL)
    made = Logins(database_url)
    yield made
    made.close()


@pytest.fixture
def settings(settings: Settings, logins: Logins) -> Settings:
    """Settings of a worker with the rights to load only."""
    return settings.model_copy(update={"database_url": type(settings.database_url)(logins.of("bulk_loader"))})


def test_the_loader_imports(pipeline: Pipeline) -> None:
    first = pipeline.load("users/a.csv", b"id,email,name,role\n,a@b.de,A,admin\n", mode="upsert")
    again = pipeline.load("users/b.csv", b"email,name,role\na@b.de,B,admin\nc@b.de,C,none\n", mode="upsert")
    assert (first.status, again.status) == ("completed", "completed_with_errors")
    assert pipeline.query("SELECT name FROM users") == [("B",)]


def test_the_loader_exports(exporting: Exporting) -> None:
    exporting.have("a@b.de", "c@d.fr")
    job = exporting.exported(format="csv", kind="incremental")
    assert (job.status, len(exporting.lines(job))) == ("completed", 2)


FORBIDDEN = {
    "bulk_loader": [
        "DELETE FROM public.users",
        "TRUNCATE public.users",
        "DROP TABLE public.users",
        "ALTER TABLE public.users ADD more text",
        "CREATE TABLE public.mine (id integer)",
        "CREATE TABLE bulk.mine (id integer)",
        "CREATE SCHEMA mine",
        "UPDATE bulk.migrations SET sha256 = ''",
        "DELETE FROM bulk.migrations",
        "SELECT bulk.record_deletions('users')",
        "SELECT * FROM dagster.seen_by_nobody",
        "COPY public.users TO PROGRAM 'cat'",
        "CREATE ROLE another",
        "SET ROLE bulk_owner",
    ],
    "bulk_reader": [
        "INSERT INTO public.users (email, name, role) VALUES ('a@b.de', 'A', 'admin')",
        "UPDATE public.users SET name = ''",
        "DELETE FROM public.users",
        "SELECT * FROM public.users FOR UPDATE",
        "SELECT * FROM bulk.accounts",
        "SELECT * FROM bulk.login_failures",
        "UPDATE bulk.import_jobs SET status = 'failed'",
        "SELECT * FROM dagster.seen_by_nobody",
        "CREATE TABLE public.mine (id integer)",
        "SET ROLE bulk_loader",
    ],
    "bulk_dagster": [
        "SELECT * FROM public.users",
        "SELECT * FROM bulk.import_jobs",
        "SELECT * FROM bulk.accounts",
        "CREATE TABLE bulk.mine (id integer)",
        "SET ROLE bulk_owner",
    ],
    "bulk_owner": ["SELECT * FROM dagster.seen_by_nobody", "CREATE ROLE another", "SET ROLE bulk_dagster"],
}


@pytest.mark.parametrize("role", FORBIDDEN)
def test_a_role_cannot_do_what_it_must_not(logins: Logins, database_url: str, role: str) -> None:
    with psycopg.connect(database_url) as admin:
        admin.execute("CREATE TABLE dagster.seen_by_nobody (id integer)")
    done = list[str]()
    with psycopg.connect(logins.of(role), autocommit=True) as connection:
        for statement in FORBIDDEN[role]:
            try:
                connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                continue
            done.append(statement)
    assert done == []


def test_the_reader_reads_tables_and_jobs(logins: Logins) -> None:
    with psycopg.connect(logins.of("bulk_reader")) as connection:
        for name in (
            "public.customers",
            "public.comments",
            "bulk.import_jobs",
            "bulk.export_jobs",
            "bulk.job_leases",
        ):
            connection.execute(f"SELECT * FROM {name}".encode())


def test_the_owner_migrates_an_empty_database(empty_database_url: str) -> None:
    roles.make_roles(empty_database_url, SQL)
    logins = Logins(empty_database_url)
    try:
        owner = logins.of("bulk_owner")
        assert migrations.migrate(owner) == [file.name for file in migrations.migrations(SQL)]
        assert migrations.migrate(owner) == []
        with psycopg.connect(logins.of("bulk_loader")) as connection:
            connection.execute("INSERT INTO customers (email) VALUES ('a@b.de')")
        with psycopg.connect(empty_database_url) as connection:
            owners = connection.execute(
                "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname IN ('public', 'bulk')"
            ).fetchall()
        assert owners == [("bulk_owner",)]
    finally:
        logins.close()


def test_the_loader_sees_signs_of_life_of_dagster(logins: Logins) -> None:
    _close(PooledPostgresStorage(storage_url(logins.of("bulk_dagster"))))
    postgres = Postgres(logins.of("bulk_loader"))
    assert signs(postgres) == Signs()
    postgres.close()


def test_a_role_without_the_right_to_read_signs_of_life_is_an_error(logins: Logins) -> None:
    _close(PooledPostgresStorage(storage_url(logins.of("bulk_dagster"))))
    postgres = Postgres(logins.of("bulk_reader"))
    with pytest.raises(StoreRefusedError, match="Dagster's tables: permission denied"):
        signs(postgres)
    postgres.close()


def test_dagster_keeps_its_tables_with_its_own_role(logins: Logins, database_url: str) -> None:
    storage = PooledPostgresStorage(storage_url(logins.of("bulk_dagster")))
    assert storage.run_storage.get_runs_count() == 0
    with psycopg.connect(database_url) as connection:
        owners = connection.execute(
            "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'dagster'"
        ).fetchall()
    assert owners == [("bulk_dagster",)]
    _close(storage)


def test_roles_may_be_made_for_several_databases_at_once(database_url: str, empty_database_url: str) -> None:
    """Roles belong to the server: a second process finds them, or meets the first while it creates them."""
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda url: roles.make_roles(url, SQL), [database_url, empty_database_url] * 3))
    with psycopg.connect(database_url) as connection:
        result = connection.execute(
            "SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE 'bulk\\_%'"
        ).fetchall()
    assert sorted(result) == [(f"bulk_{name}", False) for name in ("dagster", "loader", "owner", "reader")]


def test_a_user_who_creates_roles_need_not_be_a_superuser(postgres16_server: Cluster) -> None:
    """As on managed servers: the first such user creates the roles, and owns the database."""
    name = f"test_{uuid4().hex}"
    admin = postgres16_server.url("postgres")
    logins = Logins(admin)
    landlord = conninfo.conninfo_to_dict(logins.new("CREATEROLE CREATEDB"))
    parts = f"{landlord['user']}:secret@{landlord['host']}:{landlord['port']}"
    create_database(f"postgresql://{parts}/postgres", name)
    url = f"postgresql://{parts}/{name}"
    try:
        for _ in range(2):
            migrations.migrate(url)
            roles.make_roles(url, SQL)
        with psycopg.connect(url) as connection:
            owner = connection.execute(
                "SELECT tableowner FROM pg_tables WHERE tablename = 'users'"
            ).fetchall()
        assert owner == [("bulk_owner",)]
    finally:
        drop_database(admin, name)
        with psycopg.connect(admin) as connection:
            for role in ("owner", "loader", "reader", "dagster"):
                connection.execute(f"DROP ROLE IF EXISTS bulk_{role}".encode())
        logins.close()


def test_a_user_without_the_right_to_create_roles_gets_an_error(logins: Logins) -> None:
    with pytest.raises(StoreRefusedError, match=r"roles.sql: .*use a login that may create roles"):
        roles.make_roles(logins.new("NOCREATEROLE"), SQL)


def _close(storage: PooledPostgresStorage) -> None:
    for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
        part._engine.dispose()  # pyright: ignore[reportAttributeAccessIssue]
