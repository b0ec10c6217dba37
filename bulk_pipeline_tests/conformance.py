"""`make schemathesis`: tests the API of the running stack against its OpenAPI document, with a new account."""

import os
import secrets
import subprocess
import sys
from pathlib import Path

import httpx2

from bulk_pipeline import stack
from bulk_pipeline.cli.connection import settings_of
from bulk_pipeline.pipeline.container import Stores
from bulk_pipeline.rights import JobsRight, Rights

_NOT_CHECKED = {
    "positive_data_acceptance": "which texts are columns, keys or cursors, only the table can say",
    "missing_required_header": "without a token a wrong request may be 400 before it is 401",
}


def main() -> int:
    """Run schemathesis with the arguments, and return its exit code."""
    home = Path(os.environ.get("BULK_HOME", ".bulk"))
    url = stack.status(home).api_url
    if url is None:
        sys.exit("no stack is running: start one with `bulk-pipeline up --detach`")
    stores = Stores(settings_of(home))
    login = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_hex(16)}
    stores.accounts.register(login["email"], login["password"], Rights(("*",), ("*",), JobsRight.ALL))
    token = httpx2.post(f"{url}/auth/token", json=login).raise_for_status().json()["access_token"]
    command = [
        Path(sys.executable).with_name("schemathesis"),
        "run",
        f"{url}/openapi.json",
        "--header",
        f"Authorization: Bearer {token}",
        "--exclude-checks",
        ",".join(_NOT_CHECKED),
        "--continue-on-failure",
        *sys.argv[1:],
    ]
    status = subprocess.run(command, check=False).returncode
    stores.accounts.disable(login["email"])
    stores.close()
    return status


if __name__ == "__main__":
    sys.exit(main())
