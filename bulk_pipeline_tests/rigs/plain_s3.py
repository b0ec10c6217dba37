"""A plain boto3 client, which shares nothing with the product's."""

from typing import Any

import boto3
from botocore.config import Config


def plain_client(
    url: str, access_key: str, secret_key: str, *, attempts: int = 5, connections: int = 10
) -> Any:
    """Return a client that sends a request at most `attempts` times, and that `connections` threads may share."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        region_name="us-east-1",
        config=Config(
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": attempts},
            max_pool_connections=connections,
        ),
    )
