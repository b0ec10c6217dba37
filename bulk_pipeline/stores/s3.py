"""The connection to the object store, and how its outages are told from its answers."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from boto3.session import Session
from botocore import exceptions as boto
from botocore.config import Config

from bulk_pipeline.errors import NotFoundError, SettingsError, StoreRefusedError, StoreUnavailableError
from bulk_pipeline.settings import Settings

Client = Any
"""A boto3 client: made at run time, so that there is no class to name."""

_BROKEN = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)
_NO_CREDENTIALS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
_WRONG_CREDENTIALS = {"InvalidAccessKeyId", "SignatureDoesNotMatch"}
_TRY_LATER = {"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "TooManyRequests"}
_NOT_FOUND = {"404", "NoSuchKey", "NoSuchUpload", "NotFound"}
_CHANGED = {"412", "PreconditionFailed"}
_WRITES = ("PutObject", "CopyObject", "CreateMultipartUpload")
_ONE_AT_A_TIME = threading.Lock()  # sessions are not for several threads, unlike clients


def connect(settings: Settings, *, attempts: int = 4) -> Client:
    """A client for the server in the settings. Threads may share it."""
    secret = settings.s3_secret_key
    config = Config(
        signature_version="s3v4",  # boto3 presigns with SigV2 otherwise
        s3={
            # With neither, boto3 presigns for a host of the wrong region.
            "addressing_style": settings.s3_addressing_style or _usual_style(settings),
            # A checksum of the bytes on both sides, which tells nothing where no network lies between them.
            "payload_signing_enabled": not _is_on_this_machine(settings),
        },
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=32,
        # The checksums that boto3 adds since 1.36 are unknown to older servers.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    with _ONE_AT_A_TIME:
        client = _session().client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            region_name=settings.s3_region,
            verify=str(settings.s3_ca_bundle) if settings.s3_ca_bundle else None,
            config=config,
        )
    for operation in _WRITES if settings.s3_sse else ():
        client.meta.events.register(f"provide-client-params.s3.{operation}", _encrypted(settings))
    return client


def _usual_style(settings: Settings) -> str:
    return "path" if settings.s3_endpoint_url else "virtual"


def _is_on_this_machine(settings: Settings) -> bool:
    return urlsplit(settings.s3_endpoint_url or "").hostname in ("127.0.0.1", "::1", "localhost")


def _encrypted(settings: Settings) -> Callable[..., dict[str, Any]]:
    """What every request that makes an object carries; in one place, so that no write can do without."""
    asked = {"ServerSideEncryption": settings.s3_sse, "SSEKMSKeyId": settings.s3_sse_kms_key_id}
    given = {name: value for name, value in asked.items() if value}
    return lambda params, **_: params | given


def prepare() -> None:
    """Let boto3 read its description of S3 before it is needed; connects to nothing."""
    with _ONE_AT_A_TIME:
        _session().client("s3", region_name="us-east-1", aws_access_key_id="-", aws_secret_access_key="-")


@cache
def _session() -> Session:
    """The first client of a session takes 0.15 s, for that description; every other one 0.01 s."""
    return Session()


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Turn what boto3 raises inside the block into our errors; `what` names the object in their sentence.

    Raises `NotFoundError`, `StoreUnavailableError` (an outage), `SettingsError` (wrong credentials) and
    `StoreRefusedError` (any other no).
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
    """Whether the object of a conditional request is no longer there, or no longer the same."""
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
