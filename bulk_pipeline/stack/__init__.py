"""The embedded stack: Postgres, an S3 server and Dagster's processes, for laptops, tests and the demo.

Everything listens on 127.0.0.1, keeps its data in one folder, and stops when its owner stops.
"""

from bulk_pipeline.stack.lifecycle import down, up
from bulk_pipeline.stack.status import S3Status, ServiceStatus, StackStatus, environment, status

__all__ = ["S3Status", "ServiceStatus", "StackStatus", "down", "environment", "status", "up"]
