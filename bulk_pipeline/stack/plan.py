"""What a stack consists of: which servers are ours, on which ports, with which secrets and environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bulk_pipeline.errors import StackError
from bulk_pipeline.settings import Settings, read_settings
from bulk_pipeline.stack import objects, postgres
from bulk_pipeline.stack.api import Api
from bulk_pipeline.stack.dagster import Dagster, storage_url
from bulk_pipeline.stack.home import Home, Record
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import HOST, free_port, is_free
from bulk_pipeline.stack.postgres import Cluster
from bulk_pipeline.stores import servers

MARK = "BULK_STACK"
"""The environment variable that names a stack's home in each of its processes, and nowhere else."""

_PORTS = ("postgres", "objects", "webserver", "code_server", "api")
_SECRETS = ("postgres", "objects", "api")


@dataclass(frozen=True)
class Plan:
    """The parts to run. `cluster` and `gateway` are None where the environment names a server instead."""

    home: Home
    cluster: Cluster | None
    gateway: Gateway | None
    dagster: Dagster
    api: Api
    settings: Settings
    environment: Mapping[str, str] = field(repr=False)
    """Connection facts, for Dagster's processes and for clients."""
    record: Record

    def process_environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        return {**inherited, **self.environment, MARK: str(self.home.folder)}


def make(home: Home, before: Record, environ: Mapping[str, str], definitions: str) -> Plan:
    """Keep the ports and secrets of the last time where possible, so that addresses stay what they were."""
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
    record = Record(secrets=secrets, ports=ports, environment=environment)
    return Plan(home, cluster, gateway, dagster, api, settings, environment, record)


def _api_port(environ: Mapping[str, str]) -> int | None:
    """The port that somebody has chosen for the API. `StackError` if another program listens there."""
    chosen = environ.get("API_PORT", "")
    if not chosen:
        return None
    port = read_settings(database_url="postgresql://", api_port=chosen).api_port
    if port and not is_free(port):
        raise StackError(
            f"port {port} is taken by another program: set API_PORT to another port, or leave it out for a free one"
        )
    return port or None


def _is_ours(variable: str, server: str, environ: Mapping[str, str], before: Record) -> bool:
    """Whether to run the server: nothing is given, or what is given is our own of the last time."""
    given = environ.get(variable)
    return not given or (server in before.ports and f"{HOST}:{before.ports[server]}" in given)


def _settings(
    home: Home,
    cluster: Cluster | None,
    gateway: Gateway | None,
    dagster: Dagster,
    api: Api,
    environ: Mapping[str, str],
) -> Settings:
    given: dict[str, object] = {
        name.lower(): value
        for name, value in environ.items()
        if value and name.lower() in Settings.model_fields
    }
    given |= {"dagster_url": dagster.url, "api_url": api.url}
    if cluster:
        given["database_url"] = cluster.url()
    if gateway:
        given |= {
            "s3_endpoint_url": gateway.url,
            "s3_access_key": gateway.access_key,
            "s3_secret_key": gateway.secret_key,
        }
    settings = read_settings(**given)
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
        **{f"S3_BUCKET_{use.upper()}": name for use, name in servers.buckets(settings).items()},
        "BULK_HOME": str(home.folder),
        "BULK_WORK_DIR": str(work.absolute() if isinstance(work, Path) else work),
        "BULK_SCRATCH_DIR": str(settings.bulk_scratch_dir.absolute()),
        "DAGSTER_HOME": str(home.dagster),
        "API_URL": settings.api_url,
        "DAGSTER_URL": settings.dagster_url,
        "DAGSTER_POSTGRES_URL": storage_url(database_url),
        "DAGSTER_DISABLE_TELEMETRY": "yes",
        # gRPC, boto3 and urllib would send what is meant for this machine to a proxy.
        "NO_PROXY": ",".join(filter(None, [environ.get("NO_PROXY", environ.get("no_proxy")), HOST])),
    }
    known["no_proxy"] = known["NO_PROXY"]
    return {name: value for name, value in known.items() if value}
