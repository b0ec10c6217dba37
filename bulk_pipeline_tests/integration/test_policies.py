"""The policies in ops/policies: each user tries forbidden operations."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from bulk_pipeline.s3 import client as s3
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline_tests.rigs.compose import ROOT
from bulk_pipeline_tests.rigs.pipeline import Pipeline

SECRET = "a-secret-of-a-user"
Users = Callable[[str], s3.Client]


@pytest.fixture
def buckets(buckets: dict[str, str], logs_bucket: str) -> dict[str, str]:
    """The buckets, including that of run logs."""
    return buckets | {"logs": logs_bucket}


@pytest.fixture
def policies(
    object_server: Gateway, buckets: dict[str, str], tmp_path: Path
) -> Iterator[Callable[[str], str]]:
    """A function that creates a user with a policy on the test's buckets, and returns its access key."""
    admin = MinioAdmin(
        endpoint=object_server.url.removeprefix("http://"),
        credentials=StaticProvider(object_server.access_key, object_server.secret_key),
        secure=False,
    )
    names = list[str]()

    def make(policy: str) -> str:
        text = (ROOT / "ops" / "policies" / f"{policy}.json").read_text()
        for use, bucket in buckets.items():
            text = text.replace(f"arn:aws:s3:::{use}", f"arn:aws:s3:::{bucket}")
        name = f"{policy}-{uuid4().hex[:8]}"
        names.append(name)
        file = tmp_path / f"{name}.json"
        file.write_text(text)
        admin.policy_add(name, str(file))
        admin.user_add(name, SECRET)
        admin.policy_set(name, user=name)
        return name

    yield make
    for name in names:
        admin.user_remove(name)
        admin.policy_remove(name)


@pytest.fixture
def client_of(policies: Callable[[str], str], settings: Settings) -> Users:
    def client(policy: str) -> s3.Client:
        keys = {"s3_access_key": policies(policy), "s3_secret_key": type(settings.database_url)(SECRET)}
        return s3.connect(settings.model_copy(update=keys), attempts=1)

    return client


def _refused(
    client: s3.Client, buckets: dict[str, str], tries: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return the attempts, an operation on a place each, that the server refuses."""
    refused = list[tuple[str, str]]()
    for operation, use in tries:
        place = {"Bucket": buckets[use], "Key": "a"}
        calls: dict[str, Callable[[], object]] = {
            "put": lambda place=place: client.put_object(**place, Body=b"2"),
            "get": lambda place=place: client.get_object(**place),
            "delete": lambda place=place: client.delete_object(**place),
            "list": lambda place=place: client.list_objects_v2(Bucket=place["Bucket"]),
            "copy": lambda place=place: client.copy_object(
                Bucket=buckets["uploads"], Key="b", CopySource=dict(place)
            ),
            "tag": lambda place=place: client.put_object_tagging(**place, Tagging={"TagSet": []}),
            "drop": lambda place=place: client.delete_bucket(Bucket=place["Bucket"]),
        }
        try:
            calls[operation]()
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "AccessDenied":
                raise
            refused.append((operation, use))
    return refused


OPERATIONS = ("put", "get", "list", "copy", "tag", "delete", "drop")
MAY = {
    "uploader": {("put", "uploads")},
    "reader": {("get", "reports"), ("list", "reports"), ("get", "exports"), ("list", "exports")},
    "logs": {("get", "logs"), ("list", "logs")},
    "pipeline": {
        (operation, use)
        for operation in ("put", "get", "list", "copy", "delete")
        for use in ("uploads", "archive", "reports", "exports", "logs")
    },
}


@pytest.mark.parametrize("policy", MAY)
def test_a_user_may_do_what_its_policy_says_and_nothing_else(
    client_of: Users, s3_client: s3.Client, buckets: dict[str, str], policy: str
) -> None:
    for bucket in buckets.values():
        s3_client.put_object(Bucket=bucket, Key="a", Body=b"1")
    tries = [(operation, use) for operation in OPERATIONS for use in buckets]
    refused = _refused(client_of(policy), buckets, tries)
    assert set(tries) - set(refused) == MAY[policy]


def test_an_uploader_may_send_large_files_in_parts(client_of: Users, buckets: dict[str, str]) -> None:
    client_of("uploader").upload_fileobj(io.BytesIO(b"x" * (9 << 20)), buckets["uploads"], "users/large.csv")


def test_policies_name_the_places_of_the_pipeline_only() -> None:
    for file in (ROOT / "ops" / "policies").glob("*.json"):
        for statement in json.loads(file.read_text())["Statement"]:
            places = {
                resource.removeprefix("arn:aws:s3:::").removesuffix("/*")
                for resource in statement["Resource"]
            }
            assert places <= {"uploads", "archive", "reports", "exports", "logs"}


class TestThePipelineWithItsOwnKey:
    @pytest.fixture
    def settings(self, settings: Settings, policies: Callable[[str], str]) -> Settings:
        keys = {"s3_access_key": policies("pipeline"), "s3_secret_key": type(settings.database_url)(SECRET)}
        return settings.model_copy(update=keys)

    def test_imports(self, pipeline: Pipeline) -> None:
        job = pipeline.load("customers/a.csv", b"email\na@b.de\nnone\n")
        assert (job.status, set(job.reports)) == (
            "completed_with_errors",
            {"errors.csv", "errors.ndjson", "rejected.csv", "rejected.xlsx"},
        )
