"""The parts of a stack: which servers it runs, on which ports, with which secrets and environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bulk_pipeline.errors import StackError
from bulk_pipeline.s3.buckets import buckets_by_use
from bulk_pipeline.settings import NO_PROJECT, Settings, read_settings
from bulk_pipeline.stack import objects, postgres
from bulk_pipeline.stack.api import Api
from bulk_pipeline.stack.dagster import Dagster, storage_url
from bulk_pipeline.stack.home import Home, Record
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import HOST, free_port, is_free
from bulk_pipeline.stack.postgres import Cluster

MARK = "BULK_STACK"
"""The environment variable that names a stack's home in each of its processes, and nowhere else."""

_LOGS_BUCKET = "logs"
"""For what runs print, in our own S3 server. In another one it is where the environment says, if anywhere."""
_PORTS = ("postgres", "objects", "webserver", "code_server", "api")
_SECRETS = ("postgres", "objects", "api")


@dataclass(frozen=True)
class Plan:
    """The parts to run. `cluster` and `gateway` are None if the environment names a server instead."""

    home: Home
    cluster: Cluster | None
    gateway: Gateway | None
    dagster: Dagster
    api: Api
    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    """Addresses and keys, for Dagster's processes and for clients."""
    record: Record

    def process_environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        return {**inherited, **self.environment, MARK: str(self.home.folder)}


def make(home: Home, before: Record, environ: Mapping[str, str], definitions: str) -> Plan:
    """Return the plan. It keeps the ports and secrets of the last start where possible."""
    api_port = _api_port(environ)
    ports = {name: free_port(before.ports.get(name)) for name in _PORTS}
    secrets = {name: before.secrets.get(name) or objects.new_secret() for name in _SECRETS}
    cluster, gateway = None, None
    if _is_ours("DATABASE_URL", "postgres", environ, before):
        cluster = Cluster(postgres.reserve_folder(home.postgres), ports["postgres"], secrets["postgres"])
    if _is_ours("S3_ENDPOINT_URL", "objects", environ, before):
        gateway = Gateway(home.objects, ports["objects"], secrets["objects"])
    dagster = Dagster(home.dagster, ports["webserver"], ports["code_server"], definitions)
    api = Api(home.folder, api_port or ports["api"], secrets["api"])
    settings = _settings(home, cluster, gateway, dagster, api, environ)
    environment = _environment(home, settings, environ)
    # The nights of exports begin with the first start.
    first = environ.get("BULK_FIRST_NIGHT") or before.environment.get("BULK_FIRST_NIGHT")
    environment["BULK_FIRST_NIGHT"] = first or datetime.now(UTC).date().isoformat()
    record = Record(secrets=secrets, ports=ports, environment=environment)
    return Plan(home, cluster, gateway, dagster, api, settings, environment, record)


def _api_port(environ: Mapping[str, str]) -> int | None:
    """Return the value of API_PORT, None if unset. Raises `StackError` if another program uses the port."""
    chosen = environ.get("API_PORT", "")
    if not chosen:
        return None
    port = read_settings(database_url="postgresql://", api_port=chosen).api_port
    if port and not is_free(port):
        raise StackError(
            f"port {port} is in use by another program: set API_PORT to another port, or unset it to use a free one"
        )
    return port or None


def _is_ours(variable: str, server: str, environ: Mapping[str, str], before: Record) -> bool:
    """Return whether to run the server: the environment names none, or the stack's own server of the last start."""
    url = environ.get(variable)
    return not url or (server in before.ports and f"{HOST}:{before.ports[server]}" in url)


def _settings(
    home: Home,
    cluster: Cluster | None,
    gateway: Gateway | None,
    dagster: Dagster,
    api: Api,
    environ: Mapping[str, str],
) -> Settings:
    values: dict[str, object] = {
        name.lower(): value
        for name, value in environ.items()
        if value and name.lower() in Settings.model_fields
    }
    values |= {"dagster_url": dagster.url, "api_url": api.url, "dagster_home": home.dagster}
    if cluster:
        values["database_url"] = cluster.url()
    if gateway:
        values |= {
            "s3_endpoint_url": gateway.url,
            "s3_access_key": gateway.access_key,
            "s3_secret_key": gateway.secret_key,
        }
        values.setdefault("s3_bucket_logs", _LOGS_BUCKET)
    settings = read_settings(**values)
    unset = {"bulk_work_dir", "bulk_scratch_dir"} - settings.model_fields_set
    return settings.model_copy(update=dict.fromkeys(unset, home.work))


def _environment(home: Home, settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    database_url = settings.database_url.get_secret_value()
    secret, work = settings.s3_secret_key, settings.bulk_work_dir
    known = {
        "DATABASE_URL": database_url,
        "S3_ENDPOINT_URL": settings.s3_endpoint_url,
        "S3_ACCESS_KEY": settings.s3_access_key,
        "S3_SECRET_KEY": secret.get_secret_value() if secret else None,
        "S3_REGION": settings.s3_region,
        **{f"S3_BUCKET_{use.upper()}": name for use, name in buckets_by_use(settings).items()},
        "S3_BUCKET_LOGS": settings.s3_bucket_logs,
        "BULK_HOME": str(home.folder),
        "BULK_PROJECT": str(settings.project or NO_PROJECT),  # its processes run in other folders
        "BULK_WORK_DIR": str(work.absolute() if isinstance(work, Path) else work),
        "BULK_SCRATCH_DIR": str(settings.bulk_scratch_dir.absolute()),
        "DAGSTER_HOME": str(home.dagster),
        "API_URL": settings.api_url,
        "DAGSTER_URL": settings.dagster_url,
        "DAGSTER_POSTGRES_URL": storage_url(database_url),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        # Otherwise gRPC, boto3 and urllib would send requests for this machine to a proxy.
        "NO_PROXY": ",".join(filter(None, [environ.get("NO_PROXY", environ.get("no_proxy")), HOST])),
    }
    known["no_proxy"] = known["NO_PROXY"]
    return {name: value for name, value in known.items() if value}
