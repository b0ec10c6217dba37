"""The API on a real port: in a thread of the test's own process, or in a process of its own."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from pydantic import SecretStr

from bulk_pipeline.api.connections import Connection
from bulk_pipeline.settings import Settings
from bulk_pipeline.stack.api import answers
from bulk_pipeline.stack.ports import HOST
from bulk_pipeline.stack.process import Service
from bulk_pipeline_tests.rigs.compose import ROOT

SECRET = "a secret of the tests, thirty-two bytes or more"  # nothing else is signed with it


@dataclass(frozen=True)
class Person:
    """A client with an account."""

    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Run a real server in a thread of this process, and yield its address."""
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            port=0,
            log_config=None,
            lifespan="on",
            http=Connection,
            ws="none",
            proxy_headers=False,
        )
    )
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    try:
        until = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive(), "the server has stopped"
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def service_of(settings: Settings, folder: Path, port: int, **more: object) -> Service:
    """Run `python -m bulk_pipeline.api` on the tests' servers; `more` are other settings."""
    environment = {
        name.upper(): str(value.get_secret_value() if isinstance(value, SecretStr) else value)
        for name, value in [*settings, *more.items()]
        if value is not None
    }
    environment["API_PORT"] = str(port)
    return Service(
        name="api",
        command=[sys.executable, "-m", "bulk_pipeline.api"],
        environment={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        folder=ROOT,  # whose package it is that runs
        log=folder / "api.log",
        answers=lambda: answers(f"http://{HOST}:{port}"),
    )
