"""The embedded S3 server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bulk_pipeline.s3 import client as s3
from bulk_pipeline.s3.buckets import create_buckets, s3_answers
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack import objects
from bulk_pipeline.stack.objects import Gateway
from bulk_pipeline.stack.ports import free_port
from bulk_pipeline.stack.process import Child, running


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    made = Gateway(tmp_path / "objects", free_port(), objects.new_secret())
    objects.create(made)
    return made


def test_acknowledged_objects_survive_a_kill(gateway: Gateway, tmp_path: Path) -> None:
    large = bytes(range(256)) * 40_000
    with served(gateway, tmp_path) as child:
        create_buckets(settings_of(gateway))
        with client_of(gateway) as client:
            client.put_object(
                Bucket="uploads", Key="users/odd näme.csv", Body=b"a,b\n", Metadata={"mode": "upsert"}
            )
            client.put_object(Bucket="uploads", Key="users/large", Body=large)
        child.process.kill()
        child.process.wait()
    with served(gateway, tmp_path), client_of(gateway) as client:
        result = client.get_object(Bucket="uploads", Key="users/odd näme.csv")
        assert (result["Body"].read(), result["Metadata"]) == (b"a,b\n", {"mode": "upsert"})
        assert client.get_object(Bucket="uploads", Key="users/large")["Body"].read() == large


def test_objects_and_buckets_survive_a_restart(gateway: Gateway, tmp_path: Path) -> None:
    with served(gateway, tmp_path), client_of(gateway) as client:
        create_buckets(settings_of(gateway))
        client.put_object(Bucket="archive", Key="key", Body=b"content")
    objects.create(gateway)
    with served(gateway, tmp_path), client_of(gateway) as client:
        create_buckets(settings_of(gateway))
        names = [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]
        assert sorted(names) == ["archive", "exports", "reports", "uploads"]
        assert client.get_object(Bucket="archive", Key="key")["Body"].read() == b"content"


def test_a_log_that_was_just_being_made_when_the_server_died_is_no_obstacle(
    gateway: Gateway, tmp_path: Path
) -> None:
    with served(gateway, tmp_path), client_of(gateway) as client:
        create_buckets(settings_of(gateway))
        client.put_object(Bucket="archive", Key="key", Body=b"content")
    (gateway.metadata_folder / "00099.mem").touch()
    objects.create(gateway)
    (gateway.metadata_folder / "00099.mem").touch()
    with served(gateway, tmp_path), client_of(gateway) as client:
        assert client.get_object(Bucket="archive", Key="key")["Body"].read() == b"content"


def test_a_folder_that_has_moved_takes_its_objects_with_it(gateway: Gateway, tmp_path: Path) -> None:
    with served(gateway, tmp_path), client_of(gateway) as client:
        create_buckets(settings_of(gateway))
        client.put_object(Bucket="archive", Key="key", Body=b"content")
    moved = replace(gateway, folder=gateway.folder.rename(tmp_path / "moved"))
    objects.create(moved)
    with served(moved, tmp_path), client_of(moved) as client:
        assert client.get_object(Bucket="archive", Key="key")["Body"].read() == b"content"
    assert not gateway.folder.exists()


def test_wrong_keys_are_no_answer(object_server: Gateway) -> None:
    assert s3_answers(settings_of(object_server))
    assert not s3_answers(settings_of(object_server).model_copy(update={"s3_access_key": "wrong"}))


def test_nothing_but_the_loopback_interface_is_listened_on(gateway: Gateway, tmp_path: Path) -> None:
    with served(gateway, tmp_path) as child:
        listening = [c for c in psutil.Process(child.process.pid).net_connections() if c.status == "LISTEN"]
        assert {connection.laddr.ip for connection in listening} == {"127.0.0.1"}


@contextmanager
def served(gateway: Gateway, folder: Path) -> Iterator[Child]:
    with running(objects.service(gateway, settings_of(gateway), folder / "objects.log")) as child:
        yield child


@contextmanager
def client_of(gateway: Gateway) -> Iterator[s3.Client]:
    client = s3.connect(settings_of(gateway))
    yield client
    client.close()


def settings_of(gateway: Gateway) -> Settings:
    return Settings.model_validate(
        {
            "database_url": "postgresql://nowhere",
            "s3_endpoint_url": gateway.url,
            "s3_access_key": gateway.access_key,
            "s3_secret_key": gateway.secret_key,
        }
    )
