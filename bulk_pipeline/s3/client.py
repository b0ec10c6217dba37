"""The client of the object store, and the translation of its errors into ours."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypedDict
from urllib.parse import urlsplit

import boto3
from boto3.exceptions import Boto3Error
from botocore import exceptions as boto
from botocore.config import Config
from botocore.loaders import Loader, create_loader
from botocore.session import Session as CoreSession
from botocore.session import get_session

from bulk_pipeline.errors import NotFoundError, SettingsError, StoreRefusedError, StoreUnavailableError
from bulk_pipeline.settings import S3Settings

Client = Any
"""A boto3 client. boto3 creates its class at run time."""

FAILURES = (Boto3Error, boto.BotoCoreError, boto.ClientError)
"""All exceptions of boto3, for outages and refusals."""
_BROKEN = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)
_NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_WRONG_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
_TRY_LATER = {"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "TooManyRequests"}
_NOT_FOUND = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
_CHANGED = {"412", "PreconditionFailed"}
_WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload")
_spare_cores = list[CoreSession]()
"""Created in advance: each takes 15 ms."""
_ONE_AT_A_TIME = threading.Lock()  # sessions are not thread-safe, unlike clients


def connect(settings: S3Settings, *, attempts: int = 4) -> Client:
    """Return a client for the server in the settings. Threads may share it."""
    with _ONE_AT_A_TIME:
        client = _session().client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            **_keys(settings),
            verify=str(settings.s3_ca_bundle) if settings.s3_ca_bundle else None,
            config=_config(settings, attempts=attempts, read_seconds=60),
        )
    for operation in _WRITES if settings.s3_sse else ():
        client.meta.events.register(f"provide-client-params.s3.{operation}", _encrypted(settings))
    return client


@contextmanager
def default_session(settings: S3Settings) -> Iterator[None]:
    """Give clients of boto3's default session, which other libraries create, our keys and timeouts inside the block.

    One thread at a time. Those libraries set endpoint, certificates and encryption themselves (see `encryption`). Such
    clients give up sooner than ours, as no rows depend on them.
    """
    with _ONE_AT_A_TIME:
        before, boto3.DEFAULT_SESSION = boto3.DEFAULT_SESSION, _hasty_session(settings)  # pyright: ignore[reportArgumentType]  # frozen
        try:
            yield
        finally:
            boto3.DEFAULT_SESSION = before


@cache
def _hasty_session(settings: S3Settings) -> boto3.Session:
    core = _spare_cores.pop() if _spare_cores else _new_core()
    core.set_default_client_config(_config(settings, attempts=2, read_seconds=10))
    return boto3.Session(botocore_session=core, **_keys(settings))


class _Keys(TypedDict):
    aws_access_key_id: str | None
    aws_secret_access_key: str | None
    region_name: str


def _keys(settings: S3Settings) -> _Keys:
    secret = settings.s3_secret_key
    return {
        "aws_access_key_id": settings.s3_access_key,
        "aws_secret_access_key": secret.get_secret_value() if secret else None,
        "region_name": settings.s3_region,
    }


def _config(settings: S3Settings, *, attempts: int, read_seconds: float) -> Config:
    return Config(
        signature_version="s3v4",  # boto3 presigns with SigV2 otherwise
        s3={
            # If unset, boto3 presigns for a host of the wrong region.
            "addressing_style": settings.s3_addressing_style or _usual_style(settings),
            # A checksum on both sides, useless without a network between them.
            "payload_signing_enabled": not _is_on_this_machine(settings),
        },
        connect_timeout=5,
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,
        # Older servers do not know the checksums that boto3 adds since 1.36.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _usual_style(settings: S3Settings) -> str:
    return "path" if settings.s3_endpoint_url else "virtual"


def _is_on_this_machine(settings: S3Settings) -> bool:
    return urlsplit(settings.s3_endpoint_url or "").hostname in ("127.0.0.1", "::1", "localhost")


def encryption(settings: S3Settings) -> dict[str, str]:
    """Return the parameters of every request that creates an object; empty if the bucket's default applies."""
    parameters = {"ServerSideEncryption": settings.s3_sse, "SSEKMSKeyId": settings.s3_sse_kms_key_id}
    return {name: value for name, value in parameters.items() if value}


def _encrypted(settings: S3Settings) -> Callable[..., dict[str, Any]]:
    """Return a hook that adds the encryption to every request that creates an object, so that no write lacks it."""
    return lambda params, **_: params | encryption(settings)


def prepare() -> None:
    """Let boto3 load its description of S3 in advance, without a connection."""
    with _ONE_AT_A_TIME:
        _spare_cores.append(_new_core())
        _session().resource("s3", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-")


@cache
def _session() -> boto3.Session:
    """Return a shared session. Its first client takes 0.15 s, to load that description; later ones 0.01 s."""
    return boto3.Session(botocore_session=_new_core())


def _new_core() -> CoreSession:
    """Return a core for a boto3 session. All cores share the loaded description of S3."""
    core = get_session()
    core.register_component("data_loader", _loader())
    return core


@cache
def _loader() -> Loader:
    return create_loader()


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Turn boto3's exceptions inside the block into ours; `what` names the object in their message.

    Raises `NotFoundError`, `StoreUnavailableError` (an outage), `SettingsError` (wrong credentials) and
    `StoreRefusedError` (any other refusal).
    """
    try:
        yield
    except _BROKEN as error:
        raise StoreUnavailableError(f"{what}: {error}") from error
    except _NO_CREDENTIALS as error:
        raise SettingsError(f"{what}: {error}: set S3_ACCESS_KEY and S3_SECRET_KEY") from error
    except boto.ClientError as error:
        raise _meaning(error, what) from error
    except boto.BotoCoreError as error:
        raise StoreRefusedError(f"{what}: {error}") from error


def is_gone_or_changed(error: boto.ClientError) -> bool:
    """Return whether a conditional request failed because the object is gone or has changed."""
    return _code(error) in _NOT_FOUND | _CHANGED


def _meaning(error: boto.ClientError, what: str) -> Exception:
    code, status = _code(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _NOT_FOUND:
        return NotFoundError(f"{what} does not exist")
    if status >= 500 or status == 429 or code in _TRY_LATER:
        return StoreUnavailableError(f"{what}: {error}")
    if code in _WRONG_CREDENTIALS:
        return SettingsError(f"{what}: {error}: check S3_ACCESS_KEY and S3_SECRET_KEY")
    return StoreRefusedError(f"{what}: {error}")


def _code(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
